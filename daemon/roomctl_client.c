/* SPDX-License-Identifier: MIT */
/*
 * Speaks to the control socket: a line out, everything up to the end in.
 * What the answer says is roomctl_text.c's.
 */
#include "daemon/roomctl_client.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_S 15
#define ANSWER_MAX (256 * 1024 * 1024)

static int fail(const char *path, int r, struct buf *ret_why)
{
	buf_printf(ret_why, "%s: %s\n", path, strerror(errno));
	return r;
}

/* Returns the descriptor or a negative code. */
static int open_socket(const char *path, struct buf *ret_why)
{
	const struct timeval wait = {.tv_sec = WAIT_S};
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, r;

	if (len == 0 || len >= sizeof(to.sun_path)) {
		buf_add_cstr(ret_why,
			     len ? "the path of the control socket is too long\n"
				 : "control.socket is empty: there is no control socket\n");
		return -ERR_UNAVAILABLE;
	}
	memcpy(to.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		r = errno == EACCES || errno == EPERM ? -ERR_DENIED : -ERR_UNAVAILABLE;
		r = fail(path, r, ret_why);
		if (fd >= 0)
			close(fd);
		return r;
	}
	return fd;
}

/* A failure shows by itself: there is no answer, or one that says why. */
static void send_all(int fd, struct str text)
{
	while (text.len) {
		ssize_t n = send(fd, text.p, text.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		text = (struct str){text.p + n, text.len - (size_t)n};
	}
}

static int read_all(int fd, struct buf *ret)
{
	for (;;) {
		ssize_t n = recv(fd, buf_reserve(ret, 65536), 65536, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? -ERR_TIMEOUT : -ERR_CLOSED;
		if (n == 0)
			return 0;
		buf_commit(ret, (size_t)n);
		if (ret->len > ANSWER_MAX)
			return -ERR_TOOBIG;
	}
}

int roomctl_client_ask(const char *path, struct str line, struct buf *ret_answer,
		       struct buf *ret_why)
{
	struct buf text = BUF_INIT;
	int fd = open_socket(path, ret_why), r;

	if (fd < 0)
		return fd;
	buf_add_str(&text, line);
	buf_add_char(&text, '\n');
	send_all(fd, buf_str(&text));
	buf_clear(&text);
	r = read_all(fd, &text);
	if (r == 0 || r == -ERR_CLOSED)
		r = text.len && text.p[text.len - 1] == '\n' ? 0 : -ERR_CLOSED;
	if (r == 0)
		buf_add(ret_answer, text.p, text.len - 1);
	else
		buf_printf(ret_why, "%s: no whole answer: %s\n", path, err_text(r));
	buf_done(&text);
	close(fd);
	return r;
}
