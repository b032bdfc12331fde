/* SPDX-License-Identifier: MIT */
/*
 * Sealed secrets: kid, nonce, cipher text, tag; kid and owner are under the seal as well.
 * Cookies have a form of their own: cookie.c.
 */
#include "worker/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "worker/keyring.h"

#define NONCE_LEN 12
#define TAG_LEN 16

_Static_assert(SEAL_EXTRA == KEY_ID_LEN + NONCE_LEN + TAG_LEN, "seal.h");

/* What is authenticated beside the secret. */
struct label {
	char kid[KEY_ID_LEN];
	uint8_t owner[8]; /* big-endian */
};

static struct label label_of(const struct key *key, int64_t owner)
{
	struct label l;

	memcpy(l.kid, key->kid, KEY_ID_LEN);
	for (int i = 0; i < 8; i++)
		l.owner[i] = (uint8_t)((uint64_t)owner >> (56 - 8 * i));
	return l;
}

static bool encrypt(EVP_CIPHER_CTX *ctx, const struct key *key, const struct label *label,
		    const uint8_t *nonce, struct str in, uint8_t *out, uint8_t *tag)
{
	int n;

	return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
	       EVP_EncryptUpdate(ctx, NULL, &n, (const uint8_t *)label, sizeof(*label)) == 1 &&
	       EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)in.p, (int)in.len) == 1 &&
	       EVP_EncryptFinal_ex(ctx, out + n, &n) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, tag) == 1;
}

static bool decrypt(EVP_CIPHER_CTX *ctx, const struct key *key, const struct label *label,
		    const uint8_t *nonce, struct str in, uint8_t *out, uint8_t *tag)
{
	int n;

	return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce) == 1 &&
	       EVP_DecryptUpdate(ctx, NULL, &n, (const uint8_t *)label, sizeof(*label)) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, (const uint8_t *)in.p, (int)in.len) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + n, &n) == 1;
}

int seal_add(const struct keyring *ring, int64_t owner, struct str secret, struct buf *out)
{
	const struct key *key = keyring_current(ring, KEY_SECRET);
	struct label label = label_of(key, owner);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *p = buf_reserve(out, secret.len + SEAL_EXTRA);
	uint8_t *nonce = p + KEY_ID_LEN, *text = nonce + NONCE_LEN;
	bool is_done;

	memcpy(p, key->kid, KEY_ID_LEN);
	is_done = ctx && secret.len < INT_MAX && RAND_bytes(nonce, NONCE_LEN) == 1 &&
		  encrypt(ctx, key, &label, nonce, secret, text, text + secret.len);
	EVP_CIPHER_CTX_free(ctx);
	if (!is_done)
		return -ERR_IO;
	buf_commit(out, secret.len + SEAL_EXTRA);
	return 0;
}

int seal_open(const struct keyring *ring, int64_t owner, struct str sealed, struct buf *out)
{
	const struct key *key;
	struct label label;
	EVP_CIPHER_CTX *ctx;
	struct str text;
	uint8_t tag[TAG_LEN];
	bool is_good;

	if (sealed.len < SEAL_EXTRA || sealed.len > INT_MAX)
		return -ERR_DENIED;
	key = keyring_find(ring, KEY_SECRET, (struct str){sealed.p, KEY_ID_LEN});
	if (!key)
		return -ERR_DENIED;
	label = label_of(key, owner);
	text = (struct str){sealed.p + KEY_ID_LEN + NONCE_LEN, sealed.len - SEAL_EXTRA};
	memcpy(tag, text.p + text.len, TAG_LEN);
	ctx = EVP_CIPHER_CTX_new();
	is_good = ctx && decrypt(ctx, key, &label, (const uint8_t *)sealed.p + KEY_ID_LEN, text,
				 buf_reserve(out, text.len + 1), tag);
	EVP_CIPHER_CTX_free(ctx);
	if (!is_good)
		return -ERR_DENIED;
	buf_commit(out, text.len);
	return 0;
}

bool seal_is_current(const struct keyring *ring, struct str sealed)
{
	return sealed.len >= KEY_ID_LEN &&
	       memcmp(sealed.p, keyring_current(ring, KEY_SECRET)->kid, KEY_ID_LEN) == 0;
}
