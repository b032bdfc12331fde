/* SPDX-License-Identifier: MIT */
/*
 * The stand of worker_fixture.h: what surrounds a worker, played by the test.
 * What is expected of the worker stands in the tests.
 */
#include "worker_fixture.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/ring.h"
#include "shm/segment.h"
#include "shm/slots.h"
#include "sql/messages.h"
#include "sql/resume.h"
#include "sql/rooms.h"
#include "sql/users.h"
#include "worker/dbio.h"
#include "worker/worker_priv.h"

#define ASKED_MAX 64
#define FIRST_MS 1000000

struct worker *wk;
int wake_fds[STAND_SLOTS], master_fd = -1, lifeline_fd = -1;
static struct worker_inbox inboxes[STAND_SLOTS];
uint64_t now_ms;
bool is_db_connected, is_db_refusing;

static struct worker_boot boot;
static int control_fd, lifeline_end;
static struct asked questions[ASKED_MAX];
static int n_questions;

/* ---- In the places of clock.c and sql/ ---- */

struct rows {
	int n;
	const struct event_row *rows;
};
static struct rows present; /* the result that is being looked at */

uint64_t __wrap_clock_mono_ms(void);
void __wrap_db_start(struct db *db);
bool __wrap_db_is_connected(const struct db *db);
int __wrap_db_rows(const struct db_result *res);
void __wrap_event_row_get(const struct db_result *res, int i, struct event_row *ret);
int __wrap_room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
		     room_done_fn *done, void *arg, uint64_t *ret_token);
int __wrap_events_after(struct db *db, int64_t conv, int64_t after, int limit, uint64_t deadline_ms,
			db_rows_fn *done, void *arg, uint64_t *ret_token);
int __wrap_events_settle(struct db *db, int64_t conv, uint64_t deadline_ms, events_settled_fn *done,
			 void *arg, uint64_t *ret_token);
int __wrap_batch_submit(struct db *db, const struct batch_row *rows, size_t n, uint64_t deadline_ms,
			batch_done_fn *done, void *arg);
int __wrap_user_guests_get(struct db *db, const struct str *names, size_t n, uint64_t deadline_ms,
			   db_rows_fn *done, void *arg, uint64_t *ret_token);
int __wrap_user_guests_row(const struct db_result *res, int i, struct user *ret);
int __wrap_unread_get(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		      uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token);
void __wrap_unread_row_get(const struct db_result *res, int i, struct unread_row *ret);
int __wrap_marks_page(struct db *db, const int64_t *convs, const int64_t *after_revs, size_t n,
		      uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token);
void __wrap_mark_row_get(const struct db_result *res, int i, struct mark_row *ret);
int __wrap_mark_set(struct db *db, int64_t conv, int64_t user, enum mark_kind kind,
		    const struct mark_place *place, uint64_t deadline_ms, mark_done_fn *done,
		    void *arg, uint64_t *ret_token);
int __wrap_resume_save(struct db *db, const struct resume_point *points, size_t n, int keep_days,
		       uint64_t deadline_ms, resume_saved_fn *done, void *arg, uint64_t *ret_token);
int __wrap_resume_load(struct db *db, const struct resume_key *keys, size_t n, uint64_t deadline_ms,
		       resume_loaded_fn *done, void *arg, uint64_t *ret_token);
int __wrap_messages_page_native(struct db *db, int64_t conv, enum page_from from, int64_t rev,
				int limit, uint64_t deadline_ms, page_done_fn *done, void *arg,
				uint64_t *ret_token);

int __wrap_log_change_submit(struct db *db, const struct log_change *change, uint64_t deadline_ms,
			     log_change_done_fn *done, void *arg, uint64_t *ret_token);

int __wrap_backends_alive(struct db *db, const int32_t *pids, size_t n, uint64_t deadline_ms,
			  backends_done_fn *done, void *arg);

uint64_t __wrap_clock_mono_ms(void)
{
	return now_ms;
}

void __wrap_db_start(struct db *db)
{
	(void)db;
}

bool __wrap_db_is_connected(const struct db *db)
{
	(void)db;
	return is_db_connected;
}

int __wrap_db_rows(const struct db_result *res)
{
	assert_ptr_equal(res, &present);
	return present.n;
}

