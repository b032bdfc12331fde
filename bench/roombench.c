/* SPDX-License-Identifier: MIT */
/* Load generator for chat servers on this machine: reads the command line, checks it, runs.
 * The measurement is coord.c's, the output report.c's. */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/coord.h"
#include "bench/report.h"
#include "bench/stamp.h"

static const char usage_text[] =
"usage: roombench MODE [options]\n"
"\n"
"  idle     --conns N             N sockets open at once: connect rate, memory of each\n"
"  mem      --conns N             as idle, with a table of the server's processes\n"
"  fanout   --members N --publishers P --inflight K    one room\n"
"  rooms    --rooms R --members M --inflight K         many rooms, one publisher each\n"
"  rate     --rooms R --members M --rate X             X messages/s of each publisher\n"
"  send     --conns S --inflight K [--rooms R]         acknowledged sends\n"
"  connect  --conns C             C handshakes at a time, each closed once confirmed\n"
"  herd     --conns N --rate X --cut S   N sockets cut off at once come back and resume\n"
"  order    --members S --messages M [--rooms R]       every socket: all messages, one order\n"
"\n"
"  --url 127.0.0.1:8080   server; only loopback addresses (127.0.0.0/8) are accepted\n"
"  --dialect raw|native|socketio|floor   (or --protocol) [raw]\n"
"  --procs N              generator processes [as many as the descriptor limit asks for]\n"
"  --sources N            loopback source addresses [8]\n"
"  --payload N            bytes of text in a message [128]\n"
"  --inflight K           messages of a publisher that not every receiver has yet [1; order: 4]\n"
"  --warmup S --duration S --settle S --timeout S      seconds [1 5 1 30]\n"
"  --cut S                seconds of measured time before the cut [1]\n"
"  --window N             handshakes under way at once, per process [64]\n"
"  --server-pid PID       measure this process and its descendants\n"
"  --db-pid PID           the database's postmaster, likewise\n"
"  --prefix NAME          of rooms and user names [rb and the pid]\n"
"  --keep-rooms           do not delete the rooms at the end\n"
"  --label TEXT --json --verbose --spin\n"
"\n"
"Exit status: 0 fine, 1 the server was at fault, 2 wrong usage, 3 nothing could be measured.\n";

enum { OPT_URL = 256, OPT_DIALECT, OPT_PROCS, OPT_SOURCES, OPT_CONNS, OPT_ROOMS, OPT_MEMBERS,
       OPT_PUBLISHERS, OPT_INFLIGHT, OPT_MESSAGES, OPT_RATE, OPT_PAYLOAD, OPT_WARMUP, OPT_DURATION,
       OPT_SETTLE, OPT_TIMEOUT, OPT_CUT, OPT_WINDOW, OPT_SERVER_PID, OPT_DB_PID, OPT_PREFIX,
       OPT_KEEP, OPT_LABEL, OPT_JSON, OPT_VERBOSE, OPT_SPIN, OPT_HELP };

static const struct option options[] = {
	{"url", 1, NULL, OPT_URL}, {"dialect", 1, NULL, OPT_DIALECT},
	{"protocol", 1, NULL, OPT_DIALECT}, {"procs", 1, NULL, OPT_PROCS},
	{"sources", 1, NULL, OPT_SOURCES}, {"conns", 1, NULL, OPT_CONNS},
	{"sockets", 1, NULL, OPT_CONNS}, {"rooms", 1, NULL, OPT_ROOMS},
	{"members", 1, NULL, OPT_MEMBERS}, {"receivers", 1, NULL, OPT_MEMBERS},
	{"publishers", 1, NULL, OPT_PUBLISHERS}, {"inflight", 1, NULL, OPT_INFLIGHT},
	{"messages", 1, NULL, OPT_MESSAGES}, {"rate", 1, NULL, OPT_RATE},
	{"payload", 1, NULL, OPT_PAYLOAD}, {"warmup", 1, NULL, OPT_WARMUP},
	{"duration", 1, NULL, OPT_DURATION}, {"hold", 1, NULL, OPT_DURATION},
	{"settle", 1, NULL, OPT_SETTLE}, {"cut", 1, NULL, OPT_CUT},
	{"timeout", 1, NULL, OPT_TIMEOUT},
	{"window", 1, NULL, OPT_WINDOW}, {"server-pid", 1, NULL, OPT_SERVER_PID},
	{"db-pid", 1, NULL, OPT_DB_PID}, {"prefix", 1, NULL, OPT_PREFIX},
	{"keep-rooms", 0, NULL, OPT_KEEP}, {"label", 1, NULL, OPT_LABEL},
	{"json", 0, NULL, OPT_JSON}, {"verbose", 0, NULL, OPT_VERBOSE},
	{"spin", 0, NULL, OPT_SPIN}, {"help", 0, NULL, OPT_HELP}, {NULL, 0, NULL, 0},
};

