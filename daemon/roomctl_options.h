/* SPDX-License-Identifier: MIT */
/*
 * The command line of roomctl, and where it finds the daemon.
 */
#ifndef DAEMON_ROOMCTL_OPTIONS_H
#define DAEMON_ROOMCTL_OPTIONS_H

#include "daemon/options.h"

enum roomctl_id {
#define X(id, words, argument, asks, help) ROOMCTL_##id,
#include "daemon/roomctl.def"
#undef X
	ROOMCTL_COMMANDS
};

struct roomctl_command {
	const char *words;    /* "room show" */
	const char *argument; /* its name in the help, "" for none; in brackets: may be left out */
	bool asks_daemon;     /* goes to the control socket */
	const char *help;
};

extern const struct roomctl_command roomctl_commands[ROOMCTL_COMMANDS];

struct roomctl_options {
	struct options common; /* -c and -o */
	const char *socket;    /* -s, borrowed from argv; NULL: control.socket */
	bool is_json, is_check;
	bool is_verify;			   /* of "audit" */
	bool is_admin, is_off, is_end;	   /* of "user add", "user admin", "user sessions" */
	const char *email, *full_name;	   /* of "user add", borrowed from argv; NULL: none */
	enum roomctl_id id;
	const char *argument; /* borrowed from argv; NULL when there is none */
};

/*
 * Reads the command line; options may stand anywhere. Returns 0, or -ERR_INVAL after a line for
 * people in *RET_WHY (may be empty: getopt has spoken).
 */
int roomctl_options_parse(int argc, char **argv, struct roomctl_options *ret,
			  struct buf *ret_why) MUST_CHECK;

/* Appends the text of help. */
void roomctl_options_help(struct buf *ret);

/*
 * The line for the control socket, without its end. Returns 0, or -ERR_INVAL after a line in
 * *RET_WHY when the argument could not be one.
 */
int roomctl_options_line(const struct roomctl_options *o, struct buf *ret,
			 struct buf *ret_why) MUST_CHECK;

/*
 * Appends the path of the control socket, NUL-terminated: -s, else control.socket. A configuration
 * with faults, or one that may not be read, is no hindrance: the daemon may be running, and be
 * asked about just that.
 */
void roomctl_options_socket(const struct roomctl_options *o, struct buf *ret);

#endif