void __wrap_event_row_get(const struct db_result *res, int i, struct event_row *ret)
{
	assert_ptr_equal(res, &present);
	assert_in_range(i, 0, present.n - 1);
	*ret = present.rows[i];
}

static struct asked *ask(enum ask what, int64_t conv, uint64_t deadline_ms, void *done, void *arg)
{
	struct asked *a = &questions[n_questions++];

	assert_true(n_questions < ASKED_MAX);
	*a = (struct asked){
		.what = what, .conv = conv, .deadline_ms = deadline_ms, .done = done, .arg = arg};
	return a;
}

int __wrap_backends_alive(struct db *db, const int32_t *pids, size_t n, uint64_t deadline_ms,
			  backends_done_fn *done, void *arg)
{
	(void)db;
	ask(ASK_ALIVE, pids[n - 1], deadline_ms, (void *)done, arg);
	return 0;
}

int __wrap_room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
		     room_done_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)uid;
	(void)ret_token;
	ask(ASK_ROOM, id, deadline_ms, (void *)done, arg);
	return 0;
}

int __wrap_events_after(struct db *db, int64_t conv, int64_t after, int limit, uint64_t deadline_ms,
			db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct asked *a;

	(void)db;
	(void)ret_token;
	if (is_db_refusing)
		return -ERR_UNAVAILABLE;
	a = ask(ASK_EVENTS, conv, deadline_ms, (void *)done, arg);
	a->after = after;
	a->limit = limit;
	return 0;
}

int __wrap_events_settle(struct db *db, int64_t conv, uint64_t deadline_ms, events_settled_fn *done,
			 void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)ret_token;
	ask(ASK_SETTLE, conv, deadline_ms, (void *)done, arg);
	return 0;
}

int __wrap_batch_submit(struct db *db, const struct batch_row *rows, size_t n, uint64_t deadline_ms,
			batch_done_fn *done, void *arg)
{
	struct asked *a = ask(ASK_BATCH, 0, deadline_ms, (void *)done, arg);

	(void)db;
	a->n = n;
	a->rows = xcalloc(n, sizeof(*rows));
	for (size_t i = 0; i < n; i++) {
		a->rows[i] = rows[i];
		a->rows[i].content = (struct str){xstrndup(rows[i].content.p, rows[i].content.len),
						  rows[i].content.len};
	}
	return 0;
}

int __wrap_log_change_submit(struct db *db, const struct log_change *change, uint64_t deadline_ms,
			     log_change_done_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)ret_token;
	ask(ASK_CHANGE, change->conv, deadline_ms, (void *)done, arg)->change = *change;
	return 0;
}

int __wrap_user_guests_get(struct db *db, const struct str *names, size_t n, uint64_t deadline_ms,
			   db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct asked *a = ask(ASK_GUEST, 0, deadline_ms, (void *)done, arg);

	(void)db;
	(void)ret_token;
	a->n = n;
	a->name = (struct str){xstrndup(names[0].p, names[0].len), names[0].len};
	return 0;
}

/*
 * The guests of one statement have consecutive ids and, beyond the first, names with their
 * number.
 */
static struct user first_guest;

int __wrap_user_guests_row(const struct db_result *res, int i, struct user *ret)
{
	static char name[64];

	assert_ptr_equal(res, &present);
	*ret = first_guest;
	ret->id += i;
	if (i) {
		snprintf(name, sizeof(name), "%.*s%d", (int)first_guest.name.len,
			 first_guest.name.p, i);
		ret->name = str_of(name);
	}
	return 0;
}

struct stand_marks stand_marks = {.unread = -1};

static void answer_unread(db_rows_fn *done, void *arg, int err, size_t n)
{
	present = (struct rows){.n = stand_marks.unread >= 0 ? (int)n : 0};
	done(arg, err, err ? NULL : (const struct db_result *)&present);
}

int __wrap_unread_get(struct db *db UNUSED, const int64_t *convs, const int64_t *users UNUSED,
		      size_t n, uint64_t deadline_ms, db_rows_fn *done, void *arg,
		      uint64_t *ret_token UNUSED)
{
	stand_marks.questions++;
	if (stand_marks.is_held)
		ask(ASK_UNREAD, convs[0], deadline_ms, (void *)done, arg)->n = n;
	else
		answer_unread(done, arg, 0, n);
	return 0;
}

