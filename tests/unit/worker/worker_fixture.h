/* SPDX-License-Identifier: MIT */
/*
 * A whole worker under a test's hand: real loop, real shared memory, clients on socket pairs. The
 * clock stands still until the test moves it, and the database answers what the test says, when it
 * says so. Programs that use it are linked with the --wrap options of the Makefile.
 */
#ifndef TESTS_WORKER_FIXTURE_H
#define TESTS_WORKER_FIXTURE_H

#include "worker_test.h"

#include "sql/batch.h"
#include "sql/changes.h"
#include "sql/db_backends.h"
#include "sql/events.h"
#include "sql/filters.h"
#include "sql/marks.h"
#include "sql/resume.h"
#include "worker/chan.h"
#include "worker/conn.h"
#include "worker/worker.h"

#define STAND_SLOTS 3
#define ROOM 42
#define STAND_AT_MS INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z: time of every event here */

/* ---- The worker, in slot 0; slots 1 and 2 are other workers that the test plays ---- */

extern struct worker *wk;
extern int wake_fds[STAND_SLOTS]; /* eventfds */
extern int master_fd;		  /* the master's end of the control line */
extern int lifeline_fd;		  /* closing it (then -1) is the master's death */
extern uint64_t now_ms;		  /* clock_mono_ms, in every folder */

int stand_setup(void **state); /* per test */
int stand_teardown(void **state);

/* "section.key=value" for the worker's own settings. */
void stand_set(const char *assignment);

/* One turn of the loop that does not sleep; N of them. */
void turn(void);
void turns(int n);

/* Time passes, then the loop turns. */
void pass_ms(uint64_t ms);

int64_t counted(enum metric m);

/* ---- Clients ---- */

struct client {
	int fd;
	uint64_t id; /* of the connection */
	struct buf in;
};

/* A socket whose opening handshake is done. */
void client_open(struct client *cl, enum dialect dialect, int64_t room);
void client_close(struct client *cl);

/* The connection, NULL when it has gone. */
struct conn *client_conn(const struct client *cl);

/* Sends one masked frame (RFC 6455 section 5.2); all but the first turn the loop. */
void client_write(struct client *cl, unsigned op, const char *payload, size_t len);
void client_frame(struct client *cl, unsigned op, const void *payload, size_t len);
void say(struct client *cl, const char *text);

/*
 * The next frame: text as it is, "ping X", "pong X", "close 4480 reason"; "" when there is none,
 * "(part)" when it is not complete, "(end)" at the end of the stream. Static until the next call.
 */
const char *told(struct client *cl);

/* Frames up to the first that contains NEEDLE; fails the test when there is none. */
const char *told_until(struct client *cl, const char *needle);

/* All frames that are there: the revs of the messages among them, "5 6 7". */
const char *told_revs(struct client *cl);

/* All frames that are there are thrown away. */
void told_all(struct client *cl);

/*
 * A raw client of ROOM / a native client that says hello, answered as guest USER with NAME; the
 * raw one is in the room and live when it returns, with everything told so far thrown away. HEAD:
 * rev of the log, if the room is looked up now.
 */
void enter_raw(struct client *cl, const char *name, int64_t user, int64_t head);
void enter_native(struct client *cl, const char *name, int64_t user);

/* ---- The database ---- */

enum ask { ASK_ROOM, ASK_EVENTS, ASK_SETTLE, ASK_ALIVE, ASK_BATCH, ASK_CHANGE, ASK_GUEST, ASK_PAGE,
	ASK_UNREAD, /* only while stand_marks.is_held */
	ASK_MARK,
	ASK_SAVE, /* only while stand_saved.is_held */
	ASK_RESUME,
};

/* A question that nobody has answered. */
struct asked {
	enum ask what;
	int64_t conv, after;
	int limit;
	struct str name;	/* ASK_GUEST */
	struct batch_row *rows; /* ASK_BATCH; contents are copies */
	struct log_change change; /* ASK_CHANGE; its strings are the worker's */
	size_t n;
	uint64_t deadline_ms;
	int64_t user;		/* ASK_MARK */
	struct resume_key *keys; /* ASK_RESUME: N of them, copies */
	void *done, *arg;
};

extern bool is_db_connected;
extern bool is_db_refusing; /* no question about events is taken */

int asked_count(enum ask what);
const struct asked *asked(enum ask what); /* the oldest; fails the test when there is none */

/* Each answers the oldest question of its kind. */
void db_room(int64_t rev, int64_t seq);
void db_room_closed(void);
void db_room_error(int err);
/* messages "mREV" of user 7, Dora; none when LAST < FIRST */
void db_events(int64_t first, int64_t last);
void db_events_closing(int64_t first, int64_t last); /* LAST is a conversation.close */
void db_events_error(int err);
/* A result with these events, for a test that answers a question itself; one at a time. */
const struct db_result *stand_events(const struct event_row *rows, int n);
void db_settled(int err);
void db_alive(int64_t n); /* server processes of lost connections */
void db_batch(const struct batch_answer *answers);
void db_batch_stored(int64_t rev); /* every row, from this rev on; seq equals rev */
void db_change(enum log_change_status status, int64_t rev); /* with nothing else worth telling */
void db_guest(int64_t id, const char *name); /* all of one statement: ID, ID + 1, … */
void db_guest_error(int err);
void db_page(int err, const char *json);
void db_unread(int err); /* stand_marks.unread */
void db_mark(int err, int64_t seq, int64_t unread, bool is_changed);
void db_saved(int err);
/* all of one statement the same; -ERR_NOENT: known to nobody */
void db_resume(int err, size_t n, const int64_t *convs, const int64_t *revs);

/* What the tables of marks hold; asked and answered at once, unless held. */
extern struct stand_marks {
	bool is_held;
	int64_t unread; /* of everybody; -1: no marks */
	int64_t seq;	/* up to which message */
	int64_t after;	/* the rev that the last page was asked for */
	int n;
	const struct mark_row *rows;
	int err; /* of the page */
	int questions; /* statements so far */
} stand_marks;

/* The content filters, and what was noted because of them. */
extern struct stand_filters {
	const struct filter_row *rows;
	int n;
	int64_t version, removed;
	bool is_held; /* reading them is not answered */
	int hits;     /* texts that were noted as flagged */
	int reports;  /* times that they were made reports */
	int64_t hit_rule;
} stand_filters;

/* What was written of sessions: how many statements, and the last point of the last. */
extern struct stand_saved {
	bool is_held;
	int err; /* answered at once */
	int statements;
	size_t points;
	struct resume_point last; /* convs and revs: see below */
	int64_t convs[8], revs[8];
} stand_saved;

/* ---- The ring ---- */

/* The event of message REV of CONV: "mREV" by user 7, Dora. */
struct event message(int64_t conv, int64_t rev);

/* Worker SLOT publishes it, and wakes whom it must. Returns the set of slots it had to wake. */
uint64_t publish_as(unsigned slot, const struct event *ev);
void publish(int64_t rev); /* message REV of ROOM, by slot 1 */

#endif
