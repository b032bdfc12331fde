/* SPDX-License-Identifier: MIT */
/*
 * Codes as people write them, and the rooms that they open, for whoever does not guess too often.
 * How long rooms are kept is codes.c's.
 */
#include "worker/codes.h"

#include "worker/dbio.h"
#include "worker/limits.h"

int codes_parse(struct str s, char ret[CODE_LEN])
{
	while (s.len && s.p[0] == ' ')
		s = (struct str){s.p + 1, s.len - 1};
	while (s.len && s.p[s.len - 1] == ' ')
		s.len--;
	if (s.len != CODE_LEN)
		return -ERR_INVAL;
	for (size_t i = 0; i < CODE_LEN; i++) {
		char c = s.p[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c < 'A' || c > 'Z')
			return -ERR_INVAL;
		ret[i] = c;
	}
	return 0;
}

struct finding {
	struct call *call;
	codes_find_fn *done;
	void *arg;
};

static void on_found(void *arg, int err, int64_t conv, struct str code)
{
	struct finding f = *(struct finding *)arg;

	(void)code;
	free(arg);
	if (err != -ERR_NOENT) /* no guess, or nobody could say */
		limits_give(f.call->wk, LIMIT_CODE_MISSES, limit_by_addr(&f.call->addr));
	f.done(f.arg, err, conv);
}

/* Every attempt counts as a miss until the room is found. */
int codes_find(struct call *call, const char code[CODE_LEN], codes_find_fn *done, void *arg)
{
	struct worker *wk = call->wk;
	struct finding *f;
	int r = -ERR_NOENT;

	if (!limits_call_take(call, LIMIT_CODE_MISSES, limit_by_addr(&call->addr)))
		return -ERR_DENIED;
	f = xmalloc(sizeof(*f));
	*f = (struct finding){call, done, arg};
	/* letters that no code has */
	if (!memchr(code, 'I', CODE_LEN) && !memchr(code, 'O', CODE_LEN))
		r = code_enter(dbio_reader(wk), (struct str){code, CODE_LEN},
			       wk->settings->chat_code_grace, dbio_deadline(wk), on_found, f, NULL);
	if (r < 0)
		on_found(f, r, 0, STR(""));
	return 0;
}