void __wrap_unread_row_get(const struct db_result *res, int i, struct unread_row *ret)
{
	assert_ptr_equal(res, &present);
	*ret = (struct unread_row){
		.at = (size_t)i, .unread = stand_marks.unread, .seq = stand_marks.seq};
}

int __wrap_marks_page(struct db *db UNUSED, const int64_t *convs UNUSED, const int64_t *after_revs,
		      size_t n UNUSED, uint64_t deadline_ms UNUSED, db_rows_fn *done, void *arg,
		      uint64_t *ret_token UNUSED)
{
	stand_marks.questions++;
	stand_marks.after = after_revs[0];
	present = (struct rows){.n = stand_marks.n};
	done(arg, stand_marks.err, stand_marks.err ? NULL : (const struct db_result *)&present);
	return 0;
}

void __wrap_mark_row_get(const struct db_result *res, int i, struct mark_row *ret)
{
	assert_ptr_equal(res, &present);
	assert_in_range(i, 0, stand_marks.n - 1);
	*ret = stand_marks.rows[i];
}

int __wrap_mark_set(struct db *db, int64_t conv, int64_t user, enum mark_kind kind,
		    const struct mark_place *place, uint64_t deadline_ms, mark_done_fn *done,
		    void *arg, uint64_t *ret_token)
{
	struct asked *a = ask(ASK_MARK, conv, deadline_ms, (void *)done, arg);

	(void)db;
	(void)ret_token;
	a->user = user;
	a->limit = kind;
	a->after = place->seq;
	return 0;
}

struct stand_saved stand_saved;

/* Written at once, unless the test holds it or has it fail. */
int __wrap_resume_save(struct db *db, const struct resume_point *points, size_t n, int keep_days,
		       uint64_t deadline_ms, resume_saved_fn *done, void *arg, uint64_t *ret_token)
{
	struct stand_saved *saved = &stand_saved;

	(void)db;
	(void)ret_token;
	assert_int_equal(keep_days, 7);
	saved->statements++;
	saved->points = n;
	saved->last = points[n - 1];
	assert_true(saved->last.n <= ARRAY_LEN(saved->convs));
	for (size_t i = 0; i < saved->last.n; i++) {
		saved->convs[i] = saved->last.convs[i];
		saved->revs[i] = saved->last.revs[i];
	}
	if (saved->is_held)
		ask(ASK_SAVE, 0, deadline_ms, (void *)done, arg);
	else
		done(arg, saved->err);
	return 0;
}

int __wrap_resume_load(struct db *db, const struct resume_key *keys, size_t n, uint64_t deadline_ms,
		       resume_loaded_fn *done, void *arg, uint64_t *ret_token)
{
	struct asked *a = ask(ASK_RESUME, 0, deadline_ms, (void *)done, arg);

	(void)db;
	(void)ret_token;
	a->n = n;
	a->keys = xcalloc(n, sizeof(*keys));
	memcpy(a->keys, keys, n * sizeof(*keys));
	return 0;
}

int __wrap_messages_page_native(struct db *db, int64_t conv, enum page_from from, int64_t rev,
				int limit, uint64_t deadline_ms, page_done_fn *done, void *arg,
				uint64_t *ret_token)
{
	struct asked *a = ask(ASK_PAGE, conv, deadline_ms, (void *)done, arg);

	(void)db;
	(void)ret_token;
	a->after = from == PAGE_AFTER ? rev : -rev;
	a->limit = limit;
	return 0;
}

/* ---- Answers ---- */

int asked_count(enum ask what)
{
	int n = 0;

	for (int i = 0; i < n_questions; i++)
		n += questions[i].what == what;
	return n;
}

static int oldest(enum ask what)
{
	int i = 0;

	while (i < n_questions && questions[i].what != what)
		i++;
	if (i == n_questions)
		fail_msg("the database was not asked (%d)", what);
	return i;
}

const struct asked *asked(enum ask what)
{
	return &questions[oldest(what)];
}

static struct asked take(enum ask what)
{
	int i = oldest(what);
	struct asked a = questions[i];

