/* SPDX-License-Identifier: MIT */
/* Derives rates and costs from two moments and prints them.
 * Measures nothing. */
#include <math.h>
#include <stdio.h>

#include "bench/report.h"

static const char *const modes[] = {
	[MODE_IDLE] = "idle", [MODE_MEM] = "mem", [MODE_FANOUT] = "fanout", [MODE_ROOMS] = "rooms",
	[MODE_RATE] = "rate", [MODE_SEND] = "send", [MODE_CONNECT] = "connect",
	[MODE_ORDER] = "order", [MODE_HERD] = "herd",
};
static const char *const dialects[] = {
	[DIALECT_RAW] = "raw", [DIALECT_NATIVE] = "native", [DIALECT_SOCKETIO] = "socketio",
	[DIALECT_FLOOR] = "floor",
};

const char *report_mode(enum mode mode)
{
	return modes[mode];
}

const char *report_dialect(enum dialect dialect)
{
	return dialects[dialect];
}

/* One figure under its JSON name; NAN is left out. */
static void figure(const struct conf *cf, const char *name, const char *text, const char *unit,
		   double value, int digits)
{
	if (isnan(value))
		return;
	if (cf->is_json)
		printf(",\"%s\":%.*f", name, digits, value);
	else
		printf("  %-34s %14.*f %s\n", text, digits, value, unit);
}

static double ratio(double a, double b)
{
	return b > 0 ? a / b : NAN;
}

static double cpu_us(const struct proctree *from, const struct proctree *to)
{
	if (!from->count || !to->count)
		return NAN;
	return (double)(to->user_us + to->system_us) - (double)(from->user_us + from->system_us);
}

static double user_us(const struct proctree *from, const struct proctree *to)
{
	return from->count && to->count ? (double)to->user_us - (double)from->user_us : NAN;
}

static void quantiles(const struct conf *cf, const char *name, const char *text,
		      const struct hist *h)
{
	static const struct {
		const char *suffix;
		double q;
	} list[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}};
	char key[64], shown[64];

	if (!h->count)
		return;
	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		snprintf(key, sizeof(key), "%s_%s_ms", name, list[i].suffix);
		snprintf(shown, sizeof(shown), "%s %s", text, list[i].suffix);
		figure(cf, key, shown, "ms", (double)hist_quantile(h, list[i].q) / 1e6, 3);
	}
	snprintf(key, sizeof(key), "%s_max_ms", name);
	snprintf(shown, sizeof(shown), "%s max", text);
	figure(cf, key, shown, "ms", (double)h->max / 1e6, 3);
}

static void print_head(const struct conf *cf)
{
	const char *label = cf->label ? cf->label : "";

	if (cf->is_json)
		printf("{\"mode\":\"%s\",\"dialect\":\"%s\",\"label\":\"%s\",\"rooms\":%u,"
		       "\"members\":%u,\"publishers\":%u,\"inflight\":%u,\"rate\":%g,"
		       "\"payload\":%u,\"procs\":%u", modes[cf->mode],
		       dialects[cf->dialect], label, cf->rooms, cf->members, cf->publishers,
		       cf->inflight, cf->rate, cf->payload, cf->procs);
	else
		printf("%s, %s dialect%s%s: %u rooms x %u members, %u publishers each, "
		       "%u in flight, %u bytes, %u processes\n", modes[cf->mode],
		       dialects[cf->dialect], *label ? ", " : "", label, cf->rooms, cf->members,
		       cf->publishers, cf->inflight, cf->payload, cf->procs);
}

