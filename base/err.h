/* SPDX-License-Identifier: MIT */
/*
 * Error codes of base, proto, shm and sql: functions return 0 or the negative of one of these.
 * What a client is told comes from proto/errors.def, not from here.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define ERR_TABLE(X)                                                                               \
	X(NOMEM, "out of memory")                                                                  \
	X(INVAL, "invalid value")                                                                  \
	X(FULL, "a fixed table is full")                                                           \
	X(NOENT, "not found")                                                                      \
	X(EXISTS, "exists already")                                                                \
	X(IO, "input or output failed")                                                            \
	X(TOOBIG, "larger than its limit")                                                         \
	X(PROTO, "the peer broke the protocol")                                                    \
	X(AGAIN, "more input or another attempt is needed")                                        \
	X(CLOSED, "closed")                                                                        \
	X(TIMEOUT, "took too long")                                                                \
	X(LAPPED, "overtaken by the writers of the ring")                                          \
	X(DIRTY, "taken over from a dead owner and not yet repaired")                              \
	X(CORRUPT, "a broken promise in shared memory or a stored record")                         \
	X(DENIED, "not allowed")                                                                   \
	X(DB, "the database refused or failed")                                                    \
	X(UNAVAILABLE, "the database cannot be reached")                                           \
	X(UNSUPPORTED, "not supported")

enum err {
	ERR_NONE,
#define X(name, text) ERR_##name,
	ERR_TABLE(X)
#undef X
};

/* Text for 0, ERR_x or -ERR_x; "unknown error" for anything else. Static, never NULL. */
const char *err_text(int err);

/* Short name such as "NOMEM" for logs and metrics; "OK" for 0. Static, never NULL. */
const char *err_name(int err);

#endif