	n_questions--;
	memmove(questions + i, questions + i + 1, (size_t)(n_questions - i) * sizeof(a));
	return a;
}

static void asked_done(struct asked *a)
{
	for (size_t i = 0; a->rows && i < a->n; i++)
		free((char *)a->rows[i].content.p);
	free(a->rows);
	free((char *)a->name.p);
}

static void answer_room(int err, const struct room *room)
{
	struct asked a = take(ASK_ROOM);
	struct room r = room ? *room : (struct room){0};

	r.id = a.conv;
	((room_done_fn *)a.done)(a.arg, err, err ? NULL : &r);
	turn();
}

void db_room(int64_t rev, int64_t seq)
{
	answer_room(0, &(struct room){.id = ROOM, .kind = STR("room"), .rev = rev, .seq = seq});
}

void db_room_closed(void)
{
	answer_room(0, &(struct room){.is_closed = true});
}

void db_room_error(int err)
{
	answer_room(err, NULL);
}

static void answer_events(int64_t first, int64_t last, int64_t closing)
{
	struct asked a = take(ASK_EVENTS);
	int n = (int)(last - first + 1);
	struct event_row *rows = xcalloc((size_t)MAX(n, 1), sizeof(*rows));
	char(*texts)[32] = xcalloc((size_t)MAX(n, 1), sizeof(*texts));

	for (int i = 0; i < n; i++) {
		int64_t rev = first + i;

		snprintf(texts[i], sizeof(texts[i]), "m%" PRId64, rev);
		rows[i] = (struct event_row){
			.rev = rev,
			.seq = rev,
			.at_ms = STAND_AT_MS,
			.kind = rev == closing ? KIND_CONVERSATION_CLOSE : KIND_MESSAGE_NEW,
			.actor = 7,
			.actor_name = STR("Dora"),
			.content = rev == closing ? (struct str){0} : str_of(texts[i]),
		};
	}
	assert_true(n <= a.limit);
	present = (struct rows){MAX(n, 0), rows};
	((db_rows_fn *)a.done)(a.arg, 0, (struct db_result *)&present);
	free(rows);
	free(texts);
	turn();
}

void db_events(int64_t first, int64_t last)
{
	answer_events(first, last, 0);
}

void db_events_closing(int64_t first, int64_t last)
{
	answer_events(first, last, last);
}

void db_events_error(int err)
{
	struct asked a = take(ASK_EVENTS);

	((db_rows_fn *)a.done)(a.arg, err, NULL);
	turn();
}

const struct db_result *stand_events(const struct event_row *rows, int n)
{
	present = (struct rows){n, (void *)(uintptr_t)rows};
	return (const struct db_result *)&present;
}

void db_settled(int err)
{
	struct asked a = take(ASK_SETTLE);

	((events_settled_fn *)a.done)(a.arg, err);
	turn();
}

void db_batch(const struct batch_answer *answers)
{
	struct asked a = take(ASK_BATCH);

	((batch_done_fn *)a.done)(a.arg, answers, a.n);
	asked_done(&a);
	turn();
}

void db_batch_stored(int64_t rev)
{
	const struct asked *a = asked(ASK_BATCH);
	struct batch_answer *answers = xcalloc(a->n, sizeof(*answers));

	for (size_t i = 0; i < a->n; i++)
		answers[i] = (struct batch_answer){
			.conv = a->rows[i].conv,
			.rev = rev + (int64_t)i,
			.seq = rev + (int64_t)i,
			.at_ms = STAND_AT_MS,
		};
	db_batch(answers);
	free(answers);
}

void db_alive(int64_t n)
{
	struct asked a = take(ASK_ALIVE);

	((backends_done_fn *)a.done)(a.arg, 0, n);
	turn();
}

void db_change(enum log_change_status status, int64_t rev)
{
	struct asked a = take(ASK_CHANGE);
	const struct log_change_answer answer = {
		.status = status,
		.conv = a.conv,
		.rev = rev,
		.seq = rev,
		.at_ms = STAND_AT_MS,
		.client_msg_id = a.change.client_msg_id,
		.target_rev = a.change.target_rev,
		.content = a.change.content,
		.key = a.change.key,
		.subject = a.change.subject,
	};

	((log_change_done_fn *)a.done)(a.arg, &answer);
	turn();
}

