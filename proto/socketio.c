/* SPDX-License-Identifier: MIT */
/*
 * Reading packets of Socket.IO: the text, then the attachments that it announced.
 * Writing is socketio_out.c's.
 */
#include "proto/socketio.h"

#define ID_DIGITS_MAX 16 /* of SIO_ID_MAX */

/* What the payload of a packet must be. */
enum shape {
	SHAPE_NONE,
	SHAPE_OBJECT_OR_NONE,
	SHAPE_OBJECT_OR_STRING,
	SHAPE_ARRAY,
	SHAPE_EVENT, /* an array that begins with a name */
};

static const struct {
	enum shape shape;
	bool has_attachments;
} types[SIO_TYPE_COUNT] = {
#define X(name, payload, has_attachments) [SIO_##name] = {SHAPE_##payload, has_attachments},
#include "proto/socketio.def"
#undef X
};

/* Names that mean something to the clients' own libraries. */
static const char *const reserved[] = {"connect",	"connect_error", "disconnect",
				       "disconnecting", "newListener",	 "removeListener"};

void sio_packet_done(struct sio_packet *p)
{
	json_doc_free(&p->doc);
	p->data = NULL;
}

void sio_in_done(struct sio_in *in)
{
	buf_done(&in->text);
	buf_done(&in->bytes);
	buf_done(&in->ends);
	in->wanted = 0;
}

/* The text of a packet, in its order ---------------------------------------------- */

/* Takes the decimal digits at the front of *REST off. Returns how many, 0 for too many. */
static size_t take_digits(struct str *rest, int64_t *ret)
{
	int64_t value = 0;
	size_t n = 0;

	for (; n < rest->len && rest->p[n] >= '0' && rest->p[n] <= '9'; n++) {
		if (n == ID_DIGITS_MAX)
			return 0;
		value = value * 10 + (rest->p[n] - '0');
	}
	*rest = (struct str){rest->p + n, rest->len - n};
	*ret = value;
	return n;
}

static bool starts_with_digit(struct str s)
{
	return s.len && *s.p >= '0' && *s.p <= '9';
}

static int take_type(struct str *rest, enum sio_type *ret)
{
	if (!rest->len || *rest->p < '0' || *rest->p >= '0' + SIO_TYPE_COUNT)
		return -ERR_PROTO;
	*ret = (enum sio_type)(*rest->p - '0');
	*rest = (struct str){rest->p + 1, rest->len - 1};
	return 0;
}

static int take_count(struct str *rest, uint32_t max, uint32_t *ret)
{
	int64_t n;

	if (!take_digits(rest, &n) || n < 1 || n > max || !rest->len || *rest->p != '-')
		return -ERR_PROTO;
	*ret = (uint32_t)n;
	*rest = (struct str){rest->p + 1, rest->len - 1};
	return 0;
}

/* Up to a comma or the end. */
static void take_nsp(struct str *rest, struct str *ret)
{
	const char *comma;
	size_t len;

	*ret = STR(SIO_NSP_MAIN);
	if (!rest->len || *rest->p != '/')
		return;
	comma = memchr(rest->p, ',', rest->len);
	len = comma ? (size_t)(comma - rest->p) : rest->len;
	*ret = (struct str){rest->p, len};
	*rest = (struct str){rest->p + len + !!comma, rest->len - len - !!comma};
}

static int take_id(struct str *rest, struct sio_packet *p)
{
	if (!starts_with_digit(*rest))
		return 0;
	if (!take_digits(rest, &p->id) || p->id > SIO_ID_MAX)
		return -ERR_PROTO;
	p->has_id = true;
	return 0;
}

/* Its payload ----------------------------------------------------------------------- */

static bool is_name(const struct json_value *v)
{
	enum json_kind kind = v ? json_kind_of(v) : JSON_KIND_NULL;
	struct str name;

	if (kind == JSON_KIND_INT || kind == JSON_KIND_REAL)
		return true;
	if (!v || !json_to_str(v, &name))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
		if (str_eq(name, str_of(reserved[i])))
			return false;
	return true;
}

static bool has_shape(enum shape shape, const struct json_value *v)
{
	enum json_kind kind = v ? json_kind_of(v) : JSON_KIND_NULL;

	switch (shape) {
	case SHAPE_NONE:
		return !v;
	case SHAPE_OBJECT_OR_NONE:
		return !v || kind == JSON_KIND_OBJECT;
	case SHAPE_OBJECT_OR_STRING:
		return kind == JSON_KIND_OBJECT || kind == JSON_KIND_STRING;
	case SHAPE_ARRAY:
		return kind == JSON_KIND_ARRAY;
	case SHAPE_EVENT:
		return kind == JSON_KIND_ARRAY && is_name(json_at(v, 0));
	}
	return false;
}

/* {"_placeholder":true,"num":…}, whatever the number. */
static bool is_placeholder(const struct json_value *v)
{
	bool on = false;

	return json_to_bool(json_get(v, "_placeholder"), &on) && on;
}

static bool placeholder_num(const struct json_value *v, uint32_t n, size_t *ret)
{
	int64_t num;

	if (!json_to_i64(json_get(v, "num"), &num) || num < 0 || num >= n)
		return false;
	*ret = (size_t)num;
	return true;
}

/* Every placeholder names one of N attachments. As deep as the reader let the text be. */
static bool placeholders_fit(const struct json_value *v, uint32_t n)
{
	const struct json_value *member;
	struct str key;
	size_t num;

	if (is_placeholder(v))
		return placeholder_num(v, n, &num);
	for (size_t i = 0; i < json_count(v); i++)
		if (!placeholders_fit(json_at(v, i), n))
			return false;
	if (json_kind_of(v) != JSON_KIND_OBJECT)
		return true;
	for (size_t pos = 0; json_next(v, &pos, &key, &member);)
		if (!placeholders_fit(member, n))
			return false;
	return true;
}

