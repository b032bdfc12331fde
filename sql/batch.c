/* SPDX-License-Identifier: MIT */
/*
 * Batches of messages: binary arrays out, numbers in, and the search for the row that spoils a
 * batch. Numbering and locking are persist_batch's work in the schema.
 */
#include "sql/batch.h"

#include "sql/array.h"

/*
 * A key stored between our probe and our insert in another conversation, or a deadlock, passes
 * soon.
 */
#define PART_TRIES 4

/* What persist_batch says of a row. */
enum { ROW_BASE, ROW_STORED, ROW_DUPLICATE };

/*
 * Rows that go in one statement; parts of a batch are sent one after the other to keep the order.
 */
struct part {
	struct part *next;
	uint32_t n;
	uint32_t tries;
	uint32_t idx[]; /* into rows, ascending by (conversation, place in the batch) */
};

struct batch {
	struct db *db;
	batch_done_fn *done;
	void *arg;
	uint64_t deadline_ms;
	uint32_t n;
	struct buf text;	      /* content and meta of all rows */
	struct batch_row *rows;	      /* copies that point into text */
	struct batch_answer *answers; /* n of them; stored texts are owned */
	uint32_t *first;	      /* per row the first one with the same key, mostly itself */
	struct part *parts;	      /* owned; the first is in flight */
};

/* ---- Encoding ---- */

static void encode_ids(const struct batch_row *rows, const uint32_t *order, uint32_t n,
		       struct db_args *a)
{
	uint32_t n_ids = 0;
	struct buf *b;

	for (uint32_t i = 0; i < n; i++)
		n_ids += i == 0 || rows[order[i]].conv != rows[order[i - 1]].conv;
	b = array_open(a, OID_INT8, n_ids);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || rows[order[i]].conv != rows[order[i - 1]].conv)
			array_add_i64(b, rows[order[i]].conv);
	db_args_close(a);
}

static void encode_positions(const struct batch_row *rows, const uint32_t *order, uint32_t n,
			     struct db_args *a)
{
	struct buf *b = array_open(a, OID_INT4, n);
	int32_t pos = 0;

	for (uint32_t i = 0; i < n; i++) {
		bool is_same = i > 0 && rows[order[i]].conv == rows[order[i - 1]].conv;

		pos = is_same ? pos + 1 : 1;
		array_add_i32(b, pos);
	}
	db_args_close(a);
}

/* ORDER is sorted by conversation already. The order of the calls is that of the parameters. */
static void encode(const struct batch_row *rows, const uint32_t *order, uint32_t n,
		   struct db_args *a)
{
	struct buf *b;

	encode_ids(rows, order, n, a);
	b = array_open(a, OID_INT8, n);
	for (uint32_t i = 0; i < n; i++)
		array_add_i64(b, rows[order[i]].conv);
	db_args_close(a);
	encode_positions(rows, order, n, a);
	b = array_open(a, OID_INT8, n);
	for (uint32_t i = 0; i < n; i++)
		array_add_i64(b, rows[order[i]].sender);
	db_args_close(a);
	b = array_open(a, OID_UUID, n);
	for (uint32_t i = 0; i < n; i++)
		array_add_uuid(b, &rows[order[i]].client_msg_id);
	db_args_close(a);
	b = array_open(a, OID_TEXT, n);
	for (uint32_t i = 0; i < n; i++)
		array_add_str(b, rows[order[i]].content);
	db_args_close(a);
	b = array_open(a, OID_INT8, n);
	for (uint32_t i = 0; i < n; i++) {
		if (rows[order[i]].reply_to_rev)
			array_add_i64(b, rows[order[i]].reply_to_rev);
		else
			array_add_null(b);
	}
	db_args_close(a);
	b = array_open(a, OID_TEXT, n);
	for (uint32_t i = 0; i < n; i++) {
		if (rows[order[i]].meta_json.len)
			array_add_str(b, rows[order[i]].meta_json);
		else
			array_add_null(b);
	}
	db_args_close(a);
}

static int compare_conv(const void *pa, const void *pb, void *arg)
{
	const struct batch_row *rows = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (rows[a].conv != rows[b].conv)
		return rows[a].conv < rows[b].conv ? -1 : 1;
	return a < b ? -1 : a > b; /* keeps the order of sending */
}

void batch_encode(const struct batch_row *rows, size_t n, struct db_args *args, uint32_t *order)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	qsort_r(order, n, sizeof(*order), compare_conv, (void *)(uintptr_t)rows);
	encode(rows, order, (uint32_t)n, args);
}

/* ---- Keys doubled inside the batch ---- */

static int compare_key(const void *pa, const void *pb, void *arg)
{
	const struct batch_row *rows = arg;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	int r = memcmp(rows[a].client_msg_id.b, rows[b].client_msg_id.b, sizeof(struct uuid));

	if (r == 0 && rows[a].sender != rows[b].sender)
		r = rows[a].sender < rows[b].sender ? -1 : 1;
	return r ? r : a < b ? -1 : a > b;
}

