/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/conn_out.c: bytes of shared blobs leave whole, in order and once, whatever the
 * socket takes.
 */
#include "worker_test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/conn_out.h"

#define NOW_MS 1000

struct pipe_pair {
	int in, out; /* what is written to IN is read from OUT */
};

static struct pipe_pair pair_open(void)
{
	int fds[2], small = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
	return (struct pipe_pair){fds[0], fds[1]};
}

static void pair_close(struct pipe_pair *p)
{
	close(p->in);
	close(p->out);
}

static void add(struct outq *q, char fill, size_t len, size_t off)
{
	struct blob *b = blob_new(NULL, len);

	memset(b->bytes, fill, len);
	outq_add(q, b, off);
	blob_unref(&b);
}

/* Everything that is there, appended to B. */
static void read_all(int fd, struct buf *b)
{
	ssize_t n;

	while ((n = read(fd, buf_reserve(b, 65536), 65536)) > 0)
		buf_commit(b, (size_t)n);
}

/*
 * Writes and reads in turns until the queue is empty. Returns the number of times the socket was
 * full.
 */
static int pump(struct outq *q, struct pipe_pair *p, struct buf *got)
{
	uint64_t calls = 0;
	int full = 0, r;

	while ((r = outq_write(q, p->in, NOW_MS, &calls)) == -ERR_AGAIN) {
		full++;
		read_all(p->out, got);
	}
	assert_int_equal(r, 0);
	read_all(p->out, got);
	return full;
}

static void expect_run(const struct buf *b, size_t *at, char fill, size_t len)
{
	assert_true(*at + len <= b->len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(b->p[*at + i], fill);
	*at += len;
}

static void test_order_and_completeness(void **state)
{
	struct outq *q = outq_new(NULL, NOW_MS);
	struct pipe_pair p = pair_open();
	struct buf got = BUF_INIT;
	size_t at = 0;

	(void)state;
	add(q, 'a', 100, 40); /* 40 bytes of it were sent before it was queued */
	add(q, 'b', 100000, 0);
	for (int i = 0; i < 300; i++) /* more than one system call can carry */
		add(q, (char)('0' + i % 10), 7, 0);
	assert_int_equal(q->bytes, 60 + 100000 + 300 * 7);
	assert_true(pump(q, &p, &got) > 0);
	assert_int_equal(q->bytes, 0);
	expect_run(&got, &at, 'a', 60);
	expect_run(&got, &at, 'b', 100000);
	for (int i = 0; i < 300; i++)
		expect_run(&got, &at, (char)('0' + i % 10), 7);
	assert_int_equal(at, got.len);
	buf_done(&got);
	outq_free(&q);
	pair_close(&p);
}

/* A cut keeps what the peer has begun to read, so that its frames stay whole. */
static void test_cut_keeps_a_begun_segment(void **state)
{
	struct outq *q = outq_new(NULL, NOW_MS);
	struct pipe_pair p = pair_open();
	struct buf got = BUF_INIT;
	uint64_t calls = 0;
	size_t at = 0;

	(void)state;
	add(q, 'x', 200000, 0);
	add(q, 'y', 50, 0);
	assert_int_equal(outq_write(q, p.in, NOW_MS, &calls), -ERR_AGAIN);
	outq_cut(q);
	add(q, 'z', 4, 0);
	pump(q, &p, &got);
	expect_run(&got, &at, 'x', 200000);
	expect_run(&got, &at, 'z', 4);
	assert_int_equal(at, got.len);
	buf_done(&got);
	outq_free(&q);
	pair_close(&p);
}

static void test_cut_drops_what_nobody_has_seen(void **state)
{
	struct outq *q = outq_new(NULL, NOW_MS);

	(void)state;
	add(q, 'x', 10, 0);
	add(q, 'y', 10, 0);
	outq_cut(q);
	assert_int_equal(q->bytes, 0);
	assert_int_equal(q->n, 0);
	outq_free(&q);
}

static void test_broken_link(void **state)
{
	struct outq *q = outq_new(NULL, NOW_MS);
	struct pipe_pair p = pair_open();
	uint64_t calls = 0;

	(void)state;
	close(p.out);
	add(q, 'x', 10, 0);
	assert_int_equal(outq_write(q, p.in, NOW_MS, &calls), -ERR_IO);
	outq_free(&q);
	close(p.in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_completeness),
		cmocka_unit_test(test_cut_keeps_a_begun_segment),
		cmocka_unit_test(test_cut_drops_what_nobody_has_seen),
		cmocka_unit_test(test_broken_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
