/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the body of a POST as packets of Socket.IO, with attachments, and as events of S0,
 * S3 and S4. What is taken obeys the limits and is well-formed when it is written again.
 */
#include "fuzz.h"
#include "proto/engineio.h"
#include "proto/s0.h"
#include "proto/s4.h"
#include "proto/utf8.h"

#define DEPTH 8

static const struct sio_limits packets = {DEPTH, 4, 64};
static const struct cmd_limits limits = {
	.depth_max = DEPTH, .name_max = 100, .message_max = 50, .address_max = 2048,
	.conv_uids = true};

/* A packet that was just written must be one. */
static void must_be_packet(struct buf *b, enum sio_type type)
{
	static const struct sio_limits roomy = {DEPTH + 4, 4, 64};
	struct sio_in in = {0};
	struct sio_packet p;
	struct fault f;

	MUST(b->len && b->p[0] == '4');
	MUST(sio_decode(&in, (struct str){(char *)b->p + 1, b->len - 1}, false, &roomy, &p,
			&f) == 0);
	MUST(p.type == type);
	sio_packet_done(&p);
	sio_in_done(&in);
	buf_clear(b);
}

static void check_fault(const struct fault *f, const struct cmd *c)
{
	struct buf b = BUF_INIT;

	MUST(f->error > E_NONE && f->error < E_COUNT && f->text[0]);
	if (c->id.len) {
		s4_ack_refused(&b, &c->id, f, 5);
		must_be_packet(&b, SIO_ACK);
	}
	s4_add_error(&b, f, 0, c->key);
	must_be_packet(&b, SIO_EVENT);
	buf_done(&b);
}

static void check_sent(const struct cmd *c)
{
	struct event e = {.type = EVT_MESSAGE_NEW, .conv = 1, .rev = 1, .seq = 1, .actor = 1};
	struct s4_view view = {0};
	struct buf b = BUF_INIT;

	MUST(utf8_length(c->content) <= limits.message_max);
	MUST(utf8_length(c->attachment) <= limits.address_max);
	MUST(c->content.len || c->attachment.len);
	e.content = c->content;
	e.client_id = c->key;
	e.key = c->attachment;
	s0_add_event(&b, &e, STR("o"));
	must_be_packet(&b, SIO_EVENT);
	s4_add_event(&b, &e, &view, STR("o"));
	must_be_packet(&b, SIO_EVENT);
	s4_add_notification(&b, &e, &view, 1, true);
	must_be_packet(&b, SIO_EVENT);
	if (c->id.len) {
		s4_ack_sent(&b, &c->id, &e, &view, true);
		must_be_packet(&b, SIO_ACK);
	}
	buf_done(&b);
}

static void check_cmd(const struct cmd *c)
{
	MUST(op_info(c->op));
	MUST(c->key.len <= CMD_KEY_MAX && c->has_key == !uuid_is_zero(&c->key_uuid));
	MUST(c->conv >= 0 && c->conv <= INT32_MAX && c->peer >= 0 && c->target_rev >= 0);
	MUST(!c->target_rev || msgid_of(c->conv, c->target_rev));
	if (c->op == OP_SEND)
		check_sent(c);
	else
		MUST(c->conv || c->has_conv_uid || c->peer);
}

static void check_event(const struct sio_packet *p)
{
	struct buf b = BUF_INIT;
	struct fault f;
	struct str name;
	struct cmd c;

	if (s0_cmd(p, &limits, &c, &f) == 0)
		check_sent(&c);
	else
		check_fault(&f, &c);
	if (s4_cmd(p, &limits, &c, &f) == 0)
		check_cmd(&c);
	else
		check_fault(&f, &c);
	if (sio_event_name(p, &name)) {
		char *copy = xstrndup(name.p, name.len);

		sio_event_begin(&b, p->nsp, p->has_id ? p->id : SIO_NO_ID, 0, copy);
		sio_add_args(&b, p, 0);
		sio_event_end(&b, STR("o"));
		must_be_packet(&b, SIO_EVENT);
		free(copy);
	}
	buf_done(&b);
}

static void check_packet(const struct sio_packet *p)
{
	struct sio_auth auth;
	struct str bytes;
	size_t total = 0;

	MUST(p->type < SIO_BINARY_EVENT && p->nsp.len && p->nsp.p[0] == '/');
	MUST(p->has_id ? p->id >= 0 && p->id <= SIO_ID_MAX : !p->id);
	MUST(p->nattachments <= packets.attachments_max);
	for (uint32_t i = 0; p->ends && i < p->nattachments; i++) {
		MUST(p->ends[i] >= total && p->ends[i] <= packets.attachments_bytes);
		total = p->ends[i];
	}
	for (size_t i = 0; i < sio_arg_count(p); i++)
		if (sio_attachment(p, sio_arg(p, i), &bytes))
			MUST(bytes.len <= total);
	if (p->type == SIO_EVENT)
		check_event(p);
	if (p->type == SIO_CONNECT)
		sio_auth_read(p, &auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf scratch = BUF_INIT;
	struct sio_in in = {0};
	struct eio_payload body;
	struct sio_packet p;
	struct eio_packet e;
	struct fault f;
	int r = 0;

	eio_payload_init(&body, (struct str){size ? (const char *)data : "", size});
	while (r != -ERR_PROTO && eio_payload_next(&body, &scratch, &e) == 0) {
		if (e.type != EIO_MESSAGE)
			continue;
		r = sio_decode(&in, e.data, e.is_binary, &packets, &p, &f);
		MUST(in.wanted <= packets.attachments_max);
		MUST(in.bytes.len <= packets.attachments_bytes);
		if (r == 0)
			check_packet(&p);
		else if (r == -ERR_INVAL)
			MUST(f.error == E_BAD_JSON && !p.data);
		else
			MUST(r == -ERR_PROTO || (r == -ERR_AGAIN && in.wanted));
		if (r == 0 || r == -ERR_INVAL)
			sio_packet_done(&p);
	}
	sio_in_done(&in);
	buf_done(&scratch);
	return 0;
}
