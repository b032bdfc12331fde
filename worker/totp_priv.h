/* SPDX-License-Identifier: MIT */
/*
 * The bare computation, with what RFC 6238 leaves open: for its test vectors.
 */
#ifndef WORKER_TOTP_PRIV_H
#define WORKER_TOTP_PRIV_H

#include "worker/totp.h"

#define TOTP_DIGITS_MAX 8

struct totp_rule {
	const char *digest; /* "SHA1", "SHA256", "SHA512" */
	unsigned digits;    /* 6 to 8 */
};

/* The code of COUNTER and a NUL (RFC 4226 section 5.3). Returns 0 or -ERR_IO. */
int totp_code(const struct totp_rule *rule, struct str secret, int64_t counter,
	      char ret[TOTP_DIGITS_MAX + 1]) MUST_CHECK;

#endif