static int read_payload(struct str text, enum sio_type type, const struct sio_limits *lim,
			struct sio_packet *p, struct fault *ret_fault)
{
	if (text.len) {
		if (!strchr("[{\"", *text.p)) /* no blank either: other readers take it for an id */
			return -ERR_PROTO;
		if (json_parse(text, lim->depth_max, &p->doc, ret_fault) < 0)
			return ret_fault->kind == FAULT_VALUE ? -ERR_INVAL : -ERR_PROTO;
		p->data = json_root(p->doc);
	}
	if (!has_shape(types[type].shape, p->data))
		return -ERR_PROTO;
	return types[type].has_attachments && !placeholders_fit(p->data, p->nattachments)
		       ? -ERR_PROTO
		       : 0;
}

static int read_text(struct str text, const struct sio_limits *lim, struct sio_packet *p,
		     struct fault *ret_fault)
{
	enum sio_type type;

	if (take_type(&text, &type) < 0)
		return -ERR_PROTO;
	if (types[type].has_attachments &&
	    take_count(&text, lim->attachments_max, &p->nattachments) < 0)
		return -ERR_PROTO;
	take_nsp(&text, &p->nsp);
	if (take_id(&text, p) < 0)
		return -ERR_PROTO;
	p->type = type == SIO_BINARY_EVENT ? SIO_EVENT : type == SIO_BINARY_ACK ? SIO_ACK : type;
	return read_payload(text, type, lim, p, ret_fault);
}

/* Attachments ------------------------------------------------------------------------ */

/* A packet that is refused keeps its place: what it announced is received and dropped. */
static int decode_text(struct sio_in *in, struct str text, const struct sio_limits *lim,
		       struct sio_packet *ret, struct fault *ret_fault)
{
	struct sio_packet p = {0};
	int r;

	if (in->wanted)
		return -ERR_PROTO;
	sio_in_done(in);
	r = read_text(text, lim, &p, ret_fault);
	if (r == -ERR_PROTO || p.nattachments)
		sio_packet_done(&p);
	if (r == -ERR_PROTO)
		return r;
	if (p.nattachments) {
		buf_add_str(&in->text, text);
		in->wanted = p.nattachments;
		return -ERR_AGAIN;
	}
	*ret = p;
	return r;
}

static int decode_binary(struct sio_in *in, struct str bytes, const struct sio_limits *lim,
			 struct sio_packet *ret, struct fault *ret_fault)
{
	struct sio_packet p = {0};
	int r;

	if (!in->wanted || bytes.len > lim->attachments_bytes ||
	    in->bytes.len > lim->attachments_bytes - bytes.len)
		return -ERR_PROTO;
	buf_add_str(&in->bytes, bytes);
	buf_add(&in->ends, &in->bytes.len, sizeof(in->bytes.len));
	if (in->ends.len / sizeof(size_t) < in->wanted)
		return -ERR_AGAIN;
	r = read_text(buf_str(&in->text), lim, &p, ret_fault);
	if (r == -ERR_PROTO) { /* it passed when it came: the limits are others now */
		sio_packet_done(&p);
		return r;
	}
	p.bytes = buf_str(&in->bytes);
	p.ends = (const size_t *)(const void *)in->ends.p;
	in->wanted = 0;
	*ret = p;
	return r;
}

int sio_decode(struct sio_in *in, struct str message, bool is_binary, const struct sio_limits *lim,
	       struct sio_packet *ret, struct fault *ret_fault)
{
	return is_binary ? decode_binary(in, message, lim, ret, ret_fault)
			 : decode_text(in, message, lim, ret, ret_fault);
}

/* What is in a packet ----------------------------------------------------------------- */

static size_t first_arg(const struct sio_packet *p)
{
	return p->type == SIO_EVENT ? 1 : 0;
}

bool sio_event_name(const struct sio_packet *p, struct str *ret)
{
	return p->type == SIO_EVENT && json_to_str(json_at(p->data, 0), ret);
}

const struct json_value *sio_arg(const struct sio_packet *p, size_t i)
{
	return json_at(p->data, first_arg(p) + i);
}

size_t sio_arg_count(const struct sio_packet *p)
{
	size_t n = json_count(p->data), first = first_arg(p);

	return n > first ? n - first : 0;
}

struct str sio_attachment_at(const struct sio_packet *p, size_t i)
{
	size_t begin = i ? p->ends[i - 1] : 0;

	return (struct str){p->bytes.p ? p->bytes.p + begin : "", p->ends[i] - begin};
}

bool sio_attachment(const struct sio_packet *p, const struct json_value *v, struct str *ret)
{
	size_t i;

	if (!p->ends || !v || !is_placeholder(v) || !placeholder_num(v, p->nattachments, &i))
		return false;
	*ret = sio_attachment_at(p, i);
	return true;
}

void sio_cmd_id(const struct sio_packet *p, struct cmd_id *ret)
{
	ret->len = 0;
	if (p->has_id)
		ret->len = (uint8_t)snprintf(ret->text, sizeof(ret->text), "%" PRId64, p->id);
}

static struct str auth_text(const struct sio_packet *p, const char *key)
{
	struct str s;

	if (!json_to_str(json_get(p->data, key), &s) || s.len > SIO_AUTH_MAX)
		return STR("");
	return s;
}

void sio_auth_read(const struct sio_packet *p, struct sio_auth *ret)
{
	ret->token = auth_text(p, "token");
	ret->pid = auth_text(p, "pid");
	ret->offset = auth_text(p, "offset");
	ret->autojoin = false;
	ret->has_autojoin = json_to_bool(json_get(p->data, "autojoin"), &ret->autojoin);
}
