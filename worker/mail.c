/* SPDX-License-Identifier: MIT */
/*
 * The mail command: started without a shell, fed through a pipe, watched, ended when it is late.
 * What a mail says is here too, because there are two.
 */
#include "worker/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/ids.h"
#include "base/log.h"
#include "worker/credentials.h"

#define RUNNING_MAX 4 /* commands at a time, of each worker */
#define WAITING_MAX 64
#define ARGS_MAX 32

struct letter {
	struct list node; /* in mails.waiting or mails.running */
	struct worker *wk;
	int64_t user;
	struct buf text;
	size_t written;
	pid_t pid;
	bool is_late;
	int pidfd;
	ev_io feed, end; /* the pipe's end; the process */
	ev_timer timer;
};

struct mails {
	struct list waiting, running;
	unsigned n_waiting, n_running;
};

bool mail_is_on(const struct worker *wk)
{
	return wk->settings->mail_command[0];
}

static void complain(const struct letter *l, const char *why, int number)
{
	static struct log_rate rate;
	uint64_t suppressed;

	if (log_rate_pass(&rate, 1000, &suppressed))
		log_warn("a mail could not be sent", LF_STR("why", why), LF_INT("number", number),
			 LF_INT("user", l->user), LF_INT("suppressed", (int64_t)suppressed));
}

static void letter_free(struct letter *l)
{
	if (l->text.len)
		explicit_bzero(l->text.p, l->text.len);
	buf_done(&l->text);
	list_remove(&l->node);
	free(l);
}

/* ---- The process ---- */

static void run_next(struct worker *wk);

static void stop_feeding(struct letter *l)
{
	if (l->feed.fd < 0)
		return;
	ev_io_stop(l->wk->loop, &l->feed);
	close(l->feed.fd);
	l->feed.fd = -1;
}

static void let_go(struct letter *l)
{
	struct worker *wk = l->wk;

	stop_feeding(l);
	ev_io_stop(wk->loop, &l->end);
	ev_timer_stop(wk->loop, &l->timer);
	close(l->pidfd);
	wk->mails->n_running--;
	letter_free(l);
}

static void on_feed(EV_P_ ev_io *w, int revents)
{
	struct letter *l = w->data;
	ssize_t n = write(w->fd, l->text.p + l->written, l->text.len - l->written);

	(void)loop;
	(void)revents;
	if (n > 0)
		l->written += (size_t)n;
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || l->written == l->text.len)
		stop_feeding(l);
}

static void on_end(EV_P_ ev_io *w, int revents)
{
	struct letter *l = w->data;
	struct worker *wk = l->wk;
	siginfo_t info = {0};

	(void)loop;
	(void)revents;
	if (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED | WNOHANG) < 0) {
		if (errno == EINTR)
			return; /* asked again at once */
		complain(l, "nobody knows what became of the mail command", errno);
		let_go(l);
		run_next(wk);
		return;
	}
	if (!info.si_pid)
		return;
	if (l->is_late)
		complain(l, "the mail command took too long", info.si_status);
	else if (info.si_code != CLD_EXITED)
		complain(l, "the mail command was killed", info.si_status);
	else if (info.si_status)
		complain(l, "the mail command failed", info.si_status);
	let_go(l);
	run_next(wk);
}

/* Its process group: a command may be a script with children. */
static void on_late(EV_P_ ev_timer *w, int revents)
{
	struct letter *l = w->data;

	(void)loop;
	(void)revents;
	l->is_late = true;
	stop_feeding(l);
	kill(-l->pid, SIGKILL);
}

/* Blanks separate arguments; nothing else has a meaning. COPY is written into. */
static void split(char *copy, char *ret[ARGS_MAX])
{
	size_t n = 0;
	char *save = NULL;

	for (char *word = strtok_r(copy, " \t", &save); word && n < ARGS_MAX - 1;
	     word = strtok_r(NULL, " \t", &save))
		ret[n++] = word;
	ret[n] = NULL;
}

/* The child has nothing of ours: no secret in its environment, no signal of ours ignored. */
static int spawn(const char *command, int in, pid_t *ret_pid)
{
	static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = {path, NULL}, *args[ARGS_MAX];
	char *copy = xstrndup(command, strlen(command));
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t all, none;
	int r = ENOENT;

	split(copy, args);
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSID);
	posix_spawn_file_actions_adddup2(&files, in, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	if (args[0])
		r = posix_spawn(ret_pid, args[0], &files, &attr, args, environment);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	free(copy);
	return r;
}

static void watch(struct letter *l, int out)
{
	struct worker *wk = l->wk;

	ev_io_init(&l->feed, on_feed, out, EV_WRITE);
	ev_io_init(&l->end, on_end, l->pidfd, EV_READ);
	ev_timer_init(&l->timer, on_late, (double)wk->settings->mail_timeout / 1000.0, 0.);
	l->feed.data = l->end.data = l->timer.data = l;
	ev_io_start(wk->loop, &l->feed);
	ev_io_start(wk->loop, &l->end);
	ev_timer_start(wk->loop, &l->timer);
	list_append(&wk->mails->running, &l->node);
	wk->mails->n_running++;
}