static void print_connections(const struct conf *cf, const struct outcome *out)
{
	const struct totals *t = &out->begin.totals;
	double bytes;

	if (cf->mode == MODE_CONNECT)
		return;
	figure(cf, "connected", "sockets connected", "", (double)t->live, 0);
	figure(cf, "failed", "sockets failed", "", (double)t->failed, 0);
	figure(cf, "connects_per_s", "connects", "/s",
	       ratio((double)t->live, out->connect_seconds), 0);
	quantiles(cf, "handshake", "handshake", &out->handshake);
	bytes = 1024.0 * ((double)out->server_after.pss_kb - (double)out->server_before.pss_kb);
	if (cf->server_pid && out->server_before.count) {
		figure(cf, "pss_per_conn", "server memory per connection", "bytes (PSS)",
		       ratio(bytes, (double)t->live), 0);
		figure(cf, "pss_total_kb", "server memory in all", "kB (PSS)",
		       (double)out->server_after.pss_kb, 0);
		figure(cf, "server_procs", "server processes", "",
		       (double)out->server_after.count, 0);
		figure(cf, "server_fds", "server descriptors", "",
		       (double)out->server_after.fds, 0);
	}
	bytes = 1024.0 * ((double)out->slab_after_kb - (double)out->slab_before_kb);
	if (cf->mode == MODE_IDLE || cf->mode == MODE_MEM)
		figure(cf, "slab_per_conn", "kernel slab per connection", "bytes (both ends)",
		       ratio(bytes, (double)t->live), 0);
	if (cf->db_pid && out->db_after.count)
		figure(cf, "db_pss_total_kb", "database memory in all", "kB (PSS)",
		       (double)out->db_after.pss_kb, 0);
}

/* What the machine did besides: a measurement beside a compiler is worth little. */
static double others_us(const struct moment *a, const struct moment *b)
{
	double all = (double)(b->host_us - a->host_us), server = cpu_us(&a->server, &b->server),
	       db = cpu_us(&a->db, &b->db), left;

	if (isnan(server))
		return NAN;
	left = all - server - (isnan(db) ? 0 : db) - cpu_us(&a->self, &b->self);
	return left > 0 ? left : 0;
}

static void print_cost(const struct conf *cf, const struct outcome *out, double units,
		       const char *unit_name)
{
	const struct moment *a = &out->begin, *b = &out->end;
	double wall_us = (double)(b->ns - a->ns) / 1e3;
	double server = cpu_us(&a->server, &b->server), db = cpu_us(&a->db, &b->db);
	char text[64];

	snprintf(text, sizeof(text), "server CPU per %s", unit_name);
	figure(cf, "server_us", text, "us", ratio(server, units), 3);
	snprintf(text, sizeof(text), "  of it in user space");
	figure(cf, "server_user_us", text, "us", ratio(user_us(&a->server, &b->server), units), 3);
	snprintf(text, sizeof(text), "database CPU per %s", unit_name);
	figure(cf, "db_us", text, "us", ratio(db, units), 3);
	figure(cf, "server_busy_pct", "server busy", "% of one CPU", 100 * server / wall_us, 1);
	figure(cf, "db_busy_pct", "database busy", "% of one CPU", 100 * db / wall_us, 1);
	figure(cf, "generator_busy_pct", "generator busy", "% of one CPU",
	       100 * cpu_us(&a->self, &b->self) / wall_us, 1);
	figure(cf, "others_busy_pct", "everything else busy", "% of one CPU",
	       100 * others_us(a, b) / wall_us, 1);
}

static void print_load(const struct conf *cf, const struct outcome *out)
{
	const struct totals *a = &out->begin.totals, *b = &out->end.totals,
			    *last = &out->last.totals;
	double seconds = (double)(out->end.ns - out->begin.ns) / 1e9;
	double deliveries = (double)(b->deliveries - a->deliveries);
	double sends = (double)(b->sends - a->sends), acks = (double)(b->acks - a->acks);

	figure(cf, "seconds", "measured", "s", seconds, 2);
	figure(cf, "deliveries_per_s", "deliveries", "/s", deliveries / seconds, 0);
	figure(cf, "sends_per_s", "sends", "/s", sends / seconds, 0);
	if (acks > 0)
		figure(cf, "acks_per_s", "acknowledgements", "/s", acks / seconds, 0);
	quantiles(cf, "delivery", "delivery", &out->delivery);
	quantiles(cf, "ack", "acknowledgement", &out->ack);
	quantiles(cf, "lateness", "generator late", &out->lateness);
	if (cf->mode == MODE_SEND)
		print_cost(cf, out, acks, "message");
	else
		print_cost(cf, out, deliveries, "delivery");
	figure(cf, "deliveries_per_read", "deliveries per read of a receiver", "",
	       ratio(deliveries, (double)(b->reads - a->reads)), 2);
	figure(cf, "missing", "deliveries missing at the end", "",
	       (double)(last->sends * cf->members) - (double)last->deliveries, 0);
}

