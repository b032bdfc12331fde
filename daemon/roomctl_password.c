/* SPDX-License-Identifier: MIT */
/*
 * Reads one line that nobody else should see.
 * Arguments are no place for it: every user of the machine reads those.
 */
#include "daemon/roomctl_password.h"

#include <errno.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "proto/utf8.h"

void roomctl_password_done(struct buf *password)
{
	if (password->p)
		explicit_bzero(password->p, password->len);
	buf_done(password);
}

/* One line without its end, byte by byte so that nothing behind it is taken. */
static int read_line(int fd, size_t max, struct buf *ret, struct buf *ret_why)
{
	char line[2048];
	size_t len = 0;
	ssize_t n;
	char c;

	assert(max < sizeof(line));
	while ((n = read(fd, &c, 1)) == 1 && c != '\n' && len <= max)
		line[len++] = c;
	if (len && line[len - 1] == '\r')
		len--;
	if (n >= 0 && len >= 1 && len <= max)
		buf_add(ret, line, len);
	explicit_bzero(line, sizeof(line));
	if (n < 0) {
		buf_printf(ret_why, "the password cannot be read: %s\n", strerror(errno));
		return -ERR_IO;
	}
	if (len < 1 || len > max) {
		buf_printf(ret_why, "the password %s\n", len ? "is too long" : "is empty");
		return -ERR_INVAL;
	}
	return 0;
}

static int ask(int tty, const char *prompt, size_t max, struct buf *ret, struct buf *ret_why)
{
	int r;

	(void)!write(tty, prompt, strlen(prompt));
	r = read_line(tty, max, ret, ret_why);
	(void)!write(tty, "\n", 1);
	return r;
}

static int ask_twice(int tty, const char *prompt, size_t max, struct buf *ret, struct buf *ret_why)
{
	struct buf again = BUF_INIT;
	size_t start = ret->len;
	int r = ask(tty, prompt, max, ret, ret_why);

	if (r == 0)
		r = ask(tty, "Once more: ", max, &again, ret_why);
	if (r == 0 && (again.len != ret->len - start ||
		       memcmp(again.p, ret->p + start, again.len) != 0)) {
		buf_add_cstr(ret_why, "these were two different passwords\n");
		r = -ERR_INVAL;
	}
	roomctl_password_done(&again);
	return r;
}

static int ask_terminal(const char *prompt, size_t max, struct buf *ret, struct buf *ret_why)
{
	int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC), r;
	struct termios was, quiet;

	if (tty < 0 || tcgetattr(tty, &was) < 0) {
		buf_printf(ret_why, "/dev/tty: %s\n", strerror(errno));
		if (tty >= 0)
			close(tty);
		return -ERR_IO;
	}
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ISIG); /* an interrupt would leave the echo off */
	tcsetattr(tty, TCSAFLUSH, &quiet);
	r = ask_twice(tty, prompt, max, ret, ret_why);
	tcsetattr(tty, TCSAFLUSH, &was);
	close(tty);
	return r;
}

int roomctl_password_read(const char *prompt, size_t max, struct buf *ret, struct buf *ret_why)
{
	int r;

	if (isatty(STDIN_FILENO))
		r = ask_terminal(prompt, max, ret, ret_why);
	else
		r = read_line(STDIN_FILENO, max, ret, ret_why);
	if (r == 0 && (memchr(ret->p, '\0', ret->len) || !utf8_valid(ret->p, ret->len))) {
		buf_add_cstr(ret_why, "the password is not UTF-8 text\n");
		r = -ERR_INVAL;
	}
	return r;
}
