/* SPDX-License-Identifier: MIT */
/*
 * Access tokens: claims to text and back.
 * A token says which key it was made with, never how it is to be checked.
 */
#include "worker/token.h"

#include "base/base64.h"
#include "base/clock.h"
#include "proto/json.h"
#include "worker/jws.h"

#define ISSUER "roomd"
#define AUDIENCE "roomd"
#define DEPTH_MAX 4 /* {"crit":[…]} and the like must be read to be refused */

/* Writing ---------------------------------------------------------------------------- */

static void add_header(const struct key *key, struct buf *out)
{
	struct buf json = BUF_INIT;

	buf_add_char(&json, '{');
	json_add_key_str(&json, "alg", jws_alg(key));
	json_add_key_cstr(&json, "typ", "JWT");
	json_add_key_cstr(&json, "kid", key->kid);
	buf_add_char(&json, '}');
	base64_add(out, BASE64_URL, json.p, json.len);
	buf_done(&json);
}

static void add_uuid(struct buf *json, const char *name, const struct uuid *u)
{
	char text[UUID_TEXT_LEN + 1];

	uuid_format(u, text);
	json_add_key_cstr(json, name, text);
}

static void add_claims(const struct token *t, int64_t issued_s, int64_t expires_s, struct buf *out)
{
	struct buf json = BUF_INIT;

	buf_add_char(&json, '{');
	json_add_key_cstr(&json, "iss", ISSUER);
	json_add_key_cstr(&json, "aud", AUDIENCE);
	add_uuid(&json, "sub", &t->uid);
	json_add_key_i64(&json, "uid", t->user);
	add_uuid(&json, "sid", &t->session);
	json_add_key_cstr(&json, "name", t->name);
	json_add_key_bool(&json, "adm", t->is_admin);
	json_add_key_i64(&json, "iat", issued_s);
	json_add_key_i64(&json, "nbf", issued_s);
	json_add_key_i64(&json, "exp", expires_s);
	buf_add_char(&json, '}');
	base64_add(out, BASE64_URL, json.p, json.len);
	buf_done(&json);
}

int token_issue(const struct keyring *ring, const struct token *t, struct buf *out)
{
	const struct key *key = keyring_signer(ring);
	int64_t issued_ms = t->issued_ms ? t->issued_ms : clock_wall_ms();
	int64_t expires_ms = t->expires_ms ? t->expires_ms
					   : issued_ms + keyring_access_ttl_ms(ring);
	uint8_t signature[JWS_SIGNATURE_MAX];
	struct buf text = BUF_INIT;
	size_t len;
	int r;

	add_header(key, &text);
	buf_add_char(&text, '.');
	add_claims(t, issued_ms / 1000, expires_ms / 1000, &text);
	r = jws_sign(key, buf_str(&text), signature, &len);
	if (r == 0) {
		buf_add_char(&text, '.');
		base64_add(&text, BASE64_URL, signature, len);
		buf_add_str(out, buf_str(&text));
	}
	buf_done(&text);
	return r;
}

/* Reading ---------------------------------------------------------------------------- */

/* The three parts of a compact serialisation (RFC 7515 section 7.1), borrowed. */
struct parts {
	struct str header, claims, signature, signed_text;
};

static bool split(struct str text, struct parts *ret)
{
	const char *end, *dot1, *dot2;

	if (text.len == 0 || text.len > TOKEN_TEXT_MAX)
		return false;
	end = text.p + text.len;
	dot1 = memchr(text.p, '.', text.len);
	dot2 = dot1 ? memchr(dot1 + 1, '.', (size_t)(end - dot1 - 1)) : NULL;
	if (!dot2)
		return false; /* a third dot is no base64 */
	ret->header = (struct str){text.p, (size_t)(dot1 - text.p)};
	ret->claims = (struct str){dot1 + 1, (size_t)(dot2 - dot1 - 1)};
	ret->signature = (struct str){dot2 + 1, (size_t)(end - dot2 - 1)};
	ret->signed_text = (struct str){text.p, (size_t)(dot2 - text.p)};
	return true;
}

static struct json_doc *parse_part(struct str part)
{
	struct json_doc *doc = NULL;
	struct buf json = BUF_INIT;

