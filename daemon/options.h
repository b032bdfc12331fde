/* SPDX-License-Identifier: MIT */
/*
 * The command line, and the settings that it leads to.
 */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H

#include "base/buf.h"
#include "base/settings.h"

enum options_action {
	ACTION_RUN,
	ACTION_CHECK,	 /* -t */
	ACTION_PRINT,	 /* -T */
	ACTION_DESCRIBE, /* --describe TABLE */
	ACTION_VERSION,
	ACTION_HELP,
};

/* Most -o on one command line. */
#define OPTIONS_ASSIGN_MAX 64

struct options {
	enum options_action action;
	const char *file; /* borrowed from argv; NULL: the default one, which may be missing */
	bool is_foreground;
	bool is_conformance; /* --conformance */
	const char *assign[OPTIONS_ASSIGN_MAX]; /* borrowed from argv */
	int n_assign;
	const char *table, *format; /* of --describe */
};

/*
 * Reads the command line. Returns 0, or -ERR_INVAL after a line for people in *RET_WHY (may be
 * empty: getopt has spoken).
 */
int options_parse(int argc, char **argv, struct options *ret, struct buf *ret_why) MUST_CHECK;

/* The file that is read: the one given, or the default. */
const char *options_file(const struct options *opt);

/* Adds one -o, whose text is borrowed. Returns 0, or -ERR_INVAL after a line in *RET_WHY. */
int options_assign(struct options *opt, const char *text, struct buf *ret_why) MUST_CHECK;

/* The text of --help. */
extern const char options_help[];

/*
 * Settings from default, file, environment and command line, checked. Every fault is one line of
 * *RET_FAULTS. Returns 0 or -ERR_INVAL. The caller frees *RET.
 */
int options_load(const struct options *opt, struct settings **ret,
		 struct buf *ret_faults) MUST_CHECK;

#endif
