/* SPDX-License-Identifier: MIT */
/*
 * One-time passwords by time (RFC 6238, over RFC 4226), and recovery codes for who lost the device.
 * Pure computation: what is stored, and how often one may try, is for others.
 */
#ifndef WORKER_TOTP_H
#define WORKER_TOTP_H

#include "base/base.h"
#include "base/buf.h"

#define TOTP_SECRET_BYTES 20 /* as long as SHA-1's output, RFC 4226 section 4 */
#define TOTP_STEP_S 30
#define TOTP_DIGITS 6
#define TOTP_WINDOW 1	     /* steps before and after the present one that are accepted */
#define TOTP_RECOVERY_CODES 10
#define TOTP_RECOVERY_LEN 19 /* 16 base32 characters, 80 bits, in groups of four with '-' */
#define TOTP_HASH_BYTES 32

/* A new secret. Returns 0 or -ERR_IO. */
int totp_secret(uint8_t ret[TOTP_SECRET_BYTES]) MUST_CHECK;

/* Appends SECRET in base32, the form in which it is typed into an app. */
void totp_secret_text(struct str secret, struct buf *out);

/* Appends the otpauth:// URI for a QR code; ISSUER and ACCOUNT are escaped. */
void totp_uri(struct str secret, struct str issuer, struct str account, struct buf *out);

/*
 * Checks what somebody typed (blanks are skipped) against SECRET at NOW_MS. LAST_COUNTER is the
 * counter of the last code that was accepted, 0 for none: that one and earlier ones are refused, so
 * that no code counts twice. Returns 0 with *RET_COUNTER to be stored in its place (by a statement
 * that only ever raises it), -ERR_DENIED, or -ERR_IO when the crypto library fails.
 */
int totp_check(struct str secret, struct str code, int64_t now_ms, int64_t last_counter,
	       int64_t *ret_counter) MUST_CHECK;

/* TOTP_RECOVERY_CODES new codes, "ABCD-EFGH-IJKL-MNOP" with a NUL. Returns 0 or -ERR_IO. */
int totp_recovery(char ret[TOTP_RECOVERY_CODES][TOTP_RECOVERY_LEN + 1]) MUST_CHECK;

/*
 * SHA-256 of a recovery code as typed: either case, with or without '-' and blanks. 80 random bits
 * need no slow hash. Returns 0, or -ERR_INVAL when TEXT cannot be a recovery code.
 */
int totp_recovery_hash(struct str text, uint8_t ret[TOTP_HASH_BYTES]) MUST_CHECK;

#endif
