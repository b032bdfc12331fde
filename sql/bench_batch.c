/* SPDX-License-Identifier: MIT */
/*
 * Measures batches on a migrated database: rows per second and latency by batch size and number of
 * rooms. Not installed. Usage: bench_batch URL [SECONDS [CLIENTS]]
 */
#include "base/clock.h"
#include "sql/batch.h"

#include <libpq-fe.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOMS_MAX 10000
#define SAMPLES_MAX 1000000
#define TEXT                                                                                       \
	"A message of a hundred bytes or so, "                                                     \
	"which is what people write when they chat on a busy day, mostly."

static const uint32_t sizes[] = {1, 8, 32, 128, 512};
static const uint32_t room_counts[] = {1, 100, ROOMS_MAX};

struct bench {
	struct db *db;
	int fd;
	bool want_read, want_write;
	uint64_t timer_at;
	bool is_done;
	int64_t first_room;
	unsigned int seed;
	uint64_t n_rows, n_failed;
	uint32_t n_samples;
	uint32_t *sample_us; /* owned */
};

static void on_io(void *arg, int fd, bool want_read, bool want_write)
{
	struct bench *b = arg;

	b->fd = fd;
	b->want_read = want_read;
	b->want_write = want_write;
}

static void on_timer(void *arg, int64_t delay_ms)
{
	struct bench *b = arg;

	b->timer_at = delay_ms < 0 ? 0 : clock_mono_ms() + (uint64_t)delay_ms;
}

static void on_state(void *arg UNUSED, enum db_state state, const char *text)
{
	if (state != DB_STATE_CONNECTED)
		fprintf(stderr, "%s\n", text);
}

static void on_batch(void *arg, const struct batch_answer *answers, size_t n)
{
	struct bench *b = arg;

	b->is_done = true;
	b->n_rows += n;
	for (size_t i = 0; i < n; i++)
		b->n_failed += answers[i].status != BATCH_STORED;
}

static void turn(struct bench *b)
{
	short events = (short)((b->want_read ? POLLIN : 0) | (b->want_write ? POLLOUT : 0));
	struct pollfd p = {.fd = b->fd, .events = events};

	poll(&p, 1, 100);
	if (p.revents & ~POLLOUT)
		db_on_readable(b->db);
	if (p.revents & POLLOUT)
		db_on_writable(b->db);
	if (b->timer_at && b->timer_at <= clock_mono_ms()) {
		b->timer_at = 0;
		db_on_timer(b->db);
	}
}

static void send_batch(struct bench *b, uint32_t n, uint32_t n_rooms)
{
	struct batch_row rows[512];
	uint64_t start;

	for (uint32_t i = 0; i < n; i++)
		rows[i] = (struct batch_row){
			.conv = b->first_room + (int64_t)((uint32_t)rand_r(&b->seed) % n_rooms),
			.sender = 1 + rand_r(&b->seed) % 1000,
			.content = STR(TEXT)};
	b->is_done = false;
	start = clock_mono_ns();
	if (batch_submit(b->db, rows, n, 0, on_batch, b) < 0)
		abort();
	while (!b->is_done)
		turn(b);
	if (b->n_samples < SAMPLES_MAX)
		b->sample_us[b->n_samples++] = (uint32_t)((clock_mono_ns() - start) / 1000);
}

static int compare_u32(const void *pa, const void *pb)
{
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	return a < b ? -1 : a > b;
}

static void measure(struct bench *b, uint32_t n, uint32_t n_rooms, double seconds)
{
	uint64_t start, until;
	double took;

	for (int i = 0; i < 20; i++)
		send_batch(b, n, n_rooms);
	b->n_rows = b->n_samples = b->n_failed = 0;
	start = clock_mono_ns();
	until = start + (uint64_t)(seconds * 1e9);
	while (clock_mono_ns() < until)
		send_batch(b, n, n_rooms);
	took = (double)(clock_mono_ns() - start) / 1e9;
	qsort(b->sample_us, b->n_samples, sizeof(*b->sample_us), compare_u32);
	printf("%6u rooms  batch %3u  %8.0f rows/s  p50 %6.2f ms  p99 %6.2f ms%s\n", n_rooms, n,
	       (double)b->n_rows / took, b->sample_us[b->n_samples / 2] / 1e3,
	       b->sample_us[b->n_samples * 99ull / 100] / 1e3, b->n_failed ? "  FAILED ROWS" : "");
	fflush(stdout);
}

/* The rooms, in one run of ids; made at the first use. */
static int64_t make_rooms(const char *url)
{
	static const char *const sql[] = {
		"INSERT INTO public.conversations (kind, name) SELECT 'room', 'bench ' || g"
		" FROM generate_series(1, 10000) g WHERE NOT EXISTS"
		" (SELECT 1 FROM public.conversations WHERE name = 'bench 1') ORDER BY g",
		"SELECT id FROM public.conversations WHERE name = 'bench 1'",
	};
	PGconn *pg = PQconnectdb(url);
	int64_t id = 0;

	for (size_t i = 0; i < ARRAY_LEN(sql); i++) {
		PGresult *res = PQexec(pg, sql[i]);

		if (i == 1 && PQntuples(res) == 1)
			id = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
		PQclear(res);
	}
	if (id == 0)
		fprintf(stderr, "%s", PQerrorMessage(pg));
	PQfinish(pg);
	return id;
}

static int run(const char *url, int64_t first_room, double seconds, unsigned int seed)
{
	static const struct db_hooks hooks = {
		.on_io = on_io, .on_timer = on_timer, .on_state = on_state};
	struct db_config cfg = {.url = url, .is_prepared = true, .is_writer = true};
	struct bench b = {.fd = -1, .first_room = first_room, .seed = seed};

	b.sample_us = xcalloc(SAMPLES_MAX, sizeof(*b.sample_us));
	b.db = db_new(&cfg, &hooks, &b);
	db_start(b.db);
	for (size_t r = 0; r < ARRAY_LEN(room_counts); r++)
		for (size_t s = 0; s < ARRAY_LEN(sizes); s++)
			measure(&b, sizes[s], room_counts[r], seconds);
	db_free(&b.db);
	free(b.sample_us);
	return 0;
}

int main(int argc, char **argv)
{
	double seconds = argc > 2 ? strtod(argv[2], NULL) : 2;
	long clients = argc > 3 ? strtol(argv[3], NULL, 10) : 1;
	int64_t room;

	if (argc < 2) {
		fprintf(stderr, "usage: bench_batch URL [SECONDS [CLIENTS]]\n");
		return 2;
	}
	room = make_rooms(argv[1]);
	if (room == 0)
		return 1;
	for (long i = 1; i < clients; i++)
		if (fork() == 0)
			return run(argv[1], room, seconds, (unsigned int)i + 1);
	run(argv[1], room, seconds, 1);
	while (wait(NULL) > 0)
		;
	return 0;
}