static void wrong(const char *what, const char *value) __attribute__((noreturn));

static void wrong(const char *what, const char *value)
{
	fprintf(stderr, "roombench: %s: %s\n", what, value);
	exit(2);
}

static double number(const char *text, double low, double high)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= low && v <= high))
		wrong("not a number in the allowed range", text);
	return v;
}

static unsigned whole(const char *text, unsigned low, unsigned high)
{
	return (unsigned)number(text, low, high);
}

static uint64_t seconds(const char *text, double high)
{
	return (uint64_t)(number(text, 0, high) * 1e9);
}

/* Nothing but this machine's loopback network is ever contacted. */
static void take_url(struct conf *cf, const char *url)
{
	char host[64], *colon;
	const char *at = strstr(url, "://");

	snprintf(host, sizeof(host), "%s", at ? at + 3 : url);
	host[strcspn(host, "/")] = 0;
	colon = strchr(host, ':');
	cf->server.sin_family = AF_INET;
	cf->server.sin_port = htons(colon ? (uint16_t)whole(colon + 1, 1, 65535) : 80);
	if (colon)
		*colon = 0;
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (inet_pton(AF_INET, host, &cf->server.sin_addr) != 1)
		wrong("not an IPv4 address", url);
	if (ntohl(cf->server.sin_addr.s_addr) >> 24 != 127)
		wrong("only 127.0.0.0/8 may be measured", url);
}

static int find_name(const char *name, const char *(*name_of)(int), int count)
{
	for (int i = 0; i < count; i++)
		if (strcmp(name, name_of(i)) == 0)
			return i;
	return -1;
}

static const char *mode_name(int i)
{
	return report_mode((enum mode)i);
}

static const char *dialect_name(int i)
{
	return report_dialect((enum dialect)i);
}

