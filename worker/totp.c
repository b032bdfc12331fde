/* SPDX-License-Identifier: MIT */
/*
 * One-time passwords: HOTP (RFC 4226) of the time's step.
 * One HMAC of a library that is linked anyway: liboath would bring another one for it.
 */
#include "worker/totp_priv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "proto/http_field.h"

#define RECOVERY_BYTES 10
#define RECOVERY_GROUP 4 /* characters between '-' */

int totp_code(const struct totp_rule *rule, struct str secret, int64_t counter,
	      char ret[TOTP_DIGITS_MAX + 1])
{
	uint8_t message[8], hash[EVP_MAX_MD_SIZE];
	uint32_t value, limit = 1;
	unsigned len = 0, at;

	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)((uint64_t)counter >> (56 - 8 * i));
	if (!HMAC(EVP_get_digestbyname(rule->digest), secret.p, (int)secret.len, message,
		  sizeof(message), hash, &len) ||
	    len < SHA_DIGEST_LENGTH)
		return -ERR_IO;
	/* RFC 4226 section 5.3: four bytes at a place that the last byte names, without the sign */
	at = hash[len - 1] & 0xf;
	value = (uint32_t)(hash[at] & 0x7f) << 24 | (uint32_t)hash[at + 1] << 16 |
		(uint32_t)hash[at + 2] << 8 | hash[at + 3];
	for (unsigned i = 0; i < rule->digits; i++)
		limit *= 10;
	snprintf(ret, TOTP_DIGITS_MAX + 1, "%0*" PRIu32, (int)rule->digits, value % limit);
	return 0;
}

int totp_secret(uint8_t ret[TOTP_SECRET_BYTES])
{
	return RAND_bytes(ret, TOTP_SECRET_BYTES) == 1 ? 0 : -ERR_IO;
}

void totp_secret_text(struct str secret, struct buf *out)
{
	base32_add(out, secret.p, secret.len);
}

void totp_uri(struct str secret, struct str issuer, struct str account, struct buf *out)
{
	buf_add_cstr(out, "otpauth://totp/");
	http_add_escaped(out, issuer);
	buf_add_char(out, ':');
	http_add_escaped(out, account);
	buf_add_cstr(out, "?secret=");
	totp_secret_text(secret, out);
	buf_add_cstr(out, "&issuer=");
	http_add_escaped(out, issuer);
	buf_printf(out, "&algorithm=SHA1&digits=%d&period=%d", TOTP_DIGITS, TOTP_STEP_S);
}

/* The digits of what was typed; false for anything that is no code. */
static bool take_digits(struct str typed, char ret[TOTP_DIGITS])
{
	size_t n = 0;

	for (size_t i = 0; i < typed.len; i++) {
		if (typed.p[i] == ' ')
			continue;
		if (typed.p[i] < '0' || typed.p[i] > '9' || n == TOTP_DIGITS)
			return false;
		ret[n++] = typed.p[i];
	}
	return n == TOTP_DIGITS;
}

int totp_check(struct str secret, struct str code, int64_t now_ms, int64_t last_counter,
	       int64_t *ret_counter)
{
	static const struct totp_rule rule = {"SHA1", TOTP_DIGITS};
	int64_t now = now_ms / 1000 / TOTP_STEP_S, found = 0;
	char typed[TOTP_DIGITS], right[TOTP_DIGITS_MAX + 1];

	if (secret.len == 0 || !take_digits(code, typed))
		return -ERR_DENIED;
	for (int64_t c = now - TOTP_WINDOW; c <= now + TOTP_WINDOW; c++) {
		if (totp_code(&rule, secret, c, right) < 0)
			return -ERR_IO;
		/* the earliest that fits: the later one, should they be equal, stays good */
		if (CRYPTO_memcmp(typed, right, TOTP_DIGITS) == 0 && c > last_counter && !found)
			found = c;
	}
	explicit_bzero(right, sizeof(right));
	if (!found)
		return -ERR_DENIED;
	*ret_counter = found;
	return 0;
}

static void recovery_format(const uint8_t bytes[RECOVERY_BYTES], char ret[TOTP_RECOVERY_LEN + 1])
{
	struct buf text = BUF_INIT;
	size_t n = 0;

	base32_add(&text, bytes, RECOVERY_BYTES);
	for (size_t i = 0; i < text.len; i++) {
		if (i && i % RECOVERY_GROUP == 0)
			ret[n++] = '-';
		ret[n++] = (char)text.p[i];
	}
	assert(n == TOTP_RECOVERY_LEN);
	ret[n] = '\0';
	explicit_bzero(text.p, text.len);
	buf_done(&text);
}

int totp_recovery(char ret[TOTP_RECOVERY_CODES][TOTP_RECOVERY_LEN + 1])
{
	uint8_t random[TOTP_RECOVERY_CODES][RECOVERY_BYTES];

	if (RAND_bytes(&random[0][0], sizeof(random)) != 1)
		return -ERR_IO;
	for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++)
		recovery_format(random[i], ret[i]);
	explicit_bzero(random, sizeof(random));
	return 0;
}

int totp_recovery_hash(struct str text, uint8_t ret[TOTP_HASH_BYTES])
{
	struct buf bytes = BUF_INIT;
	bool is_code = text.len <= 4 * TOTP_RECOVERY_LEN && base32_take(&bytes, text) == 0 &&
		       bytes.len == RECOVERY_BYTES;

	if (is_code)
		SHA256(bytes.p, bytes.len, ret);
	if (bytes.p)
		explicit_bzero(bytes.p, bytes.len);
	buf_done(&bytes);
	return is_code ? 0 : -ERR_INVAL;
}
