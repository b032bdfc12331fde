/* SPDX-License-Identifier: MIT */
/*
 * Reads roomctl's command line by the table of commands.
 * What commands do is roomctl.c's.
 */
#include "daemon/roomctl_options.h"

#include <getopt.h>

#include "proto/s4.h"
#include "sql/codes.h"

#define WORDS_MAX 8

const struct roomctl_command roomctl_commands[ROOMCTL_COMMANDS] = {
#define X(id, words, argument, asks, help) {words, argument, asks, help},
#include "daemon/roomctl.def"
#undef X
};

enum {
	OPT_JSON = 256,
	OPT_CHECK,
	OPT_ADMIN,
	OPT_OFF,
	OPT_END,
	OPT_VERIFY,
	OPT_EMAIL,
	OPT_FULL_NAME,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"check", no_argument, NULL, OPT_CHECK},
	{"admin", no_argument, NULL, OPT_ADMIN},
	{"off", no_argument, NULL, OPT_OFF},
	{"end", no_argument, NULL, OPT_END},
	{"verify", no_argument, NULL, OPT_VERIFY},
	{"email", required_argument, NULL, OPT_EMAIL},
	{"full-name", required_argument, NULL, OPT_FULL_NAME},
	{"version", no_argument, NULL, OPT_VERSION},
	{"help", no_argument, NULL, OPT_HELP},
	{0},
};

void roomctl_options_help(struct buf *ret)
{
	buf_add_cstr(
		ret,
		"Usage: roomctl [-c FILE] [-o SECTION.KEY=VALUE]... [-s SOCKET] [--json] COMMAND\n"
		"Asks and orders a running roomd, and prepares its database.\n\n");
	for (size_t i = 0; i < ROOMCTL_COMMANDS; i++) {
		const struct roomctl_command *c = &roomctl_commands[i];
		int width = 20 - (int)strlen(c->words);

		buf_printf(ret, "  %s %-*s %s\n", c->words, MAX(width, 0), c->argument, c->help);
	}
	buf_printf(ret,
		   "\n"
		   "  -c FILE               configuration instead of %s\n"
		   "  -o SECTION.KEY=VALUE  override one setting; may be repeated\n"
		   "  -s SOCKET             control socket instead of control.socket\n"
		   "  --json                print the answer as JSON\n"
		   "  --version, --help\n"
		   "\n"
		   "See roomctl(1).\n", options_file(&(struct options){0}));
}

/* ---- Options ---- */

static int take_option(struct roomctl_options *o, int c, struct buf *ret_why)
{
	switch (c) {
	case 'c':
		o->common.file = optarg;
		return 0;
	case 'o':
		return options_assign(&o->common, optarg, ret_why);
	case 's':
		o->socket = optarg;
		return 0;
	case OPT_JSON:
		o->is_json = true;
		return 0;
	case OPT_CHECK:
		o->is_check = true;
		return 0;
	case OPT_ADMIN:
		o->is_admin = true;
		return 0;
	case OPT_OFF:
		o->is_off = true;
		return 0;
	case OPT_END:
		o->is_end = true;
		return 0;
	case OPT_VERIFY:
		o->is_verify = true;
		return 0;
	case OPT_EMAIL:
		o->email = optarg;
		return 0;
	case OPT_FULL_NAME:
		o->full_name = optarg;
		return 0;
	case OPT_VERSION:
		o->id = ROOMCTL_VERSION;
		return 0;
	case OPT_HELP:
		o->id = ROOMCTL_HELP;
		return 0;
	default:
		return -ERR_INVAL;
	}
}

/* ---- The command ---- */

/* How many of WORDS the command consists of; 0 when it is another one. */
static int match(const struct roomctl_command *c, char *const *words, int n)
{
	const char *rest = c->words;
	int i;

	for (i = 0; *rest; i++) {
		size_t len = strcspn(rest, " ");

		if (i == n || strlen(words[i]) != len || memcmp(words[i], rest, len) != 0)
			return 0;
		rest += len + strspn(rest + len, " ");
	}
	return i;
}

static int take_argument(struct roomctl_options *o, char *const *rest, int n, struct buf *ret_why)
{
	const struct roomctl_command *c = &roomctl_commands[o->id];
	int wanted = *c->argument ? 1 : 0, needed = *c->argument == '[' ? 0 : wanted;

	if (n < needed) {
		buf_printf(ret_why, "\"%s\" needs %s\n", c->words, c->argument);
		return -ERR_INVAL;
	}
	if (n > wanted) {
		buf_printf(ret_why, "unexpected argument \"%s\"\n", rest[wanted]);
		return -ERR_INVAL;
	}
	o->argument = wanted && n ? rest[0] : NULL;
	return 0;
}

