/* SPDX-License-Identifier: MIT */
/*
 * Secrets to keys: one derivation per use, ids from hashes, look-up by id.
 * The oldest secrets stay good for what they made until they leave auth.previous_keys.
 */
#include "worker/keyring.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/log.h"
#include "worker/worker.h"

/*
 * What sets the derived keys apart (HKDF's info), and this program's from any other's that was
 * given the same secret (HKDF's salt). Changing a word here ends every token and cookie.
 */
static const char salt[] = "roomd keyring 1";
static const char *const infos[KEY_USES] = {
	[KEY_HS256] = "token HS256",
	[KEY_ED25519] = "token EdDSA",
	[KEY_COOKIE] = "cookie AES-256-GCM",
	[KEY_SECRET] = "stored secret AES-256-GCM",
	[KEY_REFRESH] = "refresh token HMAC-SHA-256",
};

struct keyring {
	size_t n; /* secrets; the first one makes new things */
	enum key_use signer;
	int64_t access_ttl_ms;
	struct key keys[KEYS_MAX][KEY_USES];
};

static bool derive(struct str secret, const char *info, uint8_t ret[KEY_BYTES])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret.p, secret.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
						  sizeof(salt) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info, strlen(info)),
		OSSL_PARAM_construct_end(),
	};
	bool is_done = ctx && EVP_KDF_derive(ctx, ret, KEY_BYTES, params) == 1;

	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return is_done;
}

static bool derive_public(struct key *k)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, k->bytes, KEY_BYTES);
	size_t len = KEY_BYTES;
	bool is_done = pkey && EVP_PKEY_get_raw_public_key(pkey, k->pub, &len) == 1;

	EVP_PKEY_free(pkey);
	return is_done;
}

static void name_key(struct key *k)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *of = k->use == KEY_ED25519 ? k->pub : k->bytes;
	uint8_t hash[SHA256_DIGEST_LENGTH];

	SHA256(of, KEY_BYTES, hash);
	for (size_t i = 0; i < KEY_ID_LEN; i++)
		k->kid[i] = hex[hash[i / 2] >> (i % 2 ? 0 : 4) & 0xf];
	k->kid[KEY_ID_LEN] = '\0';
	memcpy(&k->id, hash, sizeof(k->id));
}

static bool key_make(struct key *k, enum key_use use, struct str secret)
{
	*k = (struct key){.use = use};
	if (!derive(secret, infos[use], k->bytes))
		return false;
	if (use == KEY_ED25519 && !derive_public(k))
		return false;
	name_key(k);
	return true;
}

static bool add_secret(struct keyring *ring, struct str secret)
{
	if (ring->n == KEYS_MAX)
		return true; /* settings_check refused it; the newest come first */
	for (enum key_use use = 0; use < KEY_USES; use++)
		if (!key_make(&ring->keys[ring->n][use], use, secret))
			return false;
	ring->n++;
	return true;
}

static bool add_unknowable(struct keyring *ring)
{
	uint8_t random[KEY_BYTES];
	bool is_done = RAND_bytes(random, sizeof(random)) == 1 &&
		       add_secret(ring, (struct str){(char *)random, sizeof(random)});

	explicit_bzero(random, sizeof(random));
	return is_done;
}

int keyring_new(const struct settings *s, struct keyring **ret)
{
	struct keyring *ring = xcalloc(1, sizeof(*ring));
	struct str secret = str_of(s->auth_secret_key);
	size_t pos = 0;
	bool is_good;

	ring->access_ttl_ms = s->auth_access_ttl;
	ring->signer = str_eq(settings_choice(s, "auth.token_alg"), STR("EdDSA")) ? KEY_ED25519
										   : KEY_HS256;
	is_good = secret.len ? add_secret(ring, secret) : add_unknowable(ring);
	while (is_good && settings_list_next(s->auth_previous_keys, &pos, &secret))
		is_good = add_secret(ring, secret);
	if (!is_good) {
		keyring_free(&ring);
		return -ERR_IO;
	}
	*ret = ring;
	return 0;
}

void keyring_free(struct keyring **ring)
{
	if (*ring)
		explicit_bzero(*ring, sizeof(**ring));
	free(*ring);
	*ring = NULL;
}

const struct key *keyring_current(const struct keyring *ring, enum key_use use)
{
	return &ring->keys[0][use];
}

const struct key *keyring_signer(const struct keyring *ring)
{
	return keyring_current(ring, ring->signer);
}

const struct key *keyring_find(const struct keyring *ring, enum key_use use, struct str kid)
{
	for (size_t i = 0; i < ring->n; i++)
		if (str_eq(kid, str_of(ring->keys[i][use].kid)))
			return &ring->keys[i][use];
	return NULL;
}

bool keyring_has(const struct keyring *ring, uint32_t id)
{
	for (size_t i = 0; i < ring->n; i++)
		for (size_t use = 0; use < KEY_USES; use++)
			if (ring->keys[i][use].id == id)
				return true;
	return id == 0;
}

int64_t keyring_access_ttl_ms(const struct keyring *ring)
{
	return ring->access_ttl_ms;
}

bool keyring_load(struct worker *wk)
{
	struct keyring *next;

	if (keyring_new(wk->settings, &next) < 0) {
		log_error("keys cannot be derived: the crypto library refused");
		return wk->keyring;
	}
	keyring_free(&wk->keyring);
	wk->keyring = next;
	return true;
}