void db_guest(int64_t id, const char *name)
{
	struct asked a = take(ASK_GUEST);

	first_guest = (struct user){.id = id, .name = str_of(name)};
	present = (struct rows){.n = (int)a.n};
	((db_rows_fn *)a.done)(a.arg, 0, (const struct db_result *)&present);
	asked_done(&a);
	turn();
}

void db_guest_error(int err)
{
	struct asked a = take(ASK_GUEST);

	((db_rows_fn *)a.done)(a.arg, err, NULL);
	asked_done(&a);
	turn();
}

void db_unread(int err)
{
	struct asked a = take(ASK_UNREAD);

	answer_unread((db_rows_fn *)a.done, a.arg, err, a.n);
	turn();
}

void db_mark(int err, int64_t seq, int64_t unread, bool is_changed)
{
	struct asked a = take(ASK_MARK);
	const struct mark_answer answer = {.conv = a.conv,
					   .user = a.user,
					   .seq = seq,
					   .unread = unread,
					   .at_ms = STAND_AT_MS,
					   .is_changed = is_changed};

	((mark_done_fn *)a.done)(a.arg, err, err ? NULL : &answer);
	turn();
}

void db_saved(int err)
{
	struct asked a = take(ASK_SAVE);

	((resume_saved_fn *)a.done)(a.arg, err);
	turn();
}

void db_resume(int err, size_t n, const int64_t *convs, const int64_t *revs)
{
	struct asked a = take(ASK_RESUME);
	struct resume_point points[RESUME_LOADS_MAX] = {0};

	for (size_t i = 0; i < a.n && !err; i++)
		points[i] = (struct resume_point){a.keys[i].session, a.keys[i].user, n, convs,
						  revs};
	free(a.keys);
	err = err == -ERR_NOENT ? 0 : err;
	((resume_loaded_fn *)a.done)(a.arg, err, err ? NULL : points);
	turn();
}

void db_page(int err, const char *json)
{
	struct asked a = take(ASK_PAGE);

	((page_done_fn *)a.done)(a.arg, err, str_of(json));
	turn();
}

/* ---- The worker ---- */

static void set(struct settings *s, const char *assignment)
{
	struct buf faults = BUF_INIT;

	assert_int_equal(settings_assign(s, str_of(assignment), &faults), 0);
	buf_done(&faults);
}

void stand_set(const char *assignment)
{
	set(wk->settings, assignment);
}

static void open_line(void)
{
	int pair[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	control_fd = pair[0];
	master_fd = pair[1];
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	lifeline_end = pair[0];
	lifeline_fd = pair[1];
}

static struct shm *open_shm(uint32_t *ret_generation)
{
	const struct shm_geometry geo = {.n_slots = STAND_SLOTS, .rooms_max = 1000,
					 .members_max = 1000, .users_max = 1000,
					 .typing_max = 1000, .ring_bytes = 65536};
	struct shm *shm = NULL;

	assert_int_equal(shm_create(&geo, &shm), 0);
	for (unsigned i = 0; i < STAND_SLOTS; i++) {
		uint32_t generation;

		assert_int_equal(slot_reserve(shm, i, &generation), 0);
		if (i == 0)
			*ret_generation = generation;
		else if (i == 1)
			assert_int_equal(slot_open(shm, i, getpid(), generation), 0);
	}
	return shm;
}

static void open_slot(int slot)
{
	int ends[2];

	wake_fds[slot] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
				    ends),
			 0);
	inboxes[slot] = (struct worker_inbox){ends[0], ends[1]};
}

static void close_slot(int slot)
{
	close(wake_fds[slot]);
	close(inboxes[slot].in);
	close(inboxes[slot].out);
}

int stand_setup(void **state)
{
	uint32_t generation = 0;
	struct shm *shm;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	now_ms = FIRST_MS;
	is_db_connected = true;
	is_db_refusing = false;
	n_questions = 0;
	open_line();
	shm = open_shm(&generation);
	for (int i = 0; i < STAND_SLOTS; i++)
		open_slot(i);
	boot = (struct worker_boot){
		.settings = settings_new(),
		.shm = shm,
		.slot = 0,
		.generation = generation,
		.n_slots = STAND_SLOTS,
		.wake_fds = wake_fds,
		.inboxes = inboxes,
		.control_fd = control_fd,
		.lifeline_fd = lifeline_end,
	};
	wk = worker_open(&boot);
	assert_non_null(wk);
	assert_int_equal(wk->exit_code, WORKER_EXIT_OK);
	turn();
	return 0;
}