/* Names the commands that begin with WORD, if it is the first word of several. */
static void refuse_word(const char *word, struct buf *ret_why)
{
	const char *before = " by itself; there are";
	size_t len = strlen(word);

	buf_printf(ret_why, "there is no command \"%s\"", word);
	for (int i = 0; i < ROOMCTL_COMMANDS; i++) {
		const char *words = roomctl_commands[i].words;

		if (strncmp(words, word, len) != 0 || words[len] != ' ')
			continue;
		buf_printf(ret_why, "%s \"%s\"", before, words);
		before = ",";
	}
	buf_add_char(ret_why, '\n');
}

static int take_command(struct roomctl_options *o, char *const *words, int n, struct buf *ret_why)
{
	if (n == 0) {
		buf_add_cstr(ret_why, "no command\n");
		return -ERR_INVAL;
	}
	for (int i = 0; i < ROOMCTL_COMMANDS; i++) {
		int used = match(&roomctl_commands[i], words, n);

		if (used == 0)
			continue;
		o->id = (enum roomctl_id)i;
		return take_argument(o, words + used, n - used, ret_why);
	}
	refuse_word(words[0], ret_why);
	return -ERR_INVAL;
}

/* Options that belong to one command. */
static int check_options(const struct roomctl_options *o, struct buf *ret_why)
{
	const struct {
		bool is_given;
		const char *name;
		enum roomctl_id id;
	} rules[] = {
		{o->is_check, "--check", ROOMCTL_MIGRATE},
		{o->is_verify, "--verify", ROOMCTL_AUDIT},
		{o->is_admin, "--admin", ROOMCTL_USER_ADD},
		{o->email != NULL, "--email", ROOMCTL_USER_ADD},
		{o->full_name != NULL, "--full-name", ROOMCTL_USER_ADD},
		{o->is_off, "--off", ROOMCTL_USER_ADMIN},
		{o->is_end, "--end", ROOMCTL_USER_SESSIONS},
	};

	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		if (!rules[i].is_given || o->id == rules[i].id)
			continue;
		buf_printf(ret_why, "%s belongs to \"%s\"\n", rules[i].name,
			   roomctl_commands[rules[i].id].words);
		return -ERR_INVAL;
	}
	return 0;
}

int roomctl_options_parse(int argc, char **argv, struct roomctl_options *ret, struct buf *ret_why)
{
	struct roomctl_options o = {.id = ROOMCTL_COMMANDS};
	int c, r = 0;

	optind = 0; /* glibc: forget a former scan */
	while (r == 0 && (c = getopt_long(argc, argv, "c:o:s:", long_options, NULL)) != -1)
		r = take_option(&o, c, ret_why);
	if (r == 0 && o.id == ROOMCTL_COMMANDS)
		r = take_command(&o, argv + optind, argc - optind, ret_why);
	if (r == 0)
		r = check_options(&o, ret_why);
	if (r == 0)
		*ret = o;
	return r;
}

/* What daemon and database may know as a room: a number, conversation_42, or four letters. */
static bool is_room(const char *argument)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	int64_t number;

	return s4_room_id(str_of(argument), S4_ROOM_CONV, &number) == 0 ||
	       (strlen(argument) == CODE_LEN && strspn(argument, letters) == CODE_LEN);
}

static bool is_worker(const char *argument)
{
	int64_t number;

	return str_to_i64(str_of(argument), &number) == 0 && number >= 0;
}

int roomctl_options_line(const struct roomctl_options *o, struct buf *ret, struct buf *ret_why)
{
	const struct roomctl_command *c = &roomctl_commands[o->id];
	const char *argument = o->argument ? o->argument : "";

	for (const char *p = argument; *p; p++) {
		if ((unsigned char)*p > ' ' && *p != 0x7f)
			continue;
		buf_printf(ret_why, "%s may hold neither blanks nor control characters\n",
			   c->argument);
		return -ERR_INVAL;
	}
	if (strcmp(c->argument, "ID") == 0 && !is_room(argument)) {
		buf_printf(ret_why, "\"%s\" is neither number nor code of a room\n", argument);
		return -ERR_INVAL;
	}
	if (strcmp(c->argument, "WORKER") == 0 && !is_worker(argument)) {
		buf_printf(ret_why, "\"%s\" is no number of a worker\n", argument);
		return -ERR_INVAL;
	}
	buf_add_cstr(ret, c->words);
	if (o->argument)
		buf_printf(ret, " %s", argument);
	return 0;
}

/* ---- The socket ---- */

void roomctl_options_socket(const struct roomctl_options *o, struct buf *ret)
{
	struct settings *s = settings_new();
	struct buf faults = BUF_INIT;
	const char *path = o->socket;
	int r = 0;

	if (!path) {
		r = settings_read_file(s, options_file(&o->common), &faults);
		for (int i = 0; i < o->common.n_assign; i++)
			r |= settings_assign(s, str_of(o->common.assign[i]), &faults);
		path = s->control_socket;
	}
	(void)r; /* what could be read is enough */
	buf_add(ret, path, strlen(path) + 1);
	buf_done(&faults);
	settings_free(&s);
}
