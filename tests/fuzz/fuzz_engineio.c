/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: bytes as one message, as the body of a POST, as frames that wait and as a query.
 * What is taken can be written and is read as the same again.
 */
#include "fuzz.h"
#include "proto/engineio.h"
#include "proto/http.h"
#include "proto/json.h"
#include "proto/utf8.h"

static void must_be_same(const struct eio_packet *a, const struct eio_packet *b)
{
	MUST(a->type == b->type && a->is_binary == b->is_binary && str_eq(a->data, b->data));
}

static void check_packet(const struct eio_packet *p)
{
	struct buf b = BUF_INIT, scratch = BUF_INIT;
	struct eio_packet back;
	struct str frames;

	MUST((unsigned)p->type < EIO_TYPE_COUNT && (!p->is_binary || p->type == EIO_MESSAGE));
	eio_add(&b, p);
	MUST(eio_decode(buf_str(&b), p->is_binary, &scratch, &back) == 0);
	must_be_same(p, &back);
	buf_clear(&b);
	eio_add_polled(&b, 0, p);
	MUST(eio_decode(buf_str(&b), false, &scratch, &back) == 0);
	must_be_same(p, &back);
	buf_clear(&b);
	eio_add_frame(&b, p);
	frames = buf_str(&b);
	MUST(eio_frame_next(&frames, &back) == 0 && !frames.len);
	must_be_same(p, &back);
	buf_done(&b);
	buf_done(&scratch);
}

static void try_message(struct str text, bool is_binary)
{
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	if (eio_decode(text, is_binary, &scratch, &p) == 0)
		check_packet(&p);
	buf_done(&scratch);
}

/* The packets of a body, as frames, are the packets of the polls that they make. */
static void try_payload(struct str body)
{
	struct buf frames = BUF_INIT, scratch = BUF_INIT, poll = BUF_INIT;
	struct eio_payload in, out;
	struct eio_packet p, q;
	struct str left;
	size_t n = 0, used;
	int r;

	eio_payload_init(&in, body);
	while ((r = eio_payload_next(&in, &scratch, &p)) == 0) {
		MUST(p.is_binary || utf8_valid(p.data.p, p.data.len));
		check_packet(&p);
		eio_add_frame(&frames, &p);
		n++;
	}
	MUST(r == -ERR_PROTO || n > 0);
	MUST(eio_payload_next(&in, &scratch, &p) == -ERR_NOENT);
	for (left = buf_str(&frames); left.len;
	     left = (struct str){left.p + used, left.len - used}) {
		struct str expected = left;

		buf_clear(&poll);
		used = eio_add_poll(&poll, left, 64);
		MUST(used && used <= left.len);
		eio_payload_init(&out, buf_str(&poll));
		while (eio_payload_next(&out, &scratch, &p) == 0) {
			MUST(eio_frame_next(&expected, &q) == 0);
			must_be_same(&p, &q);
			MUST(n-- > 0);
		}
		MUST(expected.p == left.p + used);
	}
	MUST(n == 0);
	buf_done(&frames);
	buf_done(&scratch);
	buf_done(&poll);
}

/* Bytes of another process: read to their end and not beyond. */
static void try_frames(struct str frames)
{
	struct str left = frames;
	struct buf b = BUF_INIT;
	struct eio_packet p;

	MUST(eio_add_poll(&b, frames, 100) <= frames.len);
	while (eio_frame_next(&left, &p) == 0) {
		MUST(p.data.p >= frames.p && p.data.p + p.data.len == left.p);
		MUST(left.p + left.len == frames.p + frames.len);
	}
	buf_done(&b);
}

static void try_query(struct str text)
{
	struct http_request r = {.method = HTTP_GET, .query = text};
	struct buf b = BUF_INIT;
	struct eio_query q;
	enum eio_error e = eio_query_read(&r, 3, false, &q);

	if (e == EIO_E_NONE) {
		MUST(q.transport == EIO_POLLING && q.sid_len <= EIO_SID_MAX);
	} else {
		MUST(eio_error_status(e) == 400);
		eio_add_error(&b, e);
		MUST(json_check(buf_str(&b), 1));
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};

	if (!size)
		text.p = "";
	try_message(text, false);
	try_message(text, true);
	try_payload(text);
	try_frames(text);
	try_query(text);
	return 0;
}
