/* SPDX-License-Identifier: MIT */
/*
 * What clients are told when something is wrong: the table errors.def and the detail of one fault.
 * Writing a fault in a dialect's own form is the dialect's work.
 */
#ifndef PROTO_ERRORS_H
#define PROTO_ERRORS_H

#include "base/base.h"
#include "base/buf.h"

enum proto_error {
	E_NONE,
#define X(name, code, http_status, ws_close, text) E_##name,
#include "proto/errors.def"
#undef X
	E_COUNT
};

struct error_info {
	const char *name;   /* as in the source: "NO_SUCH_ROOM" */
	const char *code;   /* on the wire: "no_such_room" */
	int http_status;
	uint16_t ws_close;  /* 0: this error does not close a socket */
	const char *text;   /* English sentence */
};

/* The row of E; the row of E_INTERNAL for E_NONE and unknown values. Static, never NULL. */
const struct error_info *error_info(enum proto_error e);

/* The whole table as a JSON array of objects. */
void errors_describe(struct buf *b);

/* The table as rows of a manual page, in mdoc. */
void errors_describe_mdoc(struct buf *b);

/* What is wrong with a field; the dialects that name kinds (S1's 422) take them from here. */
enum fault_kind {
	FAULT_OTHER,
	FAULT_MISSING,	 /* required and absent */
	FAULT_TYPE,	 /* of another JSON type */
	FAULT_TOO_SHORT, /* fewer characters than BOUND */
	FAULT_TOO_LONG,	 /* more characters than BOUND */
	FAULT_TOO_SMALL, /* number below BOUND */
	FAULT_TOO_LARGE, /* number above BOUND */
	FAULT_VALUE,	 /* right type and size, not allowed: control characters, a bad id */
};

/* One refusal. By value; nothing to free. */
struct fault {
	enum proto_error error;
	enum fault_kind kind;
	const char *field; /* static; NULL when the whole input is meant */
	int64_t bound;	   /* see fault_kind */
	char text[256];	   /* sentence that names the field, never the client's text */
};

/* Fills *RET with an error as a whole and its text from the table. */
void fault_set(struct fault *ret, enum proto_error error);

/* Fills *RET with E_INVAL's class for FIELD and builds the sentence. FIELD must be static. */
void fault_field(struct fault *ret, enum fault_kind kind, const char *field, int64_t bound);

#endif
