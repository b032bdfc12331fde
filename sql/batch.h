/* SPDX-License-Identifier: MIT */
/*
 * Many messages in one transaction and one answer per message: encode, send, sort out, split.
 * Gathering rows and announcing them is the caller's work.
 */
#ifndef SQL_BATCH_H
#define SQL_BATCH_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

#define BATCH_ROWS_MAX 4096

struct batch_row {
	int64_t conv;		   /* conversation id */
	int64_t sender;		   /* user id */
	struct uuid client_msg_id; /* key per sender; zero: given here */
	struct str content;	   /* UTF-8 without NUL; borrowed during the call */
	int64_t reply_to_rev;	   /* 0 = none */
	struct str meta_json;	   /* JSON object text, empty = none; borrowed during the call */
	/* what META_JSON says under "attachment_url", for a repetition in the same batch; same */
	struct str attachment;
	void *arg;		   /* the caller's, given back in the answer */
};

enum batch_status {
	BATCH_STORED,
	BATCH_DUPLICATE, /* stored before under its key; the numbers are the first ones */
	BATCH_NO_CONV,	 /* the conversation does not exist or is closed */
	BATCH_FAILED,	 /* this row alone cannot be stored (encoding, broken JSON, a constraint) */
	BATCH_UNKNOWN,	 /* no answer: stored or not; its key may be sent again */
	BATCH_UNSENT,	 /* certainly not stored: no connection in time, or the server could not */
};

struct batch_answer {
	enum batch_status status;
	int64_t conv;		   /* for DUPLICATE of the first one; 0: its key is a change's */
	int64_t rev, seq;	   /* 0 unless STORED or DUPLICATE */
	int64_t at_ms;		   /* commit's stamp, ms since 1970; 0 unless STORED or DUPLICATE */
	struct uuid client_msg_id; /* as stored */
	/*
	 * DUPLICATE: the text as it is now, p NULL when it is deleted; the address of what is
	 * attached, while it is not deleted; what it replies to
	 */
	struct str content, attachment;
	int64_t reply_to_rev;
	void *arg;		   /* the row's */
};

/* ANSWERS are in the order of the submitted rows and live during the call only. */
typedef void batch_done_fn(void *arg, const struct batch_answer *answers, size_t n);

/*
 * Sends N rows (1 to BATCH_ROWS_MAX) as one transaction. Rows of one conversation are numbered
 * in the order given, so one sender's messages keep theirs. After a lost connection the same
 * bytes are sent again until answered; keys make that safe. A refused batch is halved until only
 * the guilty rows fail. DEADLINE_MS as in db_query: limits waiting for a connection, never cuts
 * an answer short. For order across batches wait for DONE before the next batch on the same
 * conversations: a halved batch would otherwise come after its successor. Several batches may be
 * open if that does not matter. DONE is called exactly once, after return. Returns 0, -ERR_INVAL
 * (N out of range) or -ERR_FULL.
 */
int batch_submit(struct db *db, const struct batch_row *rows, size_t n, uint64_t deadline_ms,
		 batch_done_fn *done, void *arg) MUST_CHECK;

/*
 * The parameters of STMT_PERSIST_BATCH for rows in any order: arrays in binary form, sorted by
 * conversation, order kept inside each. ORDER (N elements) receives the index of each sent row.
 * Public for tests and measurements.
 */
void batch_encode(const struct batch_row *rows, size_t n, struct db_args *args, uint32_t *order);

#endif
