/* SPDX-License-Identifier: MIT */
/*
 * Signatures of tokens (RFC 7515 with RFC 7518 section 3.2 and RFC 8037 section 3.1): bytes in,
 * signature out. What stands in a token is token.c's.
 */
#ifndef WORKER_JWS_H
#define WORKER_JWS_H

#include "worker/keyring.h"

#define JWS_HS256_BYTES 32
#define JWS_SIGNATURE_MAX 64 /* Ed25519 */

/* The name in "alg" of what KEY makes: "HS256" or "EdDSA". Static. */
struct str jws_alg(const struct key *key);

/*
 * Signs INPUT, the text "header.payload" (RFC 7515 section 5.1), with a token key. Returns 0 with
 * *RET_LEN bytes in RET, or -ERR_IO.
 */
int jws_sign(const struct key *key, struct str input, uint8_t ret[JWS_SIGNATURE_MAX],
	     size_t *ret_len) MUST_CHECK;

/* HMAC-SHA-256 of INPUT under a key of any length. Returns 0 or -ERR_IO. */
int jws_hs256(struct str key, struct str input, uint8_t ret[JWS_HS256_BYTES]) MUST_CHECK;

/* Whether SIGNATURE is KEY's for INPUT; compares in constant time. */
bool jws_verify(const struct key *key, struct str input, struct str signature);

#endif