static void find_doubles(struct batch *b)
{
	uint32_t *by_key = xcalloc(b->n, sizeof(*by_key));

	for (uint32_t i = 0; i < b->n; i++)
		by_key[i] = i;
	qsort_r(by_key, b->n, sizeof(*by_key), compare_key, b->rows);
	for (uint32_t i = 0; i < b->n; i++) {
		const struct batch_row *row = &b->rows[by_key[i]], *prev;

		prev = i ? &b->rows[by_key[i - 1]] : NULL;
		if (prev && prev->sender == row->sender &&
		    memcmp(prev->client_msg_id.b, row->client_msg_id.b, sizeof(struct uuid)) == 0)
			b->first[by_key[i]] = b->first[by_key[i - 1]];
		else
			b->first[by_key[i]] = by_key[i];
	}
	free(by_key);
}

/* ---- Life of a batch ---- */

static struct part *part_new(const uint32_t *idx, uint32_t n, struct part *next)
{
	struct part *p = xcalloc(1, sizeof(*p) + n * sizeof(*idx));

	p->next = next;
	p->n = n;
	memcpy(p->idx, idx, n * sizeof(*idx));
	return p;
}

static void batch_free(struct batch *b)
{
	struct part *p;

	while ((p = b->parts)) {
		b->parts = p->next;
		free(p);
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (b->first[i] == i) {
			free((char *)(uintptr_t)b->answers[i].content.p);
			free((char *)(uintptr_t)b->answers[i].attachment.p);
		}
	buf_done(&b->text);
	free(b->rows);
	free(b->answers);
	free(b->first);
	free(b);
}

static void copy_rows(struct batch *b, const struct batch_row *rows)
{
	size_t bytes = 0;
	char *p;

	for (uint32_t i = 0; i < b->n; i++)
		bytes += rows[i].content.len + rows[i].meta_json.len + rows[i].attachment.len;
	p = (char *)buf_reserve(&b->text, bytes + 1);
	for (uint32_t i = 0; i < b->n; i++) {
		struct batch_row *row = &b->rows[i];

		*row = rows[i];
		if (uuid_is_zero(&row->client_msg_id))
			row->client_msg_id = uuid_v7();
		row->content = str_put(&p, rows[i].content);
		row->meta_json = str_put(&p, rows[i].meta_json);
		row->attachment = str_put(&p, rows[i].attachment);
		b->answers[i].conv = row->conv;
		b->answers[i].client_msg_id = row->client_msg_id;
		b->answers[i].arg = row->arg;
	}
}

static struct batch *batch_new(struct db *db, const struct batch_row *rows, uint32_t n)
{
	struct batch *b = xcalloc(1, sizeof(*b));
	uint32_t *order = xcalloc(n, sizeof(*order)), n_sent = 0;

	b->db = db;
	b->n = n;
	b->rows = xcalloc(n, sizeof(*b->rows));
	b->answers = xcalloc(n, sizeof(*b->answers));
	b->first = xcalloc(n, sizeof(*b->first));
	copy_rows(b, rows);
	find_doubles(b);
	for (uint32_t i = 0; i < n; i++)
		if (b->first[i] == i)
			order[n_sent++] = i;
	qsort_r(order, n_sent, sizeof(*order), compare_conv, b->rows);
	b->parts = part_new(order, n_sent, NULL);
	free(order);
	return b;
}

/* A doubled row shares the fate of the first one; the text it is told is borrowed from there. */
static void batch_finish(struct batch *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct batch_answer *a = &b->answers[i], *first = &b->answers[b->first[i]];

		if (first == a)
			continue;
		a->status = first->status == BATCH_STORED ? BATCH_DUPLICATE : first->status;
		a->conv = first->conv;
		a->rev = first->rev;
		a->seq = first->seq;
		a->at_ms = first->at_ms;
		a->content = first->content;
		a->attachment = first->attachment;
		a->reply_to_rev = first->reply_to_rev;
		if (first->status == BATCH_STORED) {
			const struct batch_row *row = &b->rows[b->first[i]];

			a->content = row->content;
			a->attachment = row->attachment;
			a->reply_to_rev = row->reply_to_rev;
		}
	}
	b->done(b->arg, b->answers, b->n);
	batch_free(b);
}

static void part_set(struct batch *b, enum batch_status status)
{
	for (uint32_t i = 0; i < b->parts->n; i++)
		b->answers[b->parts->idx[i]].status = status;
}

/* ---- Answers ---- */

