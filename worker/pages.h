/* SPDX-License-Identifier: MIT */
/*
 * Pages that work without scripts: the form at the start, a room with a code, one's history. What
 * they share: templates of web_root/pages, redirects, notices, the fields of forms.
 *
 * Handlers are in page_forms.c, page_room.c and page_history.c, and named in routes.def. A page is
 * written anew for each request and kept nowhere.
 */
#ifndef WORKER_PAGES_H
#define WORKER_PAGES_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/html.h"
#include "worker/call.h"

/* What a redirect to the start says there, by its name in the address; see page_home. */
enum page_notice {
	NOTICE_NONE,
	NOTICE_EXPIRED, /* the session is over, or was none */
	NOTICE_CLOSED,	/* the room is not there any more */
	NOTICE_COUNT
};

/* The text of the notice that REQ's query names; p NULL: none. Static. */
struct str pages_notice_text(const struct http_request *req);

/* Appends template NAME ("room.html") of the site, filled. False: the site has no such template. */
bool pages_fill(const struct call *call, struct buf *b, const char *name,
	       const struct html_value *values, size_t n);

/*
 * Answers with template NAME as a whole page, and with a time to come back when STATUS says that
 * the refusal passes.
 */
void pages_answer(struct call *call, int status, const char *name, const struct html_value *values,
		 size_t n);

/* 302 or 303 (after a form that is done) to WHERE, an address of ours that needs no escapes. */
void pages_redirect(struct call *call, int status, const char *where);

/* To the start, saying why. */
void pages_go_home(struct call *call, enum page_notice notice);

/*
 * Whether the caller has a session that is in a room. If not, answers by leading to the start, and
 * says there that a session has ended if the browser thinks that it has one.
 */
bool pages_needs_room(struct call *call);

/* The caller's session is in ROOM (0: in none) from now on: the answer sets its cookie anew. */
void pages_set_room(struct call *call, int64_t room);

/* Whether a page of ours, or no page at all, sent this form; if not, answers E_BAD_ORIGIN. */
bool pages_is_own_form(struct call *call);

/*
 * The decoded field NAME of the form, owned by the caller; "" when it is not there. *RET_IS_GOOD is
 * false for bad escapes, NUL and invalid UTF-8, and the text is "" then.
 */
struct buf pages_field(const struct call *call, const char *name, bool *ret_is_good);

/* The status of a page that says ERROR: forms know 400 for all that is wrong with a field. */
int pages_status(enum proto_error error);

/* The error of a database answer, as call_db_error tells it. */
enum proto_error pages_db_error(int err);

/* The values of a page's notice: text that is shown above all, escaped. */
void pages_add_notice(const struct call *call, struct buf *b, const char *kind, struct str text);

#endif
