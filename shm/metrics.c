/* SPDX-License-Identifier: MIT */
/*
 * Counters and gauges in the slots, their sums, and their text forms.
 * Each value has one writing thread: adding is a load and a store, no locked instruction.
 */
#include "shm/metrics.h"

#include "shm/view_priv.h"

static const struct metric_info infos[] = {
#define X(id, name, labels, type, unit, help) {#id, name, labels, METRIC_##type, unit, help},
#include "shm/metrics.def"
#undef X
};

const struct metric_info *metric_info(enum metric m)
{
	return &infos[m];
}

static _Atomic int64_t *cell(const struct shm *shm, unsigned slot, enum metric m)
{
	assert(slot < shm->geo.n_slots || slot == METRIC_MASTER);
	assert(m < METRICS);
	return slot == METRIC_MASTER ? &shm->master_metrics->v[m] : &shm->slots[slot].metrics.v[m];
}

void metric_add(struct shm *shm, unsigned me, enum metric m, int64_t n)
{
	_Atomic int64_t *c = cell(shm, me, m);

	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

void metric_set(struct shm *shm, unsigned me, enum metric m, int64_t value)
{
	atomic_store_explicit(cell(shm, me, m), value, memory_order_relaxed);
}

int64_t metric_get(const struct shm *shm, unsigned slot, enum metric m)
{
	return atomic_load_explicit(cell(shm, slot, m), memory_order_relaxed);
}

int64_t metric_sum(const struct shm *shm, enum metric m)
{
	int64_t sum = metric_get(shm, METRIC_MASTER, m);

	for (unsigned i = 0; i < shm->geo.n_slots; i++)
		sum += metric_get(shm, i, m);
	return sum;
}

static const char *type_name(enum metric_type type)
{
	return type == METRIC_COUNTER ? "counter" : "gauge";
}

static void print_each(const struct shm *shm, enum metric m, struct buf *ret)
{
	for (unsigned slot = 0; slot < shm->geo.n_slots; slot++)
		buf_printf(ret, "%s{worker=\"%u\",%s} %" PRId64 "\n", infos[m].name, slot,
			   infos[m].labels, metric_get(shm, slot, m));
}

void metric_print(const struct shm *shm, struct buf *ret)
{
	for (unsigned m = 0; m < METRICS; m++) {
		const struct metric_info *i = &infos[m];

		if (m == 0 || !str_eq(str_of(i->name), str_of(infos[m - 1].name)))
			buf_printf(ret, "# HELP %s %s\n# TYPE %s %s\n", i->name, i->help, i->name,
				   type_name(i->type));
		if (i->type == METRIC_GAUGE_EACH)
			print_each(shm, m, ret);
		else if (*i->labels)
			buf_printf(ret, "%s{%s} %" PRId64 "\n", i->name, i->labels,
				   metric_sum(shm, m));
		else
			buf_printf(ret, "%s %" PRId64 "\n", i->name, metric_sum(shm, m));
	}
}

/* Labels hold quotation marks; nothing else in the table needs escaping in JSON. */
static void add_json_text(struct buf *b, const char *s)
{
	buf_add_char(b, '"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_add_char(b, '\\');
		buf_add_char(b, *s);
	}
	buf_add_char(b, '"');
}

void metrics_describe(struct buf *ret)
{
	buf_add_char(ret, '[');
	for (unsigned m = 0; m < METRICS; m++) {
		buf_printf(ret, "%s{\"name\":\"%s\",\"labels\":", m ? ",\n " : "", infos[m].name);
		add_json_text(ret, infos[m].labels);
		buf_printf(ret,
			   ",\"by_worker\":%s,\"type\":\"%s\",\"unit\":\"%s\",\"help\":\"%s\"}",
			   infos[m].type == METRIC_GAUGE_EACH ? "true" : "false",
			   type_name(infos[m].type), infos[m].unit, infos[m].help);
	}
	buf_add_cstr(ret, "]\n");
}
