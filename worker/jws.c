/* SPDX-License-Identifier: MIT */
/*
 * Two ways to sign: HMAC-SHA-256 and Ed25519.
 * libjwt would do the first one only: the version that Debian 12 has knows no EdDSA.
 */
#include "worker/jws.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

struct str jws_alg(const struct key *key)
{
	return key->use == KEY_ED25519 ? STR("EdDSA") : STR("HS256");
}

int jws_hs256(struct str key, struct str input, uint8_t ret[JWS_HS256_BYTES])
{
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), key.p, (int)key.len, (const uint8_t *)input.p, input.len, ret,
		  &len))
		return -ERR_IO;
	return len == JWS_HS256_BYTES ? 0 : -ERR_IO;
}

static bool hmac(const struct key *key, struct str input, uint8_t *ret)
{
	return jws_hs256((struct str){(const char *)key->bytes, KEY_BYTES}, input, ret) == 0;
}

static bool ed25519_sign(const struct key *key, struct str input, uint8_t ret[JWS_SIGNATURE_MAX])
{
	EVP_PKEY *pkey =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key->bytes, KEY_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = JWS_SIGNATURE_MAX;
	bool is_done = pkey && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		       EVP_DigestSign(ctx, ret, &len, (const uint8_t *)input.p, input.len) == 1 &&
		       len == JWS_SIGNATURE_MAX;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return is_done;
}

static bool ed25519_verify(const struct key *key, struct str input, struct str signature)
{
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->pub, KEY_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool is_good = pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		       EVP_DigestVerify(ctx, (const uint8_t *)signature.p, signature.len,
					(const uint8_t *)input.p, input.len) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return is_good;
}

int jws_sign(const struct key *key, struct str input, uint8_t ret[JWS_SIGNATURE_MAX],
	     size_t *ret_len)
{
	bool is_done = false;

	if (key->use == KEY_ED25519)
		is_done = ed25519_sign(key, input, ret);
	else if (key->use == KEY_HS256)
		is_done = hmac(key, input, ret);
	if (!is_done)
		return -ERR_IO;
	*ret_len = key->use == KEY_ED25519 ? JWS_SIGNATURE_MAX : JWS_HS256_BYTES;
	return 0;
}

bool jws_verify(const struct key *key, struct str input, struct str signature)
{
	uint8_t own[JWS_SIGNATURE_MAX];

	if (key->use == KEY_ED25519)
		return ed25519_verify(key, input, signature);
	return key->use == KEY_HS256 && signature.len == JWS_HS256_BYTES &&
	       hmac(key, input, own) &&
	       CRYPTO_memcmp(own, signature.p, JWS_HS256_BYTES) == 0;
}
