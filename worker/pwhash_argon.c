/* SPDX-License-Identifier: MIT */
/*
 * Argon2id by libargon2, and the text in which a hash is stored.
 * The memory comes straight from the system and goes back: malloc would keep it for each thread.
 */
#include "worker/pwhash_priv.h"

#include <argon2.h>
#include <openssl/rand.h>
#include <sys/mman.h>

#include "base/base64.h"
#include "base/settings.h"

/* Hashing ---------------------------------------------------------------------------- */

static int memory_map(uint8_t **ret, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return ARGON2_MEMORY_ALLOCATION_ERROR;
	(void)madvise(p, bytes, MADV_DONTDUMP);
	/* a third less time: every block comes from another page */
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	*ret = p;
	return ARGON2_OK;
}

static void memory_unmap(uint8_t *p, size_t bytes)
{
	(void)munmap(p, bytes);
}

int argon_hash(const struct argon_rule *rule, const struct argon_input *in, uint8_t *tag,
	       size_t tag_len)
{
	argon2_context ctx = {
		.out = tag,
		.outlen = (uint32_t)tag_len,
		.pwd = (uint8_t *)in->password.p,
		.pwdlen = (uint32_t)in->password.len,
		.salt = (uint8_t *)in->salt.p,
		.saltlen = (uint32_t)in->salt.len,
		.secret = (uint8_t *)in->secret.p,
		.secretlen = (uint32_t)in->secret.len,
		.ad = (uint8_t *)in->data.p,
		.adlen = (uint32_t)in->data.len,
		.t_cost = rule->passes,
		.m_cost = rule->memory_kib,
		.lanes = rule->lanes,
		.threads = 1,
		.version = ARGON2_VERSION_13,
		.allocate_cbk = memory_map,
		.free_cbk = memory_unmap,
		.flags = ARGON2_DEFAULT_FLAGS,
	};

	return argon2_ctx(&ctx, Argon2_id) == ARGON2_OK ? 0 : -ERR_IO;
}

/* The text --------------------------------------------------------------------------- */

/* Cuts TEXT at the next MARK; all of it when there is none. */
static struct str cut(struct str *text, char mark)
{
	const char *at = text->len ? memchr(text->p, mark, text->len) : NULL;
	struct str head = *text;

	if (!at) {
		*text = (struct str){NULL, 0};
		return head;
	}
	head.len = (size_t)(at - text->p);
	*text = (struct str){at + 1, text->len - head.len - 1};
	return head;
}

/* "m=19456": a plain number without leading zeros. */
static bool take_number(struct str item, char name, uint32_t *ret)
{
	int64_t v;

	if (item.len < 3 || item.p[0] != name || item.p[1] != '=' || item.p[2] < '1' ||
	    item.p[2] > '9' || str_to_i64((struct str){item.p + 2, item.len - 2}, &v) < 0 ||
	    v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool take_rule(struct str text, struct argon_rule *ret)
{
	return take_number(cut(&text, ','), 'm', &ret->memory_kib) &&
	       take_number(cut(&text, ','), 't', &ret->passes) &&
	       take_number(cut(&text, ','), 'p', &ret->lanes) && text.len == 0;
}

static bool take_bytes(struct str text, uint8_t ret[ARGON_PART_MAX], size_t *ret_len)
{
	struct buf b = BUF_INIT;
	bool is_good = text.len <= BASE64_LEN(ARGON_PART_MAX) &&
		       base64_take(&b, BASE64_STD, text) == 0 && b.len >= 8;

	if (is_good) {
		memcpy(ret, b.p, b.len);
		*ret_len = b.len;
	}
	buf_done(&b);
	return is_good;
}

static int argon_parse(struct str text, struct phc *ret)
{
	struct phc phc = {.kind = PHC_ARGON2ID};

	if (!str_eq(cut(&text, '$'), STR("")) || !str_eq(cut(&text, '$'), STR("argon2id")) ||
	    !str_eq(cut(&text, '$'), STR("v=19")) || !take_rule(cut(&text, '$'), &phc.rule) ||
	    !take_bytes(cut(&text, '$'), phc.salt, &phc.salt_len) ||
	    !take_bytes(text, phc.tag, &phc.tag_len) || phc.rule.memory_kib < 8 * phc.rule.lanes)
		return -ERR_INVAL;
	if (phc.rule.passes > ARGON_PASSES_MAX || phc.rule.lanes > ARGON_LANES_MAX)
		return -ERR_TOOBIG;
	*ret = phc;
	return 0;
}

int phc_parse(struct str text, struct phc *ret)
{
	int r;

	if (text.len > PWHASH_TEXT_MAX)
		return -ERR_INVAL;
	if (text.len < 2 || memcmp(text.p, "$2", 2) != 0)
		return argon_parse(text, ret);
	r = bcrypt_parse(text);
	if (r == 0)
		*ret = (struct phc){.kind = PHC_BCRYPT};
	return r;
}

void phc_format(const struct phc *phc, struct buf *out)
{
	buf_printf(out, "$argon2id$v=19$m=%" PRIu32 ",t=%" PRIu32 ",p=%" PRIu32 "$",
		   phc->rule.memory_kib, phc->rule.passes, phc->rule.lanes);
	base64_add(out, BASE64_STD, phc->salt, phc->salt_len);
	buf_add_char(out, '$');
	base64_add(out, BASE64_STD, phc->tag, phc->tag_len);
}

/* Without a worker -------------------------------------------------------------------- */

int pwhash_now(const struct settings *s, struct str password, struct buf *out)
{
	struct phc phc = {.kind = PHC_ARGON2ID,
			  .rule = {(uint32_t)(s->auth_hash_memory / 1024),
				   (uint32_t)s->auth_hash_passes, 1},
			  .salt_len = ARGON_SALT_BYTES,
			  .tag_len = ARGON_TAG_BYTES};
	struct argon_input in = {.password = password,
				 .salt = {(const char *)phc.salt, ARGON_SALT_BYTES}};
	int r;

	if (password.len > PWHASH_PASSWORD_MAX)
		return -ERR_TOOBIG;
	if (RAND_bytes(phc.salt, ARGON_SALT_BYTES) != 1)
		return -ERR_IO;
	r = argon_hash(&phc.rule, &in, phc.tag, phc.tag_len);
	if (r == 0)
		phc_format(&phc, out);
	return r;
}
