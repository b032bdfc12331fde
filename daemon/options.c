/* SPDX-License-Identifier: MIT */
/*
 * Reads the command line, and the settings in the order of their rank.
 * What the actions do is main.c's and check.c's.
 */
#include "daemon/options.h"

#include <getopt.h>

#include "sql/database.h"

#define DEFAULT_FILE ROOMD_SYSCONFDIR "/roomd/roomd.conf"

const char options_help[] =
	"Usage: roomd [-f] [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       roomd -t | -T [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       roomd --conformance [-f] [-c FILE] [-o SECTION.KEY=VALUE]...\n"
	"       roomd --describe TABLE [--format FORMAT]\n"
	"Chat server: one daemon and one PostgreSQL database.\n"
	"\n"
	"  -c FILE               configuration instead of " DEFAULT_FILE "\n"
	"  -f                    stay in the foreground, readable log on standard error\n"
	"  -o SECTION.KEY=VALUE  override one setting; may be repeated\n"
	"  -t                    check the configuration\n"
	"  -T                    check it and print the settings in force, secrets masked\n"
	"  --conformance         echo for test suites of the protocols, without a database\n"
	"  --describe TABLE      print a table: settings, metrics, events, routes, statements,\n"
	"                        errors, locks or authz\n"
	"  --format FORMAT       of --describe settings: json (default), mdoc or conf\n"
	"  --version, --help\n"
	"\n"
	"DATABASE_URL, PORT and SECRET_KEY in the environment win over the file. See roomd(8).\n";

enum { OPT_DESCRIBE = 256, OPT_FORMAT, OPT_CONFORMANCE, OPT_VERSION, OPT_HELP };

static const struct option long_options[] = {
	{"describe", required_argument, NULL, OPT_DESCRIBE},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"conformance", no_argument, NULL, OPT_CONFORMANCE},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

int options_assign(struct options *opt, const char *text, struct buf *ret_why)
{
	if (opt->n_assign == OPTIONS_ASSIGN_MAX) {
		buf_printf(ret_why, "more than %d times -o\n", OPTIONS_ASSIGN_MAX);
		return -ERR_INVAL;
	}
	opt->assign[opt->n_assign++] = text;
	return 0;
}

const char *options_file(const struct options *opt)
{
	return opt->file ? opt->file : DEFAULT_FILE;
}

static int take_option(struct options *o, int c, struct buf *ret_why)
{
	switch (c) {
	case 'c':
		o->file = optarg;
		return 0;
	case 'f':
		o->is_foreground = true;
		return 0;
	case 't':
		o->action = ACTION_CHECK;
		return 0;
	case 'T':
		o->action = ACTION_PRINT;
		return 0;
	case 'o':
		return options_assign(o, optarg, ret_why);
	case OPT_DESCRIBE:
		o->action = ACTION_DESCRIBE;
		o->table = optarg;
		return 0;
	case OPT_FORMAT:
		o->format = optarg;
		return 0;
	case OPT_CONFORMANCE:
		o->is_conformance = true;
		return 0;
	case OPT_VERSION:
		o->action = ACTION_VERSION;
		return 0;
	case OPT_HELP:
		o->action = ACTION_HELP;
		return 0;
	default:
		return -ERR_INVAL;
	}
}

int options_parse(int argc, char **argv, struct options *ret, struct buf *ret_why)
{
	struct options o = {.action = ACTION_RUN, .format = "json"};
	int c, r;

	optind = 0; /* glibc: forget a former scan */
	while ((c = getopt_long(argc, argv, "c:ftTo:", long_options, NULL)) != -1) {
		r = take_option(&o, c, ret_why);
		if (r < 0)
			return r;
	}
	if (optind < argc) {
		buf_printf(ret_why, "roomd: unexpected argument \"%s\"\n", argv[optind]);
		return -ERR_INVAL;
	}
	*ret = o;
	return 0;
}

