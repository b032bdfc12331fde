/* SPDX-License-Identifier: MIT */
/* The event loop of one generator process: opens sockets, follows the stages of the run.
 * Leaves frames to link.c and messages to load.c. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "bench/frame.h"
#include "bench/gen.h"
#include "bench/herd.h"
#include "bench/link.h"

#define EVENTS_MAX 512

void gen_trouble(struct gen *g, const char *format, ...)
{
	va_list args;

	if (g->own->trouble[0])
		return;
	va_start(args, format);
	vsnprintf(g->own->trouble, sizeof(g->own->trouble), format, args);
	va_end(args);
}

static void gen_init(struct gen *g)
{
	const struct conf *cf = g->conf;
	struct epoll_event ev = {.events = EPOLLIN};

	for (unsigned room = 0; room < cf->rooms; room++)
		for (unsigned m = 0; m < cf->members; m++)
			g->link_count += owner_of(cf, room, m) == g->index;
	g->link = calloc(g->link_count + 1, sizeof(*g->link));
	/* Untouched pages cost nothing: room for the largest frame and one read. */
	g->in = mmap(NULL, FRAME_LEN_MAX + FRAME_HEAD_MAX + GEN_READ_LEN, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!g->link || g->in == MAP_FAILED || g->epoll < 0)
		abort();
	for (unsigned room = 0, i = 0; room < cf->rooms; room++)
		for (unsigned m = 0; m < cf->members; m++)
			if (owner_of(cf, room, m) == g->index)
				g->link[i++] = (struct link){.fd = -1, .room = room,
							     .id = room * cf->members + m};
	ev.data.ptr = NULL;
	if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, g->shared->wake_fd[g->index], &ev) < 0)
		abort();
}

static void follow_stage(struct gen *g)
{
	int stage = atomic_load_explicit(&g->shared->stage, memory_order_acquire);

	if (stage == g->stage)
		return;
	if (g->stage < STAGE_RUN && (stage == STAGE_RUN || stage == STAGE_MEASURE))
		load_start(g);
	if (stage == STAGE_MEASURE)
		g->measure_ns = stamp_now();
	g->stage = stage;
}

/* connect mode: every ended connection is opened anew while the run lasts. */
static void churn(struct gen *g)
{
	bool is_on = g->stage == STAGE_RUN || g->stage == STAGE_MEASURE;

	for (unsigned i = 0; i < g->link_count && is_on; i++)
		if (g->link[i].state == LINK_FREE)
			link_open(g, &g->link[i]);
}

static void open_more(struct gen *g)
{
	if (g->conf->mode == MODE_CONNECT) {
		churn(g);
		g->own->is_ready = 1;
		return;
	}
	while (g->next_link < g->link_count && g->pending < g->conf->window &&
	       g->stage == STAGE_CONNECT)
		link_open(g, &g->link[g->next_link++]);
	if (g->next_link == g->link_count && !g->pending)
		g->own->is_ready = 1;
}

static int wait_events(struct gen *g, struct epoll_event *events)
{
	uint64_t wait = load_wait(g);
	struct timespec ts = {0};

	if (g->conf->mode == MODE_HERD && herd_wait(g) < wait)
		wait = herd_wait(g);
	/* A turn at least every 100 ms, so that a stage is never missed. */
	if (wait > SEC_NS / 10)
		wait = SEC_NS / 10;
	if (!g->conf->has_spin || g->stage < STAGE_RUN)
		ts.tv_nsec = (long)wait;
	return epoll_pwait2(g->epoll, events, EVENTS_MAX, &ts, NULL);
}

static void on_wake(struct gen *g)
{
	uint64_t value;

	if (read(g->shared->wake_fd[g->index], &value, sizeof(value)) < 0 && errno != EAGAIN)
		abort();
	load_wake(g);
}

static void close_all(struct gen *g)
{
	for (unsigned i = 0; i < g->link_count; i++)
		if (g->link[i].state == LINK_LIVE)
			link_bye(g, &g->link[i]);
	for (unsigned i = 0; i < g->link_count; i++)
		link_close(g, &g->link[i]);
}

void gen_run(struct gen *g)
{
	static struct epoll_event events[EVENTS_MAX];
	int n;

	prctl(PR_SET_TIMERSLACK, 1000);
	gen_init(g);
	load_init(g);
	while (g->stage != STAGE_QUIT) {
		follow_stage(g);
		open_more(g);
		n = wait_events(g, events);
		g->now = stamp_now();
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				link_event(g, events[i].data.ptr, events[i].events);
			else
				on_wake(g);
		}
		load_turn(g);
		if (g->conf->mode == MODE_HERD)
			herd_turn(g);
	}
	close_all(g);
	_exit(0);
}
