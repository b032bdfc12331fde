/* SPDX-License-Identifier: MIT */
/*
 * The sealed cookie: kid "." base64url of nonce, AES-256-GCM cipher text and tag.
 * The kid is under the seal as well, so that a text belongs to one key only.
 */
#include "worker/cookie_priv.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/base64.h"
#include "proto/json.h"
#include "worker/keyring.h"

#define NONCE_LEN 12 /* NIST SP 800-38D section 8.2.2: random, below 2^32 cookies of one key */
#define TAG_LEN 16
#define DEPTH_MAX 2
#define HEAD_LEN (KEY_ID_LEN + 1) /* kid and '.' */

/* Sealing ---------------------------------------------------------------------------- */

/* What GCM does in both directions with the same arguments. */
struct gcm {
	const struct key *key;
	const uint8_t *nonce;
	struct str in;
	uint8_t *out; /* as long as in */
	uint8_t *tag;
};

static bool gcm_run(EVP_CIPHER_CTX *ctx, const struct gcm *g, bool is_sealing)
{
	int len = 0, aad_len = 0, end_len = 0;

	return EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, g->key->bytes, g->nonce,
				 is_sealing) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &aad_len, (const uint8_t *)g->key->kid, KEY_ID_LEN) ==
		       1 &&
	       EVP_CipherUpdate(ctx, g->out, &len, (const uint8_t *)g->in.p, (int)g->in.len) == 1 &&
	       (is_sealing ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_LEN, g->tag) == 1) &&
	       EVP_CipherFinal_ex(ctx, g->out + len, &end_len) == 1 &&
	       (!is_sealing ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_LEN, g->tag) == 1);
}

static bool gcm(const struct gcm *g, bool is_sealing)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool is_done = ctx && gcm_run(ctx, g, is_sealing);

	EVP_CIPHER_CTX_free(ctx);
	return is_done;
}

bool cookie_seal_text(const struct key *key, struct str plain, struct buf *out)
{
	struct buf raw = BUF_INIT;
	uint8_t *p = buf_reserve(&raw, NONCE_LEN + plain.len + TAG_LEN);
	const struct gcm g = {key, p, plain, p + NONCE_LEN, p + NONCE_LEN + plain.len};
	bool is_done = RAND_bytes(p, NONCE_LEN) == 1 && gcm(&g, true);

	if (is_done) {
		buf_commit(&raw, NONCE_LEN + plain.len + TAG_LEN);
		buf_add_cstr(out, key->kid);
		buf_add_char(out, '.');
		base64_add(out, BASE64_URL, raw.p, raw.len);
	}
	buf_done(&raw);
	return is_done;
}

static bool unseal(const struct keyring *ring, struct str text, struct buf *ret_plain,
		   uint32_t *ret_key)
{
	const struct key *key;
	struct buf raw = BUF_INIT;
	struct str sealed;
	bool is_good = false;

	if (text.len <= HEAD_LEN || text.len > COOKIE_TEXT_MAX || text.p[KEY_ID_LEN] != '.')
		return false;
	key = keyring_find(ring, KEY_COOKIE, (struct str){text.p, KEY_ID_LEN});
	sealed = (struct str){text.p + HEAD_LEN, text.len - HEAD_LEN};
	if (key && base64_take(&raw, BASE64_URL, sealed) == 0 && raw.len > NONCE_LEN + TAG_LEN) {
		size_t len = raw.len - NONCE_LEN - TAG_LEN;
		const struct gcm g = {key, raw.p, {(char *)raw.p + NONCE_LEN, len},
				      buf_reserve(ret_plain, len), raw.p + NONCE_LEN + len};

		is_good = gcm(&g, false);
		if (is_good) {
			buf_commit(ret_plain, len);
			*ret_key = key->id;
		}
	}
	buf_done(&raw);
	return is_good;
}

/* The content ------------------------------------------------------------------------ */

