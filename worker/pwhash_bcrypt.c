/* SPDX-License-Identifier: MIT */
/*
 * bcrypt by libcrypt, only to compare: nothing new is hashed with it.
 */
#include "worker/pwhash_priv.h"

#include <crypt.h>
#include <openssl/crypto.h>

#define TEXT_LEN 60 /* $2b$12$ and 22 + 31 characters of bcrypt's own base64 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool has_tail(struct str text)
{
	for (size_t i = 7; i < text.len; i++)
		if (!is_digit(text.p[i]) && !(text.p[i] >= 'a' && text.p[i] <= 'z') &&
		    !(text.p[i] >= 'A' && text.p[i] <= 'Z') && text.p[i] != '.' && text.p[i] != '/')
			return false;
	return true;
}

int bcrypt_parse(struct str text)
{
	int cost;

	/* $2x$ is a known bug's mark and not taken */
	if (text.len != TEXT_LEN || memcmp(text.p, "$2", 2) != 0 || !text.p[2] ||
	    !strchr("aby", text.p[2]) || text.p[3] != '$' || !is_digit(text.p[4]) ||
	    !is_digit(text.p[5]) || text.p[6] != '$' || !has_tail(text))
		return -ERR_INVAL;
	cost = (text.p[4] - '0') * 10 + text.p[5] - '0';
	if (cost < 4 || cost > 31)
		return -ERR_INVAL;
	return cost > BCRYPT_COST_MAX ? -ERR_TOOBIG : 0;
}

int bcrypt_verify(struct str password, struct str stored, bool *ret_matches)
{
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	char phrase[BCRYPT_PASSWORD_MAX + 1] = "", setting[TEXT_LEN + 1] = "";
	bool is_whole = password.len <= BCRYPT_PASSWORD_MAX &&
			(!password.len || !memchr(password.p, '\0', password.len));
	const char *made;
	int r = -ERR_IO;

	if (password.len)
		memcpy(phrase, password.p, MIN(password.len, BCRYPT_PASSWORD_MAX));
	memcpy(setting, stored.p, MIN(stored.len, TEXT_LEN));
	made = crypt_r(phrase, setting, data);
	if (made && made[0] == '$' && strlen(made) == TEXT_LEN) {
		*ret_matches = is_whole && CRYPTO_memcmp(made, setting, TEXT_LEN) == 0;
		r = 0;
	}
	explicit_bzero(phrase, sizeof(phrase));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return r;
}
