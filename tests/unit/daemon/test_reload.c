/* SPDX-License-Identifier: MIT */
/*
 * New settings for a running node (daemon/reload.c): all or nothing, and every worker hears of it.
 * Two socket pairs stand in for workers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/master.h"
#include "daemon/reload.h"
#include "daemon/secret.h"
#include "shm/metrics.h"
#include "shm/segment.h"

#define WORKERS 2

static struct master m;
static struct options opt;
static char file[] = "/tmp/roomd-test-XXXXXX";
static int ends[WORKERS];
static int changes;

void master_on_child_change(struct master *master)
{
	assert_ptr_equal(master, &m);
	changes++;
}

/* The rest of the master is not there. */
void master_leave(struct master *master)
{
	assert_null(master);
}

void master_stop(struct master *master, int code)
{
	assert_null(master);
	assert_int_equal(code, 0);
}

static void write_file(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
	const struct shm_geometry geo = {.n_slots = WORKERS,
					 .rooms_max = 64,
					 .members_max = 64,
					 .users_max = 64,
					 .typing_max = 64,
					 .ring_bytes = 65536};
	struct buf faults = BUF_INIT;

	(void)state;
	changes = 0;
	write_file("[chat]\nname_max = 50\n");
	opt = (struct options){.file = file};
	m = (struct master){.opt = &opt, .n_slots = WORKERS, .state = MASTER_RUNNING};
	assert_int_equal(options_load(&opt, &m.settings, &faults), 0);
	assert_int_equal(secret_fill(m.settings), 0); /* as main does */
	assert_int_equal(shm_create(&geo, &m.shm), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		int pair[2];

		assert_int_equal(
			socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			0);
		m.children[i] = (struct child){
			.master = &m, .slot = i, .pid = 1, .control_fd = pair[0], .pidfd = -1};
		ends[i] = pair[1];
	}
	return log_init(LOG_SINK_TEXT, LOG_LEVEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		close(m.children[i].control_fd);
		close(ends[i]);
	}
	settings_free(&m.settings);
	shm_detach(&m.shm);
	return 0;
}

/* The settings that worker I was sent, NULL for none. */
static struct settings *sent_to(int i)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	char text[64];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes,
			     .msg_controllen = sizeof(space.bytes)};
	struct settings *s = NULL;
	int fd;

	if (recvmsg(ends[i], &msg, MSG_CMSG_CLOEXEC) != 8)
		return NULL;
	assert_memory_equal(text, "settings", 8);
	assert_non_null(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	assert_int_equal(settings_from_memfd(fd, &s), 0);
	close(fd);
	return s;
}

static char *text_of(struct buf *b)
{
	buf_add_char(b, '\0');
	return (char *)b->p;
}

static void test_changes_reach_everybody(void **state)
{
	struct buf lines = BUF_INIT;

	(void)state;
	write_file("[chat]\nname_max = 60\n");
	assert_int_equal(reload_settings(&m, &lines), 0);
	assert_string_equal(text_of(&lines), "applied chat.name_max\n");
	assert_int_equal(m.settings->chat_name_max, 60);
	for (int i = 0; i < WORKERS; i++) {
		struct settings *s = sent_to(i);

		assert_non_null(s);
		assert_int_equal(s->chat_name_max, 60);
		settings_free(&s);
	}
	buf_done(&lines);
}

static void test_faults_change_nothing(void **state)
{
	struct settings *before = m.settings;
	struct buf lines = BUF_INIT;

	(void)state;
	write_file("[chat]\nname_max = 60\nmessage_max = many\nunknown = 1\n");
	assert_int_equal(reload_settings(&m, &lines), -ERR_INVAL);
	assert_ptr_equal(m.settings, before);
	assert_int_equal(metric_sum(m.shm, M_RELOADS), 1); /* failed ones are counted too */
	assert_int_equal(m.settings->chat_name_max, 50);
	assert_memory_equal(text_of(&lines), "fault ", 6);
	assert_non_null(strstr((char *)lines.p, "message_max"));
	assert_non_null(strstr((char *)lines.p, "unknown")); /* every fault is told */
	assert_null(sent_to(0));
	buf_done(&lines);
}

static void test_file_that_has_gone(void **state)
{
	(void)state;
	unlink(file);
	assert_int_equal(reload_settings(&m, NULL), -ERR_INVAL);
	assert_int_equal(m.settings->chat_name_max, 50);
}

static void test_what_needs_a_restart_is_told(void **state)
{
	struct buf lines = BUF_INIT;

	(void)state;
	write_file("[chat]\nname_max = 50\n[server]\nworkers = 7\n");
	assert_int_equal(reload_settings(&m, &lines), 0);
	assert_string_equal(text_of(&lines), "restart server.workers\n");
	buf_done(&lines);
}

static void test_unchanged(void **state)
{
	struct buf lines = BUF_INIT;

	(void)state;
	assert_int_equal(reload_settings(&m, &lines), 0);
	assert_string_equal(text_of(&lines), "");
	buf_done(&lines);
}

static void test_service_manager_is_told_only_when_it_waits(void **state)
{
	(void)state;
	assert_int_equal(reload_settings(&m, NULL), 0);
	assert_int_equal(changes, 0);
	m.is_announced = true;
	assert_int_equal(reload_settings(&m, NULL), 0);
	assert_int_equal(changes, 1);
	write_file("nonsense");
	assert_int_equal(reload_settings(&m, NULL), -ERR_INVAL);
	assert_int_equal(changes, 2); /* the node is ready after a failed reload too */
}

static void test_stopping(void **state)
{
	(void)state;
	m.state = MASTER_STOPPING;
	write_file("[chat]\nname_max = 60\n");
	assert_int_equal(reload_settings(&m, NULL), -ERR_CLOSED);
	assert_int_equal(m.settings->chat_name_max, 50);
	assert_null(sent_to(0));
}

static void test_log_level(void **state)
{
	struct settings *s;

	(void)state;
	assert_int_equal(reload_log_level(&m, STR("loud")), -ERR_INVAL);
	assert_null(sent_to(0));
	assert_int_equal(reload_log_level(&m, STR("error")), 0);
	for (int i = 0; i < WORKERS; i++) {
		s = sent_to(i);
		assert_non_null(s);
		assert_true(str_eq(settings_choice(s, "log.level"), STR("error")));
		settings_free(&s);
	}
	assert_int_equal(reload_settings(&m, NULL), 0); /* back to the file's */
	s = sent_to(0);
	assert_non_null(s);
	assert_true(str_eq(settings_choice(s, "log.level"), STR("notice")));
	settings_free(&s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_changes_reach_everybody),
		T(test_faults_change_nothing),
		T(test_file_that_has_gone),
		T(test_what_needs_a_restart_is_told),
		T(test_unchanged),
		T(test_service_manager_is_told_only_when_it_waits),
		T(test_stopping),
		T(test_log_level),
	};
	int r, fd = mkstemp(file);

	if (fd < 0)
		return 99;
	close(fd);
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	return r;
}
