/* SPDX-License-Identifier: MIT */
/*
 * The canonical event as MessagePack: one flat array, the same fields for every type.
 * The reader is our own: it takes no memory and believes no length before it has seen the bytes.
 */
#include "proto/event.h"

#include <limits.h>
#include <msgpack.h>

#include "proto/msgpack_priv.h"
#include "proto/utf8.h"

/*
 * Version 1: [1, type, conv, rev, seq, at_ms, actor, actor_name, subject, subject_name,
 * client_msg_id (16 bytes, or empty for none), client_id, content, key, reply_to_rev, target_rev,
 * on, reason]. A field more is a new version; readers of the old one answer -ERR_UNSUPPORTED.
 */
#define FORM_VERSION 1
#define FORM_FIELDS 18

static int add_bytes(void *b, const char *p, size_t len)
{
	buf_add(b, p, len);
	return 0;
}

static void pack_text(msgpack_packer *pk, struct str s)
{
	msgpack_pack_str(pk, s.len);
	if (s.len)
		msgpack_pack_str_body(pk, s.p, s.len);
}

static void pack_uuid(msgpack_packer *pk, const struct uuid *u)
{
	size_t len = uuid_is_zero(u) ? 0 : sizeof(u->b);

	msgpack_pack_bin(pk, len);
	if (len)
		msgpack_pack_bin_body(pk, u->b, len);
}

/* The years 0001 to 9999, which every dialect can write. */
#define AT_MS_MIN INT64_C(-62135596800000)
#define AT_MS_MAX INT64_C(253402300799999)

static bool is_rev(int64_t v)
{
	return v >= 0 && v <= UINT32_MAX;
}

/*
 * What a decoder checks of the fields together. Conversation and rev must make a message id
 * (base/ids.h).
 */
static bool is_sound(const struct event *e)
{
	const struct event_info *info = event_info(e->type);

	if (!info || e->conv <= 0 || e->conv > INT32_MAX || !is_rev(e->rev) || e->seq < 0 ||
	    e->actor < 0 || e->subject < 0 || !is_rev(e->reply_to_rev) || !is_rev(e->target_rev))
		return false;
	if ((info->class == EVENT_DURABLE) != (e->rev > 0) || e->at_ms < AT_MS_MIN ||
	    e->at_ms > AT_MS_MAX)
		return false;
	return e->actor_name.len <= EVENT_NAME_MAX && e->subject_name.len <= EVENT_NAME_MAX &&
	       e->client_id.len <= EVENT_CLIENT_ID_MAX && e->key.len <= EVENT_KEY_MAX &&
	       e->content.len <= EVENT_CONTENT_MAX && (unsigned)e->reason <= PRESENCE_REMOVED;
}

void event_encode(const struct event *e, struct buf *b)
{
	msgpack_packer pk;

	assert(is_sound(e));
	msgpack_packer_init(&pk, b, add_bytes);
	msgpack_pack_array(&pk, FORM_FIELDS);
	msgpack_pack_int64(&pk, FORM_VERSION);
	msgpack_pack_int64(&pk, e->type);
	msgpack_pack_int64(&pk, e->conv);
	msgpack_pack_int64(&pk, e->rev);
	msgpack_pack_int64(&pk, e->seq);
	msgpack_pack_int64(&pk, e->at_ms);
	msgpack_pack_int64(&pk, e->actor);
	pack_text(&pk, e->actor_name);
	msgpack_pack_int64(&pk, e->subject);
	pack_text(&pk, e->subject_name);
	pack_uuid(&pk, &e->client_msg_id);
	pack_text(&pk, e->client_id);
	pack_text(&pk, e->content);
	pack_text(&pk, e->key);
	msgpack_pack_int64(&pk, e->reply_to_rev);
	msgpack_pack_int64(&pk, e->target_rev);
	if (e->on)
		msgpack_pack_true(&pk);
	else
		msgpack_pack_false(&pk);
	msgpack_pack_int64(&pk, e->reason);
}

static int64_t take_int(struct msgpack_reader *r)
{
	return msgpack_take_int(r, (uint8_t)msgpack_take_be(r, 1));
}

static struct str take_text(struct msgpack_reader *r, size_t max)
{
	size_t len = msgpack_take_str_len(r, (uint8_t)msgpack_take_be(r, 1));
	const uint8_t *p;

	r->bad |= len > max;
	p = msgpack_take(r, len);
	if (!p || !utf8_valid(p, len)) {
		r->bad = true;
		return (struct str){0};
	}
	return (struct str){(const char *)p, len};
}

static struct uuid take_uuid(struct msgpack_reader *r)
{
	struct uuid u = {{0}};
	const uint8_t *p;
	size_t len;

	r->bad |= msgpack_take_be(r, 1) != 0xc4; /* bin 8 */
	len = msgpack_take_be(r, 1);
	r->bad |= len != 0 && len != sizeof(u.b);
	p = msgpack_take(r, len);
	if (p && len)
		memcpy(u.b, p, sizeof(u.b));
	return u;
}

static bool take_bool(struct msgpack_reader *r)
{
	uint64_t tag = msgpack_take_be(r, 1);

	r->bad |= tag != 0xc2 && tag != 0xc3;
	return tag == 0xc3;
}

/* array 16 is the form of 16 to 65,535 elements */
static size_t take_array(struct msgpack_reader *r)
{
	uint64_t tag = msgpack_take_be(r, 1);

	if ((tag & 0xf0) == 0x90)
		return tag & 0x0f;
	r->bad |= tag != 0xdc;
	return msgpack_take_be(r, 2);
}

static void take_fields(struct msgpack_reader *r, struct event *e)
{
	e->conv = take_int(r);
	e->rev = take_int(r);
	e->seq = take_int(r);
	e->at_ms = take_int(r);
	e->actor = take_int(r);
	e->actor_name = take_text(r, EVENT_NAME_MAX);
	e->subject = take_int(r);
	e->subject_name = take_text(r, EVENT_NAME_MAX);
	e->client_msg_id = take_uuid(r);
	e->client_id = take_text(r, EVENT_CLIENT_ID_MAX);
	e->content = take_text(r, EVENT_CONTENT_MAX);
	e->key = take_text(r, EVENT_KEY_MAX);
	e->reply_to_rev = take_int(r);
	e->target_rev = take_int(r);
	e->on = take_bool(r);
	e->reason = (enum presence_reason)take_int(r);
}

int event_decode(const void *bytes, size_t len, struct event *ret)
{
	struct msgpack_reader r = {bytes, len, false};
	struct event e = {0};
	size_t fields = take_array(&r);
	int64_t version = take_int(&r), type = take_int(&r);

	if (r.bad || version < 1)
		return -ERR_CORRUPT;
	if (version > FORM_VERSION || type < INT_MIN || type > INT_MAX || !event_info((int)type))
		return -ERR_UNSUPPORTED;
	if (fields != FORM_FIELDS)
		return -ERR_CORRUPT;
	e.type = (enum event_type)type;
	take_fields(&r, &e);
	if (r.bad || r.left || !is_sound(&e))
		return -ERR_CORRUPT;
	*ret = e;
	return 0;
}