static void check_word(const char *text)
{
	if (!*text || strlen(text) > 40 || text[strspn(text,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-. ,=/")])
		wrong("letters, digits and -_.,=/ only, at most 40", text);
}

/* Numbers of which there are several; true if opt was one of them. */
static bool take_count(struct conf *cf, int opt, const char *arg, unsigned *conns)
{
	switch (opt) {
	case OPT_PROCS: cf->procs = whole(arg, 1, PROCS_MAX); return true;
	case OPT_SOURCES: cf->sources = whole(arg, 1, 60000); return true;
	case OPT_CONNS: *conns = whole(arg, 1, CONNS_MAX); return true;
	case OPT_ROOMS: cf->rooms = whole(arg, 1, 1000000); return true;
	case OPT_MEMBERS: cf->members = whole(arg, 1, CONNS_MAX); return true;
	case OPT_PUBLISHERS: cf->publishers = whole(arg, 1, 100000); return true;
	case OPT_INFLIGHT: cf->inflight = whole(arg, 1, 100000); return true;
	case OPT_MESSAGES: cf->messages = whole(arg, 1, 10000000); return true;
	case OPT_RATE: cf->rate = number(arg, 0.001, 1e6); return true;
	case OPT_PAYLOAD: cf->payload = whole(arg, STAMP_LEN, 60000); return true;
	case OPT_WARMUP: cf->warmup_ns = seconds(arg, 600); return true;
	case OPT_DURATION: cf->duration_ns = seconds(arg, 3600); return true;
	case OPT_SETTLE: cf->settle_ns = seconds(arg, 600); return true;
	case OPT_CUT: cf->cut_ns = seconds(arg, 600); return true;
	case OPT_TIMEOUT: cf->timeout_ns = seconds(arg, 600); return true;
	case OPT_WINDOW: cf->window = whole(arg, 1, 10000); return true;
	case OPT_SERVER_PID: cf->server_pid = (pid_t)whole(arg, 1, 1u << 30); return true;
	case OPT_DB_PID: cf->db_pid = (pid_t)whole(arg, 1, 1u << 30); return true;
	default: return false;
	}
}

static void take_option(struct conf *cf, int opt, const char *arg)
{
	int i;

	switch (opt) {
	case OPT_URL:
		take_url(cf, arg);
		break;
	case OPT_DIALECT:
		i = find_name(arg, dialect_name, DIALECT_FLOOR + 1);
		if (i < 0)
			wrong("dialects are raw, native, socketio, floor", arg);
		cf->dialect = (enum dialect)i;
		break;
	case OPT_PREFIX:
		check_word(arg);
		cf->prefix = arg;
		break;
	case OPT_LABEL:
		check_word(arg);
		cf->label = arg;
		break;
	case OPT_KEEP: cf->keep_rooms = true; break;
	case OPT_JSON: cf->is_json = true; break;
	case OPT_VERBOSE: cf->is_verbose = true; break;
	case OPT_SPIN: cf->has_spin = true; break;
	case OPT_HELP:
		fputs(usage_text, stdout);
		exit(0);
	default:
		fputs(usage_text, stderr);
		exit(2);
	}
}

/* What was not given follows from the mode. */
static void complete_conf(struct conf *cf, unsigned conns)
{
	bool is_conns = cf->mode == MODE_IDLE || cf->mode == MODE_MEM || cf->mode == MODE_CONNECT;

	if (is_conns && !cf->members && !cf->rooms)
		cf->members = 10;
	if (cf->mode == MODE_SEND && !cf->members && !cf->rooms)
		cf->members = 1;
	if (cf->mode == MODE_ORDER && !cf->members)
		cf->members = 50;
	if (cf->mode == MODE_HERD) { /* ten in each room, and the one that sends */
		conns = conns ? conns : 10000;
		cf->members = cf->members ? cf->members : 11;
		if (!cf->rooms)
			cf->rooms = (conns + cf->members - 2) / (cf->members - (cf->members > 1));
		cf->rate = cf->rate ? cf->rate : 0.5;
		cf->dialect = DIALECT_NATIVE;
	}
	if (is_conns || cf->mode == MODE_SEND) {
		conns = conns ? conns : cf->mode == MODE_IDLE || cf->mode == MODE_MEM ? 1000 : 32;
		if (!cf->rooms)
			cf->rooms = (conns + cf->members - 1) / cf->members;
		if (!cf->members)
			cf->members = (conns + cf->rooms - 1) / cf->rooms;
	}
	if (!cf->rooms)
		cf->rooms = 1;
	if (!cf->members)
		cf->members = cf->mode == MODE_FANOUT ? 1000 : 10;
	if (is_conns)
		cf->publishers = 0;
	else if (cf->mode == MODE_SEND || (cf->mode == MODE_ORDER && !cf->publishers))
		cf->publishers = cf->members;
	else if (!cf->publishers)
		cf->publishers = 1;
	if (!cf->inflight)
		cf->inflight = cf->mode == MODE_ORDER ? 4 : 1;
	if (!cf->rate)
		cf->rate = 10;
	if (!cf->messages)
		cf->messages = 1000;
}

static void check_conf(struct conf *cf)
{
	uint64_t total = (uint64_t)cf->rooms * cf->members;
	struct rlimit limit = {0};
	uint64_t each;

	if (total > CONNS_MAX)
		wrong("too many sockets", "rooms x members is limited to 2000000");
	if (cf->publishers > cf->members)
		wrong("publishers are members", "give more --members");
	if (cf->mode == MODE_ORDER && (cf->messages < cf->publishers ||
				       total * cf->messages > 250000000u))
		wrong("--messages", "at least one each, at most 250 million deliveries");
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	each = limit.rlim_cur > PROCS_MAX + 100 ? limit.rlim_cur - PROCS_MAX - 50 : 50;
	if (!cf->procs)
		cf->procs = (unsigned)((total + each - 1) / each);
	if (cf->procs > PROCS_MAX || total / cf->procs > each)
		wrong("the descriptor limit does not allow so many sockets", "more --procs");
}

int main(int argc, char **argv)
{
	static struct outcome out;
	struct conf cf = {.payload = 128, .window = 64, .sources = 8,
			  .warmup_ns = SEC_NS, .duration_ns = 5 * SEC_NS, .settle_ns = SEC_NS,
			  .timeout_ns = 30 * SEC_NS, .cut_ns = SEC_NS};
	unsigned conns = 0;
	char prefix[24];
	int opt, mode;

	take_url(&cf, "127.0.0.1:8080");
	snprintf(prefix, sizeof(prefix), "rb%d", (int)getpid());
	cf.prefix = prefix;
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		fputs(usage_text, argc < 2 ? stderr : stdout);
		return argc < 2 ? 2 : 0;
	}
	mode = find_name(argv[1], mode_name, MODE_HERD + 1);
	if (mode < 0)
		wrong("no such mode", argv[1]);
	cf.mode = (enum mode)mode;
	optind = 2;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!take_count(&cf, opt, optarg, &conns))
			take_option(&cf, opt, optarg);
	if (optind < argc)
		wrong("not understood", argv[optind]);
	complete_conf(&cf, conns);
	check_conf(&cf);
	if (coord_run(&cf, &out) < 0)
		return 3;
	return report_print(&cf, &out);
}