	if (base64_take(&json, BASE64_URL, part) < 0 ||
	    json_parse(buf_str(&json), DEPTH_MAX, &doc, NULL) < 0)
		doc = NULL;
	if (doc && json_kind_of(json_root(doc)) != JSON_KIND_OBJECT)
		json_doc_free(&doc);
	buf_done(&json);
	return doc;
}

static bool is_text(const struct json_value *object, const char *name, struct str wanted)
{
	struct str s;

	return json_to_str(json_get(object, name), &s) && str_eq(s, wanted);
}

/*
 * The key that the header names; NULL unless the header fits that key. "crit" asks for extensions
 * and must be refused by who knows none (RFC 7515 section 4.1.11).
 */
static const struct key *find_key(const struct keyring *ring, const struct json_value *header)
{
	static const enum key_use uses[] = {KEY_HS256, KEY_ED25519};
	const struct key *key = NULL;
	struct str kid;

	if (!json_to_str(json_get(header, "kid"), &kid) || json_get(header, "crit"))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(uses) && !key; i++)
		key = keyring_find(ring, uses[i], kid);
	return key && is_text(header, "alg", jws_alg(key)) ? key : NULL;
}

static bool is_signed(const struct keyring *ring, const struct parts *parts, uint32_t *ret_key)
{
	struct json_doc *header = parse_part(parts->header);
	const struct key *key = header ? find_key(ring, json_root(header)) : NULL;
	struct buf signature = BUF_INIT;
	bool is_good = key && base64_take(&signature, BASE64_URL, parts->signature) == 0 &&
		       jws_verify(key, parts->signed_text, buf_str(&signature));

	if (is_good)
		*ret_key = key->id;
	buf_done(&signature);
	json_doc_free(&header);
	return is_good;
}

static bool get_uuid(const struct json_value *claims, const char *name, struct uuid *ret)
{
	struct str s;

	return json_to_str(json_get(claims, name), &s) && uuid_parse(s, ret) == 0;
}

/* Seconds to milliseconds; false when absent, or beyond any clock. */
static bool get_time(const struct json_value *claims, const char *name, int64_t *ret_ms)
{
	int64_t s;

	if (!json_to_i64(json_get(claims, name), &s) || s < 0 || s > INT64_MAX / 2000)
		return false;
	*ret_ms = s * 1000;
	return true;
}

static bool get_name(const struct json_value *claims, struct token *t)
{
	struct str s;

	if (!json_to_str(json_get(claims, "name"), &s) || s.len > TOKEN_NAME_MAX)
		return false;
	memcpy(t->name, s.p, s.len);
	t->name[s.len] = '\0';
	return true;
}

static bool is_in_force(const struct json_value *claims, int64_t now_ms, struct token *t)
{
	int64_t from_ms;

	return get_time(claims, "iat", &t->issued_ms) && get_time(claims, "nbf", &from_ms) &&
	       get_time(claims, "exp", &t->expires_ms) && now_ms < t->expires_ms &&
	       from_ms <= now_ms + TOKEN_SKEW_MS && t->issued_ms <= now_ms + TOKEN_SKEW_MS;
}

static bool read_claims(const struct json_value *claims, int64_t now_ms, struct token *t)
{
	return is_text(claims, "iss", STR(ISSUER)) && is_text(claims, "aud", STR(AUDIENCE)) &&
	       is_in_force(claims, now_ms, t) && get_uuid(claims, "sub", &t->uid) &&
	       get_uuid(claims, "sid", &t->session) &&
	       json_to_i64(json_get(claims, "uid"), &t->user) && t->user > 0 &&
	       json_to_bool(json_get(claims, "adm"), &t->is_admin) && get_name(claims, t);
}

int token_check(const struct keyring *ring, struct str text, int64_t now_ms, struct token *ret)
{
	struct token t = {0};
	struct parts parts;
	struct json_doc *claims;
	bool is_good;

	/* nothing of the claims is even parsed before the signature is known to be ours */
	if (!split(text, &parts) || !is_signed(ring, &parts, &t.key_id))
		return -ERR_DENIED;
	claims = parse_part(parts.claims);
	is_good = claims && read_claims(json_root(claims), now_ms, &t);
	json_doc_free(&claims);
	if (!is_good)
		return -ERR_DENIED;
	*ret = t;
	return 0;
}