/* What the database still owes is answered as a lost connection would be. */
static void answer_all(void)
{
	for (int i = 0; n_questions && i < 10 * ASKED_MAX; i++) {
		struct batch_answer unsent[8] = {0};

		switch (questions[0].what) {
		case ASK_ROOM:
			db_room_error(-ERR_UNAVAILABLE);
			break;
		case ASK_EVENTS:
			db_events(1, 0);
			break;
		case ASK_SETTLE:
			db_settled(0);
			break;
		case ASK_BATCH:
			assert_true(questions[0].n <= ARRAY_LEN(unsent));
			for (size_t k = 0; k < ARRAY_LEN(unsent); k++)
				unsent[k].status = BATCH_UNSENT;
			db_batch(unsent);
			break;
		case ASK_ALIVE:
			db_alive(0);
			break;
		case ASK_CHANGE:
			db_change(CHANGE_UNSENT, 0);
			break;
		case ASK_GUEST:
			db_guest_error(-ERR_UNAVAILABLE);
			break;
		case ASK_PAGE:
			db_page(-ERR_UNAVAILABLE, "");
			break;
		case ASK_UNREAD:
			db_unread(-ERR_UNAVAILABLE);
			break;
		case ASK_MARK:
			db_mark(-ERR_UNAVAILABLE, 0, 0, false);
			break;
		case ASK_SAVE:
			stand_saved.is_held = false;
			db_saved(0);
			break;
		case ASK_RESUME:
			db_resume(-ERR_UNAVAILABLE, 0, NULL, NULL);
			break;
		}
	}
}

int stand_teardown(void **state)
{
	(void)state;
	stand_marks = (struct stand_marks){.unread = -1};
	stand_saved = (struct stand_saved){0};
	stand_filters = (struct stand_filters){0};
	answer_all();
	worker_close(wk);
	wk = NULL;
	shm_detach(&boot.shm);
	for (int i = 0; i < STAND_SLOTS; i++)
		close_slot(i);
	close(control_fd);
	close(master_fd);
	close(lifeline_end);
	if (lifeline_fd >= 0)
		close(lifeline_fd);
	return 0;
}

void turn(void)
{
	ev_run(wk->loop, EVRUN_NOWAIT);
	(void)dbio_is_away(wk); /* no connection tells of its states here: dbio has to look */
}

void turns(int n)
{
	while (n-- > 0)
		turn();
}

void pass_ms(uint64_t ms)
{
	now_ms += ms;
	turns(3);
}

int64_t counted(enum metric m)
{
	return metric_get(wk->shm, 0, m);
}

/* ---- The ring ---- */

struct event message(int64_t conv, int64_t rev)
{
	static char text[32];

	snprintf(text, sizeof(text), "m%" PRId64, rev);
	return (struct event){
		.type = EVT_MESSAGE_NEW,
		.conv = conv,
		.rev = rev,
		.seq = rev,
		.at_ms = STAND_AT_MS,
		.actor = 7,
		.actor_name = STR("Dora"),
		.content = str_of(text),
	};
}

uint64_t publish_as(unsigned slot, const struct event *ev)
{
	struct buf b = BUF_INIT;
	const uint64_t one = 1;
	uint64_t wake = 0;

	event_encode(ev, &b);
	ring_publish_begin(wk->shm, slot);
	assert_int_equal(
		ring_publish_add(wk->shm, slot, ev->conv, ev->rev, 0, b.p, b.len, NULL), 0);
	assert_int_equal(ring_publish_end(wk->shm, slot, &wake), 0);
	buf_done(&b);
	for (unsigned i = 0; i < STAND_SLOTS; i++)
		if (wake >> i & 1)
			assert_int_equal(write(wake_fds[i], &one, sizeof(one)), sizeof(one));
	return wake;
}

void publish(int64_t rev)
{
	const struct event ev = message(ROOM, rev);

	publish_as(1, &ev);
	turns(3);
}