static void add_uuid(struct buf *json, const char *name, const struct uuid *u)
{
	char text[UUID_TEXT_LEN + 1];

	if (uuid_is_zero(u))
		return;
	uuid_format(u, text);
	json_add_key_cstr(json, name, text);
}

static void add_content(const struct cookie *c, struct buf *json)
{
	buf_add_char(json, '{');
	add_uuid(json, "sid", &c->session);
	if (c->user)
		json_add_key_i64(json, "user", c->user);
	add_uuid(json, "uid", &c->uid);
	if (c->name[0])
		json_add_key_cstr(json, "name", c->name);
	if (c->is_guest)
		json_add_key_bool(json, "guest", true);
	if (c->is_admin)
		json_add_key_bool(json, "adm", true);
	if (c->room)
		json_add_key_i64(json, "room", c->room);
	json_add_key_i64(json, "exp", c->expires_ms / 1000);
	buf_add_char(json, '}');
}

static bool get_uuid(const struct json_value *v, const char *name, struct uuid *ret)
{
	const struct json_value *member = json_get(v, name);
	struct str s;

	return !member || (json_to_str(member, &s) && uuid_parse(s, ret) == 0);
}

static bool get_id(const struct json_value *v, const char *name, int64_t *ret)
{
	const struct json_value *member = json_get(v, name);

	return !member || (json_to_i64(member, ret) && *ret > 0);
}

static bool get_flag(const struct json_value *v, const char *name, bool *ret)
{
	const struct json_value *member = json_get(v, name);

	return !member || json_to_bool(member, ret);
}

static bool get_name(const struct json_value *v, struct cookie *c)
{
	const struct json_value *member = json_get(v, "name");
	struct str s;

	if (!member)
		return true;
	if (!json_to_str(member, &s) || s.len > COOKIE_NAME_MAX)
		return false;
	memcpy(c->name, s.p, s.len);
	c->name[s.len] = '\0';
	return true;
}

static bool read_content(const struct json_value *v, struct cookie *c)
{
	int64_t s;

	if (!json_to_i64(json_get(v, "exp"), &s) || s < 0 || s > INT64_MAX / 2000)
		return false;
	c->expires_ms = s * 1000;
	return get_uuid(v, "sid", &c->session) && get_id(v, "user", &c->user) &&
	       get_uuid(v, "uid", &c->uid) && get_flag(v, "guest", &c->is_guest) &&
	       get_flag(v, "adm", &c->is_admin) && get_id(v, "room", &c->room) && get_name(v, c);
}

int cookie_seal(const struct keyring *ring, const struct cookie *c, struct buf *out)
{
	struct buf json = BUF_INIT;
	bool is_done;

	assert(c->expires_ms > 0);
	add_content(c, &json);
	is_done = cookie_seal_text(keyring_current(ring, KEY_COOKIE), buf_str(&json), out);
	buf_done(&json);
	return is_done ? 0 : -ERR_IO;
}

int cookie_open(const struct keyring *ring, struct str text, int64_t now_ms, struct cookie *ret)
{
	struct cookie c = {0};
	struct buf plain = BUF_INIT;
	struct json_doc *doc = NULL;
	bool is_good = unseal(ring, text, &plain, &c.key_id) &&
		       json_parse(buf_str(&plain), DEPTH_MAX, &doc, NULL) == 0 &&
		       read_content(json_root(doc), &c);

	json_doc_free(&doc);
	buf_done(&plain);
	if (!is_good)
		return -ERR_DENIED;
	*ret = c;
	return now_ms < c.expires_ms ? 0 : -ERR_CLOSED;
}

void cookie_add_set(struct buf *out, struct str text, int64_t max_age_s, bool is_secure)
{
	buf_add_cstr(out, COOKIE_FIELD "=");
	buf_add_str(out, text);
	buf_printf(out, "; Path=/; Max-Age=%" PRId64 "; HttpOnly; SameSite=Lax%s", max_age_s,
		   is_secure ? "; Secure" : "");
}
