/* SPDX-License-Identifier: MIT */
/*
 * The file of the control socket: made with its mode, replaced when nobody serves it, removed at
 * the end. Clients are ctl.c's.
 */
#include "daemon/ctl_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static int fail(const char **ret_why)
{
	*ret_why = strerror(errno);
	return -ERR_IO;
}

/* Returns 0 or -ERR_TOOBIG. */
static int set_address(struct sockaddr_un *ret, const char *path)
{
	size_t len = strlen(path);

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof(ret->sun_path))
		return -ERR_TOOBIG;
	memcpy(ret->sun_path, path, len);
	return 0;
}

static int new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Whether a process listens there. A full queue is a sign of life, too. */
static bool is_served(const struct sockaddr_un *to)
{
	int fd = new_socket();
	bool is_refused = false;

	if (fd < 0)
		return true; /* not known: better not to take it away */
	if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		is_refused = errno == ECONNREFUSED || errno == ENOENT;
	close(fd);
	return !is_refused;
}

static int make_way(const struct sockaddr_un *to, const char **ret_why)
{
	struct stat st;

	if (lstat(to->sun_path, &st) < 0)
		return errno == ENOENT ? 0 : fail(ret_why);
	if (!S_ISSOCK(st.st_mode)) {
		*ret_why = "there is something that is no socket";
		return -ERR_IO;
	}
	if (is_served(to))
		return -ERR_EXISTS;
	return unlink(to->sun_path) < 0 && errno != ENOENT ? fail(ret_why) : 0;
}

/* The mode comes with the birth of the file: there is no moment at which others may connect. */
static int bind_with_mode(int fd, const struct sockaddr_un *to, mode_t mode)
{
	mode_t before = umask(0777 & ~mode);
	int r = bind(fd, (const struct sockaddr *)to, sizeof(*to));
	int saved = errno;

	umask(before);
	errno = saved;
	return r;
}

int ctl_socket_open(const char *path, mode_t mode, struct ctl_socket *ret, const char **ret_why)
{
	struct ctl_socket s = {.fd = -1};
	struct sockaddr_un to;
	struct stat st;
	int r;

	if (set_address(&to, path) < 0) {
		*ret_why = "the path is too long for a socket";
		return -ERR_IO;
	}
	r = make_way(&to, ret_why);
	if (r < 0)
		return r;
	s.fd = new_socket();
	if (s.fd < 0 || bind_with_mode(s.fd, &to, mode) < 0 || listen(s.fd, BACKLOG) < 0 ||
	    stat(path, &st) < 0) {
		r = fail(ret_why);
		if (s.fd >= 0)
			close(s.fd);
		return r;
	}
	s.dev = st.st_dev;
	s.ino = st.st_ino;
	*ret = s;
	return 0;
}

void ctl_socket_close(struct ctl_socket *s, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
		unlink(path);
	close(s->fd);
	s->fd = -1;
}
