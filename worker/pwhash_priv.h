/* SPDX-License-Identifier: MIT */
/*
 * What the files of pwhash share: hashing itself, the text of a hash, and who may hash now.
 */
#ifndef WORKER_PWHASH_PRIV_H
#define WORKER_PWHASH_PRIV_H

#include "worker/pwhash.h"

/* Argon2id ---------------------------------------------------------------------------- */

#define ARGON_SALT_BYTES 16 /* of new hashes, RFC 9106 section 3.1 */
#define ARGON_TAG_BYTES 32
#define ARGON_PART_MAX 64   /* longest salt or tag of a stored hash */
#define ARGON_PASSES_MAX 64
#define ARGON_LANES_MAX 16

struct argon_rule {
	uint32_t memory_kib, passes, lanes;
};

/* A stored hash: $argon2id$v=19$m=19456,t=2,p=1$SALT$TAG, or bcrypt's own text. */
struct phc {
	enum { PHC_ARGON2ID, PHC_BCRYPT } kind;
	struct argon_rule rule; /* PHC_ARGON2ID, as the next ones */
	uint8_t salt[ARGON_PART_MAX], tag[ARGON_PART_MAX];
	size_t salt_len, tag_len;
};

/* Returns 0; -ERR_INVAL for any other text; -ERR_TOOBIG for more work than anybody should ask. */
int phc_parse(struct str text, struct phc *ret) MUST_CHECK;

/* Appends the text of an Argon2id hash. */
void phc_format(const struct phc *phc, struct buf *out);

struct argon_input {
	struct str password, salt, secret, data; /* the last two: for the test vectors alone */
};

/*
 * TAG_LEN bytes into TAG, in this thread alone whatever the number of lanes. The memory is mapped
 * for this call and given back. Returns 0 or -ERR_IO.
 */
int argon_hash(const struct argon_rule *rule, const struct argon_input *in, uint8_t *tag,
	       size_t tag_len) MUST_CHECK;

/* bcrypt ------------------------------------------------------------------------------ */

#define BCRYPT_PASSWORD_MAX 72 /* it sees no further */
#define BCRYPT_COST_MAX 15     /* 2^15 rounds take seconds already */

/* Whether TEXT has the form of a bcrypt hash: 0, -ERR_INVAL, -ERR_TOOBIG. */
int bcrypt_parse(struct str text) MUST_CHECK;

/*
 * Compares. A password that bcrypt would not see as a whole (over 72 bytes, or with a NUL) takes as
 * long and never matches. Returns 0 or -ERR_IO.
 */
int bcrypt_verify(struct str password, struct str stored, bool *ret_matches) MUST_CHECK;

/* Permits ----------------------------------------------------------------------------- */

#define PERMITS_MAX 64

/*
 * The right to hash, counted over all processes that share FD: permit I is a lock on one byte far
 * behind the end of that file. The kernel takes it back from a process that dies.
 */
struct permits {
	int fd;
	unsigned limit; /* permits 0 to limit - 1 are in use now */
	unsigned share; /* how many this process takes when the kernel has no locks to give */
	unsigned n_held;
	bool held[PERMITS_MAX]; /* by this process: the kernel does not tell its threads apart */
};

/*
 * Takes N at once or none; those taken are noted in RET (as many bools, set for those). False: come
 * again. One thread at a time.
 */
bool permits_take(struct permits *p, unsigned n, bool ret[PERMITS_MAX]);
void permits_give(struct permits *p, const bool taken[PERMITS_MAX]);

#endif