/* The program is named by its full path. Frees L when it cannot be started. */
static void start(struct letter *l)
{
	int pipes[2], r;

	if (pipe2(pipes, O_CLOEXEC) < 0) {
		complain(l, "no pipe", errno);
		letter_free(l);
		return;
	}
	r = spawn(l->wk->settings->mail_command, pipes[0], &l->pid);
	close(pipes[0]);
	l->pidfd = r ? -1 : pidfd_open(l->pid, 0);
	if (l->pidfd < 0) {
		complain(l, "the mail command cannot be started", r ? r : errno);
		close(pipes[1]);
		letter_free(l);
		return;
	}
	fcntl(pipes[1], F_SETFL, O_NONBLOCK);
	watch(l, pipes[1]);
}

static void run_next(struct worker *wk)
{
	struct mails *m = wk->mails;

	while (m->n_running < RUNNING_MAX && !list_empty(&m->waiting)) {
		struct letter *l = list_entry(list_first(&m->waiting), struct letter, node);

		list_remove(&l->node);
		m->n_waiting--;
		start(l);
	}
}

static struct mails *mails_of(struct worker *wk)
{
	if (!wk->mails) {
		wk->mails = xcalloc(1, sizeof(*wk->mails));
		list_init(&wk->mails->waiting);
		list_init(&wk->mails->running);
	}
	return wk->mails;
}

/* TEXT becomes the letter's. */
static void post(struct worker *wk, int64_t user, struct buf text)
{
	struct mails *m = mails_of(wk);
	struct letter *l = xcalloc(1, sizeof(*l));

	list_init(&l->node);
	l->wk = wk;
	l->user = user;
	l->text = text;
	l->feed.fd = -1;
	if (m->n_waiting == WAITING_MAX) {
		complain(l, "too many mails wait", WAITING_MAX);
		letter_free(l);
		return;
	}
	list_append(&m->waiting, &l->node);
	m->n_waiting++;
	run_next(wk);
}

void mail_close(struct worker *wk)
{
	struct mails *m = wk->mails;

	if (!m)
		return;
	while (!list_empty(&m->waiting))
		letter_free(list_entry(list_first(&m->waiting), struct letter, node));
	while (!list_empty(&m->running)) { /* it has the whole text, or will never have it */
		struct letter *l = list_entry(list_first(&m->running), struct letter, node);

		if (l->feed.fd >= 0)
			kill(-l->pid, SIGKILL);
		let_go(l);
	}
	free(m);
	wk->mails = NULL;
}

/* ---- What it says ---- */

static void add_date(struct buf *b)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char text[64];
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_printf(b, "Date: %s\n", text);
}

/* RFC 5322, lines as a program on the same host expects them; RFC 3834 against answers. */
static void add_head(const struct worker *wk, struct buf *b, struct str to, const char *subject)
{
	const char *from = wk->settings->mail_from, *at = strrchr(from, '@');
	struct uuid id = uuid_v7();
	char id_text[UUID_TEXT_LEN + 1];

	uuid_format(&id, id_text);
	buf_printf(b, "From: %s\nTo: ", from);
	buf_add_str(b, to);
	buf_printf(b, "\nSubject: %s\n", subject);
	add_date(b);
	buf_printf(b, "Message-ID: <%s@%s>\n", id_text, at ? at + 1 : "localhost");
	buf_add_cstr(b, "Auto-Submitted: auto-generated\nMIME-Version: 1.0\n"
			"Content-Type: text/plain; charset=utf-8\n"
			"Content-Transfer-Encoding: 8bit\n\n");
}

void mail_reset(struct worker *wk, int64_t user, struct str to, struct str name, struct str token)
{
	const char *site = wk->settings->mail_site;
	size_t site_len = strlen(site);
	struct buf b = BUF_INIT;

	if (!mail_is_on(wk) || !credentials_email_valid(to))
		return;
	add_head(wk, &b, to, "A new password");
	buf_add_cstr(&b, "Somebody, probably you, has forgotten the password of the account\n\n\t");
	buf_add_str(&b, name);
	buf_printf(&b, "\n\nWith this code a new one can be set, once, within %" PRId64
		       " minutes:\n\n\t",
		   MAX(wk->settings->auth_reset_ttl / 60000, 1));
	buf_add_str(&b, token);
	if (site_len) {
		while (site_len && site[site_len - 1] == '/')
			site_len--;
		buf_add_cstr(&b, "\n\nor here:\n\n\t");
		buf_add(&b, site, site_len);
		buf_add_cstr(&b, "/#/reset/");
		buf_add_str(&b, token);
	}
	buf_add_cstr(&b, "\n\nIf it was not you, nothing has to be done.\n");
	post(wk, user, b);
}

void mail_moved(struct worker *wk, int64_t user, struct str to, struct str name)
{
	struct buf b = BUF_INIT;

	if (!mail_is_on(wk) || !credentials_email_valid(to))
		return;
	add_head(wk, &b, to, "Your address was changed");
	buf_add_cstr(&b, "This is not the address of the account\n\n\t");
	buf_add_str(&b, name);
	buf_add_cstr(&b, "\n\nany more: somebody who knows its password has changed it.\n\nIf it"
			 " was not you, sign in and change the password, or ask the operator.\n");
	post(wk, user, b);
}
