/* SPDX-License-Identifier: MIT */
/*
 * roomd's entry point: reads the command line, then checks, prints or runs.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <sysexits.h>

#include "base/log.h"
#include "daemon/check.h"
#include "daemon/describe.h"
#include "daemon/master.h"
#include "daemon/secret.h"
#include "daemon/title.h"

static void print(FILE *to, struct buf *b)
{
	if (b->len)
		fwrite(b->p, 1, b->len, to);
	buf_done(b);
}

static int describe(const struct options *opt)
{
	struct buf text = BUF_INIT;
	int r = describe_table(opt->table, opt->format, &text);

	print(stdout, &text);
	if (r == 0)
		return EX_OK;
	fprintf(stderr, r == -ERR_NOENT ? "roomd: there is no table \"%s\"\n"
					: "roomd: table \"%s\" has no such format\n", opt->table);
	return EX_USAGE;
}

static int open_log(const struct options *opt, const struct settings *s)
{
	enum log_sink sink = (enum log_sink)s->log_format;

	if (sink == LOG_SINK_AUTO && opt->is_foreground)
		sink = LOG_SINK_TEXT;
	return log_init(sink, (enum log_level)(s->log_level + LOG_LEVEL_ERROR));
}

static int run(const struct options *opt)
{
	struct buf faults = BUF_INIT;
	struct settings *s;
	int r = options_load(opt, &s, &faults);

	check_tell(&faults);
	if (r < 0)
		return EX_CONFIG;
	if (open_log(opt, s) < 0) {
		fprintf(stderr, "log.format: there is no journal\n");
		settings_free(&s);
		return EX_CONFIG;
	}
	if (secret_fill(s) < 0) {
		log_error("no key can be drawn: the system has no random numbers");
		settings_free(&s);
		return EX_OSERR;
	}
	return master_run(opt, s);
}

static int act(const struct options *opt)
{
	switch (opt->action) {
	case ACTION_RUN:
		return run(opt);
	case ACTION_CHECK:
	case ACTION_PRINT:
		return check_run(opt, opt->action == ACTION_PRINT);
	case ACTION_DESCRIBE:
		return describe(opt);
	case ACTION_VERSION:
		puts("roomd " PACKAGE_VERSION);
		return EX_OK;
	case ACTION_HELP:
		fputs(options_help, stdout);
		return EX_OK;
	}
	return EX_SOFTWARE;
}

int main(int argc, char **argv)
{
	static struct options opt; /* borrowed by the master for its life */
	struct buf why = BUF_INIT;
	int status;

	argv = title_init(argv);
	if (options_parse(argc, argv, &opt, &why) < 0) {
		print(stderr, &why);
		fputs("Try \"roomd --help\".\n", stderr);
		return EX_USAGE;
	}
	status = act(&opt);
	return status == EX_OK && (ferror(stdout) || fflush(stdout) < 0) ? EX_IOERR : status;
}