static void print_order(const struct conf *cf, const struct outcome *out)
{
	const struct order_result *o = &out->order;

	figure(cf, "seconds", "took", "s", (double)(out->end.ns - out->begin.ns) / 1e9, 2);
	figure(cf, "sends", "messages sent", "", (double)out->last.totals.sends, 0);
	figure(cf, "acks", "acknowledged", "", (double)out->last.totals.acks, 0);
	figure(cf, "expected", "deliveries expected", "", (double)o->expected, 0);
	figure(cf, "deliveries", "deliveries", "", (double)out->last.totals.deliveries, 0);
	figure(cf, "missing", "missing", "", (double)o->missing, 0);
	figure(cf, "twice", "twice", "", (double)o->twice, 0);
	figure(cf, "out_of_order", "sockets with another order", "", (double)o->out_of_order, 0);
	figure(cf, "rooms_equal", "rooms complete and equal", "", (double)o->rooms_equal, 0);
	quantiles(cf, "delivery", "delivery", &out->delivery);
	quantiles(cf, "ack", "acknowledgement", &out->ack);
	print_cost(cf, out, (double)out->last.totals.deliveries, "delivery");
}

static void print_connect(const struct conf *cf, const struct outcome *out)
{
	double seconds = (double)(out->end.ns - out->begin.ns) / 1e9;
	double count = (double)(out->end.totals.handshakes - out->begin.totals.handshakes);

	figure(cf, "seconds", "measured", "s", seconds, 2);
	figure(cf, "handshakes_per_s", "handshakes", "/s", count / seconds, 0);
	figure(cf, "failed", "failed", "", (double)out->last.totals.failed, 0);
	quantiles(cf, "handshake", "handshake", &out->handshake);
	print_cost(cf, out, count, "handshake");
}

static void print_herd(const struct conf *cf, const struct outcome *out)
{
	const struct totals *t = &out->last.totals;

	figure(cf, "cut", "sockets cut off", "", (double)t->cut, 0);
	figure(cf, "resumed", "sockets back", "", (double)t->resumed, 0);
	figure(cf, "retries", "attempts refused", "", (double)t->retries, 0);
	figure(cf, "gaps", "revisions missing or repeated", "", (double)t->gaps, 0);
	quantiles(cf, "resume", "cut to back", &out->resume);
	print_load(cf, out);
}

static bool is_faulty(const struct conf *cf, const struct outcome *out)
{
	const struct totals *t = &out->last.totals;
	const struct order_result *o = &out->order;
	bool is_flowing = cf->mode != MODE_IDLE && cf->mode != MODE_MEM &&
			  cf->mode != MODE_CONNECT && cf->mode != MODE_ORDER;

	if (cf->mode == MODE_HERD && (t->gaps || t->resumed < t->cut))
		return true;
	if (t->failed || t->lost || t->errors || t->strays || out->is_stalled)
		return true;
	if (cf->mode == MODE_ORDER)
		return o->missing || o->twice || o->out_of_order || t->acks != t->sends;
	return is_flowing && t->deliveries != t->sends * cf->members;
}

static void print_trouble(const struct conf *cf, const struct outcome *out, bool is_bad)
{
	const struct totals *t = &out->last.totals;

	figure(cf, "lost", "sockets lost", "", t->lost ? (double)t->lost : NAN, 0);
	figure(cf, "errors", "error frames", "", t->errors ? (double)t->errors : NAN, 0);
	figure(cf, "strays", "messages of another room", "",
	       t->strays ? (double)t->strays : NAN, 0);
	figure(cf, "stalled", "stood still", "", out->is_stalled ? 1 : NAN, 0);
	if (cf->is_json)
		printf(",\"ok\":%s}\n", is_bad ? "false" : "true");
	if (out->trouble[0])
		fprintf(stderr, "  first trouble: %s\n", out->trouble);
	if (!cf->is_json)
		printf("  %s\n", is_bad ? "FAULTY" : "ok");
}

int report_print(const struct conf *cf, const struct outcome *out)
{
	bool is_bad = is_faulty(cf, out);

	print_head(cf);
	print_connections(cf, out);
	switch (cf->mode) {
	case MODE_IDLE:
	case MODE_MEM:
		print_cost(cf, out, NAN, "");
		break;
	case MODE_ORDER:
		print_order(cf, out);
		break;
	case MODE_HERD:
		print_herd(cf, out);
		break;
	case MODE_CONNECT:
		print_connect(cf, out);
		break;
	default:
		print_load(cf, out);
		break;
	}
	print_trouble(cf, out, is_bad);
	return is_bad;
}
