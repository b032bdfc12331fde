/* SPDX-License-Identifier: MIT */
/*
 * Questions about rooms and metrics, answered from shared memory. Who may ask is decided by the mode of the
 * master's control socket.
 */
#include "worker/ctl.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "proto/json.h"
#include "shm/metrics.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "shm/typing.h"

static void add_error(struct buf *b, const char *text)
{
	buf_clear(b);
	buf_add_char(b, '{');
	json_add_key_cstr(b, "error", text);
	buf_add_char(b, '}');
}

static void add_user(void *arg, int64_t user, struct str name)
{
	struct buf *b = arg;

	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", user);
	json_add_key_str(b, "name", name);
	buf_add_char(b, '}');
}

static void add_slots(struct buf *b, uint64_t slots)
{
	json_add_key(b, "workers");
	buf_add_char(b, '[');
	for (; slots; slots &= slots - 1) {
		json_add_sep(b);
		buf_add_i64(b, __builtin_ctzll(slots));
	}
	buf_add_char(b, ']');
}

static void add_info(struct buf *b, int64_t conv, const struct room_info *info)
{
	json_add_key_i64(b, "conversation", conv);
	json_add_key_i64(b, "connections", info->connections);
	json_add_key_i64(b, "members", info->users);
	json_add_key_i64(b, "published_rev", info->published_rev);
	json_add_key_bool(b, "closed", info->is_closed);
	add_slots(b, info->slots);
}

static void room_show(struct worker *wk, struct str arg, struct buf *b)
{
	unsigned me = (unsigned)wk->slot;
	struct room_info info = {0};
	int64_t conv;

	if (str_to_i64(arg, &conv) < 0 || conv <= 0) {
		add_error(b, "a room is named by its number");
		return;
	}
	if (room_read(wk->shm, me, conv, &info) == -ERR_TIMEOUT) {
		add_error(b, "shared memory is busy");
		return;
	}
	buf_add_char(b, '{');
	add_info(b, conv, &info);
	json_add_key(b, "users");
	buf_add_char(b, '[');
	if (roster_read(wk->shm, me, conv, add_user, b) < 0)
		log_debug("roster not read", LF_INT("conversation", conv));
	buf_add_char(b, ']');
	json_add_key(b, "typing");
	buf_add_char(b, '[');
	if (typing_read(wk->shm, me, conv, clock_mono_ms(), add_user, b) < 0)
		log_debug("typing set not read", LF_INT("conversation", conv));
	buf_add_cstr(b, "]}");
}

static int add_room(void *arg, int64_t conv, const struct room_info *info)
{
	struct buf *b = arg;

	json_add_sep(b);
	buf_add_char(b, '{');
	add_info(b, conv, info);
	buf_add_char(b, '}');
	return 0;
}

static void room_list_all(struct worker *wk, struct str arg, struct buf *b)
{
	(void)arg;
	buf_add_cstr(b, "{\"rooms\":[");
	if (room_each(wk->shm, (unsigned)wk->slot, add_room, b) < 0)
		log_debug("rooms not read");
	buf_add_cstr(b, "]}");
}

static void metrics(struct worker *wk, struct str arg, struct buf *b)
{
	(void)arg;
	metric_print(wk->shm, b);
}

static const struct {
	struct str words;
	void (*answer)(struct worker *wk, struct str arg, struct buf *b);
} commands[] = {
	{{"room show", 9}, room_show},
	{{"room list", 9}, room_list_all},
	{{"metrics", 7}, metrics},
};

/* The rest of COMMAND behind WORDS and a blank; false when it is another command. */
static bool takes(struct str command, struct str words, struct str *ret_arg)
{
	if (command.len < words.len || memcmp(command.p, words.p, words.len) != 0)
		return false;
	if (command.len > words.len && command.p[words.len] != ' ')
		return false;
	*ret_arg = (struct str){command.p + words.len, command.len - words.len};
	if (ret_arg->len)
		*ret_arg = (struct str){ret_arg->p + 1, ret_arg->len - 1};
	return true;
}

void ctl_answer(struct worker *wk, struct str command, int fd)
{
	struct buf b = BUF_INIT;
	struct str arg;
	size_t i = 0;

	while (i < ARRAY_LEN(commands) && !takes(command, commands[i].words, &arg))
		i++;
	if (i < ARRAY_LEN(commands))
		commands[i].answer(wk, arg, &b);
	else
		add_error(&b, "unknown command");
	buf_add_char(&b, '\n');
	for (size_t sent = 0; sent < b.len;) {
		ssize_t n = send(fd, b.p + sent, b.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			break;
		sent += (size_t)n;
	}
	buf_done(&b);
}
