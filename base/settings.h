/* SPDX-License-Identifier: MIT */
/*
 * Settings: declared in settings.def, read from file, environment and command line, checked,
 * printed. Everything here is generated from that table; nobody else parses the file.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/base.h"
#include "base/buf.h"
#include "base/rate.h"

enum setting_type {
	SETTING_BOOL,	  /* bool: on, off (also yes/no, true/false, 1/0) */
	SETTING_INT,	  /* int64_t: plain number */
	SETTING_SIZE,	  /* int64_t bytes: 64k, 16M, 1G */
	/* int64_t milliseconds: 500ms, 10s, 5m, 1h, 7d; a bare number is in seconds */
	SETTING_DURATION,
	SETTING_STRING,	  /* char *, owned, never NULL */
	SETTING_LIST,	  /* char *, owned: items separated by commas or blanks, kept as written */
	SETTING_ENUM,	  /* int64_t index into the choices, which UNIT lists as a|b|c */
	SETTING_RATE,	  /* struct rate: 100/15m, 20/s burst 40, off */
};

enum setting_apply {
	SETTING_LIVE,	 /* a reload applies it */
	SETTING_RESTART, /* a reload keeps the old value and says so */
};

enum setting_flag {
	SETTING_PLAIN,
	SETTING_SECRET, /* masked wherever settings are printed */
};

/* The values, one field "section_name" per row of settings.def. */
struct settings {
#define SETTING_BOOL_FIELD bool
#define SETTING_INT_FIELD int64_t
#define SETTING_SIZE_FIELD int64_t
#define SETTING_DURATION_FIELD int64_t
#define SETTING_STRING_FIELD char *
#define SETTING_LIST_FIELD char *
#define SETTING_ENUM_FIELD int64_t
#define SETTING_RATE_FIELD struct rate
#define X(section, name, type, def, min, max, unit, apply, flag, help)                             \
	SETTING_##type##_FIELD section##_##name;
#include "base/settings.def"
#undef X
	int lines[0 /* per row: the line of the file that set it, 0 if something else did */
#define X(...) +1
#include "base/settings.def"
#undef X
	];
};

struct setting_info {
	const char *section, *name;
	enum setting_type type;
	const char *def; /* default, as written in the file */
	int64_t min, max; /* numbers: range; strings and lists: length in bytes */
	const char *unit; /* for people; SETTING_ENUM: the choices */
	enum setting_apply apply;
	enum setting_flag flag;
	const char *help;
};

/* The table, ended by a NULL section. */
extern const struct setting_info setting_table[];

/*
 * The choice that the ENUM setting "section.name" has in S: borrowed, static. Empty for any other
 * setting.
 */
struct str settings_choice(const struct settings *s, const char *key);

/* All defaults. Free with settings_free. */
struct settings *settings_new(void);
struct settings *settings_copy(const struct settings *s);
void settings_free(struct settings **s); /* NULL allowed; clears secrets and the pointer */

/*
 * Reads FILE over S. Every fault adds a line "FILE:LINE: text that names the setting" to
 * *RET_FAULTS (an unknown key suggests the nearest known one). Returns 0, -ERR_NOENT (no file),
 * -ERR_IO, -ERR_INVAL.
 */
int settings_read_file(struct settings *s, const char *file, struct buf *ret_faults) MUST_CHECK;

/*
 * PORT (of every address in server.listen), DATABASE_URL, SECRET_KEY over S, where set and not
 * empty. Faults as above.
 */
int settings_read_env(struct settings *s, struct buf *ret_faults) MUST_CHECK;

/*
 * The secrets that are in files of their own (auth.secret_key_file and its like) over S: of those
 * whose file setting differs from BASE's. It is a fault when the secret itself differs as well. No
 * fault tells what is in a file. Faults as above.
 */
int settings_read_secrets(struct settings *s, const struct settings *base,
			  struct buf *ret_faults) MUST_CHECK;

/*
 * The credentials secret_key, previous_keys and database_url of the service manager, those that
 * there are in $CREDENTIALS_DIRECTORY, over S. Faults as above. Returns 0, -ERR_INVAL, or
 * -ERR_DENIED when this process may not enter that directory.
 */
int settings_read_credentials(struct settings *s, struct buf *ret_faults) MUST_CHECK;

/* Adds a line "section.key: reason" and ADVICE for each secret's file that everybody may read. */
void settings_check_secret_files(const struct settings *s, const char *advice,
				 struct buf *ret_report);

/* One "section.key=value" over S, for the command line and for the control channel. */
int settings_assign(struct settings *s, struct str assignment, struct buf *ret_faults) MUST_CHECK;

/*
 * Checks that need more than one setting, and the form of addresses. Faults as above. Returns 0
 * or -ERR_INVAL.
 */
int settings_check(const struct settings *s, struct buf *ret_faults) MUST_CHECK;

/*
 * Appends a line "section.key: reason" for each setting that opens what a server for others must
 * not open: settings_check refuses these in production mode; in development mode they are to be
 * warned of.
 */
void settings_check_mode(const struct settings *s, bool is_production, struct buf *ret);

/*
 * Puts "FILE:LINE: " before each line of *FAULTS, from byte FROM on, that begins with the name of a
 * setting that S has from FILE.
 */
void settings_locate(const struct settings *s, const char *file, size_t from, struct buf *faults);

/* "section.key=value" lines of all settings; secrets as *** unless WITH_SECRETS. */
void settings_print(const struct settings *s, bool with_secrets, struct buf *ret);

/*
 * Hands S, secrets included, to another process: a sealed memfd with the lines of settings_print.
 * The caller closes *RET_FD. Returns 0 or -ERR_IO.
 */
int settings_to_memfd(const struct settings *s, int *ret_fd) MUST_CHECK;

/*
 * The other end: settings from such a memfd, which stays open. The caller frees *RET. Returns 0,
 * -ERR_IO, -ERR_DENIED when FD is not sealed, -ERR_INVAL.
 */
int settings_from_memfd(int fd, struct settings **ret) MUST_CHECK;

/*
 * What a reload from OLD to NEW does: each changed key is appended as a line "applied
 * section.key" or "restart section.key"; values that need a restart are put back to OLD's in NEW.
 */
void settings_diff(const struct settings *old, struct settings *new, struct buf *ret);

/* The table as JSON, as an mdoc list or as a sample file. FORMAT is "json", "mdoc" or "conf". */
int settings_describe(const char *format, struct buf *ret) MUST_CHECK;

/*
 * Walks a LIST value: *POS starts at 0; false at the end. Items are borrowed from VALUE.
 */
bool settings_list_next(const char *value, size_t *pos, struct str *ret_item);

/*
 * Splits "host:port", "[ipv6]:port" or "*:port" into borrowed parts; "*" gives an empty host,
 * brackets are left out. Port 0 is allowed (the system chooses). Returns 0 or -ERR_INVAL.
 */
int settings_split_address(struct str address, struct str *ret_host, uint16_t *ret_port) MUST_CHECK;

#endif