/* The first place in the part with this conversation, or n. */
static uint32_t part_find(const struct batch *b, int64_t conv)
{
	const struct part *p = b->parts;
	uint32_t low = 0, high = p->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (b->rows[p->idx[mid]].conv < conv)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* One row for all messages of a conversation: the numbers reached before them. */
static void take_base(struct batch *b, int64_t conv, int64_t rev, int64_t seq, int64_t at_ms)
{
	const struct part *p = b->parts;

	for (uint32_t i = part_find(b, conv); i < p->n && b->rows[p->idx[i]].conv == conv; i++) {
		struct batch_answer *a = &b->answers[p->idx[i]];

		a->status = BATCH_STORED;
		a->rev = ++rev;
		a->seq = ++seq;
		a->at_ms = at_ms;
	}
}

static struct str take_str(const struct db_result *res, int row, int col)
{
	struct str s = db_get_str(res, row, col);

	return (struct str){s.p ? xstrndup(s.p, s.len) : NULL, s.len};
}

/* What the log has under the key of a row: it stays when the result goes. */
static void take_stored(struct batch_answer *a, const struct db_result *res, int i)
{
	a->content = take_str(res, i, 6);
	a->attachment = take_str(res, i, 8);
	a->reply_to_rev = db_get_i64(res, i, 7);
}

static void take_rows(struct batch *b, const struct db_result *res)
{
	part_set(b, BATCH_NO_CONV);
	for (int i = 0; i < db_rows(res); i++) {
		int64_t ord = db_get_i64(res, i, 0), conv = db_get_i64(res, i, 1);
		int64_t rev = db_get_i64(res, i, 2), seq = db_get_i64(res, i, 3);
		int64_t at_ms = db_get_i64(res, i, 4), status = db_get_i64(res, i, 5);
		struct batch_answer *a;

		if (status == ROW_BASE) {
			take_base(b, conv, rev, seq, at_ms);
			continue;
		}
		if (ord < 1 || ord > b->parts->n)
			continue;
		a = &b->answers[b->parts->idx[ord - 1]];
		a->status = status == ROW_STORED ? BATCH_STORED : BATCH_DUPLICATE;
		a->conv = conv;
		a->rev = rev;
		a->seq = seq;
		a->at_ms = at_ms;
		if (a->status == BATCH_DUPLICATE)
			take_stored(a, res, i);
	}
}

/* The fault may lie in one row: bad value, constraint, some limit of the server. */
static bool is_rows_fault(const struct db_result *res)
{
	const char *state = db_result_sqlstate(res);

	return strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
	       strncmp(state, "54", 2) == 0;
}

/* Another transaction was in the way: it is gone at the next attempt. */
static bool is_to_repeat(const struct db_result *res)
{
	const char *state = db_result_sqlstate(res);

	return strncmp(state, "40", 2) == 0 || strcmp(state, "23505") == 0;
}

static void part_split(struct batch *b)
{
	struct part *p = b->parts;
	uint32_t half = p->n / 2;

	b->parts = part_new(p->idx, half, part_new(p->idx + half, p->n - half, p->next));
	free(p);
}

static void part_drop(struct batch *b)
{
	struct part *p = b->parts;

	b->parts = p->next;
	free(p);
}

/*
 * Whose turn has not come yet must not overtake what failed: the caller brings them again in
 * order.
 */
static void parts_give_up(struct batch *b, enum batch_status status)
{
	part_set(b, status);
	part_drop(b);
	while (b->parts) {
		part_set(b, BATCH_UNSENT);
		part_drop(b);
	}
}

static void part_judge(struct batch *b, const struct db_result *res)
{
	enum db_status status = db_result_status(res);
	struct part *p = b->parts;

	if (is_to_repeat(res) && ++p->tries < PART_TRIES)
		return;
	if (is_rows_fault(res) && p->n > 1) {
		part_split(b);
		return;
	}
	if (status != DB_OK && !is_rows_fault(res)) {
		parts_give_up(b, status == DB_LOST ? BATCH_UNKNOWN : BATCH_UNSENT);
		return;
	}
	if (status == DB_OK)
		take_rows(b, res);
	else
		part_set(b, BATCH_FAILED);
	part_drop(b);
}

static int part_send(struct batch *b);

static void on_answer(const struct db_call *call, const struct db_result *res)
{
	struct batch *b = call->arg;

	part_judge(b, res);
	if (b->parts && part_send(b) < 0)
		parts_give_up(b, BATCH_UNSENT);
	if (!b->parts)
		batch_finish(b);
}

static int part_send(struct batch *b)
{
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = STMT_PERSIST_BATCH,
			     .args = &args,
			     .deadline_ms = b->deadline_ms,
			     .is_patient = true,
			     .done = on_answer,
			     .call = {.arg = b}};
	int r;

	encode(b->rows, b->parts->idx, b->parts->n, &args);
	r = db_submit(b->db, &q, NULL);
	db_args_done(&args);
	return r;
}

int batch_submit(struct db *db, const struct batch_row *rows, size_t n, uint64_t deadline_ms,
		 batch_done_fn *done, void *arg)
{
	struct batch *b;
	int r;

	if (n < 1 || n > BATCH_ROWS_MAX)
		return -ERR_INVAL;
	b = batch_new(db, rows, (uint32_t)n);
	b->done = done;
	b->arg = arg;
	b->deadline_ms = deadline_ms;
	r = part_send(b);
	if (r < 0)
		batch_free(b);
	return r;
}