static int read_file(const struct options *opt, struct settings *s, struct buf *ret_faults)
{
	struct buf faults = BUF_INIT;
	int r = settings_read_file(s, options_file(opt), &faults);

	if (r == -ERR_NOENT && !opt->file)
		r = 0;
	else
		buf_add_str(ret_faults, buf_str(&faults));
	buf_done(&faults);
	return r;
}

/* A secret's file named by one rank wins over the secret itself of a lower one. */
static bool read_secrets(struct settings *s, struct settings *base, struct buf *ret_faults)
{
	bool is_good = settings_read_secrets(s, base, ret_faults) == 0;

	settings_free(&base);
	return is_good;
}

static bool read_options(const struct options *opt, struct settings *s, struct buf *ret_faults)
{
	struct settings *base = settings_copy(s);
	bool is_good = true;

	for (int i = 0; i < opt->n_assign; i++)
		is_good &= settings_assign(s, str_of(opt->assign[i]), ret_faults) == 0;
	is_good &= read_secrets(s, base, ret_faults);
	return is_good;
}

/*
 * systemd lets only the service itself see its credentials, not a check before a reload, to which
 * it names them all the same: a check goes on without.
 */
static bool read_credentials(const struct options *opt, struct settings *s, struct buf *ret_faults)
{
	struct buf faults = BUF_INIT;
	int r = settings_read_credentials(s, &faults);

	if (r == -ERR_DENIED && opt->action != ACTION_RUN)
		r = 0;
	else
		buf_add_str(ret_faults, buf_str(&faults));
	buf_done(&faults);
	return r == 0;
}

/* Nobody is asked who he is, so it is not for production. Its database is one that there is not. */
static bool prepare_conformance(struct settings *s, struct buf *ret_faults)
{
	if (str_eq(settings_choice(s, "server.mode"), STR("development")))
		return settings_assign(s, STR("database.url=host=/nonexistent"), ret_faults) == 0 &&
		       settings_assign(s, STR("database.migrate=off"), ret_faults) == 0;
	buf_add_cstr(ret_faults, "--conformance: not in production mode\n");
	return false;
}

/* Large messages are among what suites send; the file and the command line may say otherwise. */
static bool begin_conformance(struct settings *s, struct buf *ret_faults)
{
	return settings_assign(s, STR("websocket.frame_max=16M"), ret_faults) == 0 &&
	       settings_assign(s, STR("websocket.message_max=16M"), ret_faults) == 0 &&
	       settings_assign(s, STR("websocket.deflate=on"), ret_faults) == 0;
}

/* What libpq cannot read never becomes a database, so nobody shall wait for it. */
static bool check_all(const struct settings *s, struct buf *ret_faults)
{
	bool is_good = settings_check(s, ret_faults) == 0;

	if (database_is_url(s->database_url))
		return is_good;
	buf_add_cstr(ret_faults, "database.url: must be a connection string of PostgreSQL, "
				 "postgresql://... or key=value ...; no other database, such as "
				 "SQLite, is supported\n");
	return false;
}

int options_load(const struct options *opt, struct settings **ret, struct buf *ret_faults)
{
	struct settings *s = settings_new();
	size_t before = ret_faults->len, located;
	bool is_good = !opt->is_conformance || begin_conformance(s, ret_faults);

	is_good &= read_file(opt, s, ret_faults) == 0;
	located = ret_faults->len;
	is_good &= read_secrets(s, settings_new(), ret_faults);
	is_good &= read_credentials(opt, s, ret_faults);
	is_good &= settings_read_env(s, ret_faults) == 0;
	is_good &= read_options(opt, s, ret_faults);
	if (opt->is_conformance && is_good)
		is_good = prepare_conformance(s, ret_faults);
	/* values that could not be read would only be blamed twice */
	if (is_good)
		is_good = check_all(s, ret_faults);
	settings_locate(s, options_file(opt), located, ret_faults);
	assert(is_good == (ret_faults->len == before));
	if (!is_good) {
		settings_free(&s);
		return -ERR_INVAL;
	}
	*ret = s;
	return 0;
}
