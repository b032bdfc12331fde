/* SPDX-License-Identifier: MIT */
/*
 * Opens, deals out and closes listening sockets.
 * The master holds every one of them, so the accept queue of a dead worker waits for its successor.
 */
#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/settings.h"

#define CLAIM_EVERY_MS 20

struct address {
	struct sockaddr_storage sa;
	socklen_t len;
	bool is_dual; /* IPv6 wildcard that takes IPv4 too */
};

struct sockets {
	const char *setting; /* static; whose addresses they are, for faults */
	unsigned n_slots;
	int backlog;
	bool is_adopted;
	int n_addresses;
	struct address addresses[SOCKETS_MAX];
	int n_of[SLOT_MAX];		 /* sockets of each slot */
	int fds[SLOT_MAX][SOCKETS_MAX]; /* own sockets: one per address; -1 closed */
};

static void say(const struct sockets *s, struct buf *ret_why, struct str address, const char *text)
{
	buf_printf(ret_why, "%s: \"%.*s\": %s\n", s->setting, (int)address.len, address.p, text);
}

/* ---- Addresses ---- */

static int add_address(struct sockets *s, const struct sockaddr *sa, socklen_t len, bool is_dual)
{
	struct address *a = &s->addresses[s->n_addresses];

	if (s->n_addresses == SOCKETS_MAX)
		return -ERR_TOOBIG;
	*a = (struct address){.len = len, .is_dual = is_dual};
	memcpy(&a->sa, sa, len);
	s->n_addresses++;
	return 0;
}

static bool has_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* "*": one socket for both families, or IPv4 alone where the kernel has no IPv6. */
static int add_wildcard(struct sockets *s, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (has_ipv6())
		return add_address(s, (struct sockaddr *)&six, sizeof(six), true);
	return add_address(s, (struct sockaddr *)&four, sizeof(four), false);
}

static int add_resolved(struct sockets *s, struct str host, uint16_t port, const char **ret_why)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list = NULL;
	char name[256], service[8];
	int r;

	if (host.len >= sizeof(name)) {
		*ret_why = "host name is too long";
		return -ERR_INVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)host.len, host.p);
	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(name, service, &hints, &list);
	if (r != 0) {
		*ret_why = gai_strerror(r);
		return -ERR_INVAL;
	}
	for (const struct addrinfo *ai = list; ai && r == 0; ai = ai->ai_next)
		r = add_address(s, ai->ai_addr, ai->ai_addrlen, false);
	freeaddrinfo(list);
	*ret_why = "too many addresses";
	return r;
}

static int resolve(struct sockets *s, const char *list, struct buf *ret_why)
{
	const char *why = "is not address:port";
	struct str item, host;
	size_t pos = 0;
	uint16_t port;
	int r = 0;

	while (settings_list_next(list, &pos, &item)) {
		r = settings_split_address(item, &host, &port);
		if (r == 0)
			r = host.len ? add_resolved(s, host, port, &why) : add_wildcard(s, port);
		if (r < 0) {
			say(s, ret_why, item, why);
			return -ERR_INVAL;
		}
	}
	return s->n_addresses ? 0 : -ERR_INVAL;
}

int sockets_check(const char *setting, const char *list, struct buf *ret_why)
{
	struct sockets *s = xcalloc(1, sizeof(*s));
	int r;

	s->setting = setting;
	r = resolve(s, list, ret_why);

	free(s);
	return r;
}

static void print_address(const struct address *a, struct buf *ret)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo((const struct sockaddr *)&a->sa, a->len, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		buf_add_cstr(ret, "?");
	else if (a->is_dual)
		buf_printf(ret, "*:%s", port);
	else
		buf_printf(ret, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

void sockets_print(const struct sockets *s, struct buf *ret)
{
	for (int i = 0; i < s->n_addresses; i++) {
		if (i > 0)
			buf_add_char(ret, ' ');
		print_address(&s->addresses[i], ret);
	}
}

/* ---- Sockets of our own ---- */

static bool set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

static int bind_socket(const struct address *a, bool is_shared)
{
	int fd = socket(a->sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int v6only = !a->is_dual;
	bool is_set;

	if (fd < 0)
		return -1;
	is_set = set_on(fd, SOL_SOCKET, SO_REUSEADDR);
	if (a->sa.ss_family == AF_INET6)
		is_set &= setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0;
	if (is_shared) /* the accepted connections inherit TCP_NODELAY */
		is_set &= set_on(fd, SOL_SOCKET, SO_REUSEPORT) &&
			  set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (is_set && bind(fd, (const struct sockaddr *)&a->sa, a->len) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listen_socket(const struct address *a, int backlog)
{
	int fd = bind_socket(a, true);

	if (fd < 0 || listen(fd, backlog) == 0)
		return fd;
	close(fd);
	return -1;
}

/*
 * SO_REUSEPORT would let a second daemon of the same user take half of the connections unnoticed,
 * so the address is first tried without. Learns the port that the system chose.
 */
static int claim_address(struct address *a)
{
	int fd = bind_socket(a, false), r;

	if (fd < 0)
		return -ERR_IO;
	r = getsockname(fd, (struct sockaddr *)&a->sa, &a->len);
	close(fd);
	return r < 0 ? -ERR_IO : 0;
}

/* Claims an address that may be in use until DEADLINE_MS. errno says why not. */
static int claim_in_time(const struct sockets *s, struct address *a, uint64_t deadline_ms)
{
	const struct timespec pause = {.tv_nsec = CLAIM_EVERY_MS * 1000000};
	struct buf text = BUF_INIT;
	int r;

	while ((r = claim_address(a)) < 0 && errno == EADDRINUSE && clock_mono_ms() < deadline_ms) {
		if (!text.len) {
			print_address(a, &text);
			buf_add_char(&text, '\0');
			log_notice("an address is in use: waiting for it",
				   LF_STR("setting", s->setting),
				   LF_STR("address", (char *)text.p));
		}
		nanosleep(&pause, NULL);
	}
	buf_done(&text); /* free(3) keeps errno */
	return r;
}

static int open_address(struct sockets *s, int at, uint64_t deadline_ms)
{
	if (claim_in_time(s, &s->addresses[at], deadline_ms) < 0)
		return -ERR_IO;
	for (unsigned slot = 0; slot < s->n_slots; slot++) {
		s->fds[slot][at] = listen_socket(&s->addresses[at], s->backlog);
		if (s->fds[slot][at] < 0)
			return -ERR_IO;
		s->n_of[slot] = at + 1;
	}
	return 0;
}

static struct sockets *sockets_new(unsigned n_slots)
{
	struct sockets *s = xcalloc(1, sizeof(*s));

	assert(n_slots > 0 && n_slots <= SLOT_MAX);
	s->n_slots = n_slots;
	memset(s->fds, -1, sizeof(s->fds));
	return s;
}

int sockets_open(const struct sockets_plan *plan, struct sockets **ret, struct buf *ret_why)
{
	uint64_t deadline_ms = clock_mono_ms() + plan->wait_ms;
	struct sockets *s = sockets_new(plan->n_slots);
	struct buf address = BUF_INIT;
	int r, saved;

	s->setting = plan->setting;
	s->backlog = plan->backlog;
	r = resolve(s, plan->list, ret_why);
	for (int i = 0; i < s->n_addresses && r == 0; i++) {
		r = open_address(s, i, deadline_ms);
		if (r == 0)
			continue;
		saved = errno;
		print_address(&s->addresses[i], &address);
		say(s, ret_why, buf_str(&address), strerror(saved));
		buf_done(&address);
	}
	if (r < 0) {
		sockets_free(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* ---- Sockets of systemd ---- */

static int adopt_one(struct address *a, int fd)
{
	int type = 0, is_listening = 0;
	socklen_t len = sizeof(type);

	a->len = sizeof(a->sa);
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_STREAM)
		return -ERR_INVAL;
	len = sizeof(is_listening);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) < 0 || !is_listening)
		return -ERR_INVAL;
	if (getsockname(fd, (struct sockaddr *)&a->sa, &a->len) < 0)
		return -ERR_INVAL;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -ERR_INVAL;
	return 0;
}

static bool is_same(const struct address *a, const struct address *b)
{
	return a->len == b->len && memcmp(&a->sa, &b->sa, a->len) == 0;
}

static void give(struct sockets *s, unsigned slot, int fd)
{
	s->fds[slot][s->n_of[slot]++] = fd;
}

/* Deals out the sockets of the address of FDS[AT], which is the first of its address. */
static void deal(struct sockets *s, const struct address *of, const int *fds, int n, int at)
{
	unsigned count = 0, turn = 0;

	for (int i = at; i < n; i++)
		count += is_same(&of[at], &of[i]);
	for (int i = at; i < n; i++) {
		if (!is_same(&of[at], &of[i]))
			continue;
		if (count >= s->n_slots)
			give(s, turn++ % s->n_slots, fds[i]);
		else
			for (unsigned slot = 0; slot < s->n_slots; slot++)
				give(s, slot, fds[i]);
	}
	s->addresses[s->n_addresses++] = of[at];
}

static bool is_first(const struct address *of, int at)
{
	for (int i = 0; i < at; i++)
		if (is_same(&of[i], &of[at]))
			return false;
	return true;
}

int sockets_adopt(const int *fds, int n, unsigned n_slots, struct sockets **ret,
		  struct buf *ret_why)
{
	struct sockets *s = sockets_new(n_slots);
	struct address of[SOCKETS_MAX] = {0};
	int r = n > 0 && n <= SOCKETS_MAX ? 0 : -ERR_INVAL;

	s->is_adopted = true;
	for (int i = 0; i < n && r == 0; i++)
		r = adopt_one(&of[i], fds[i]);
	if (r < 0) {
		buf_add_cstr(ret_why,
			     "the service manager did not pass listening stream sockets\n");
		for (int i = 0; i < n; i++)
			close(fds[i]);
		sockets_free(&s);
		return r;
	}
	for (int i = 0; i < n; i++)
		if (is_first(of, i))
			deal(s, of, fds, n, i);
	*ret = s;
	return 0;
}

/* ---- Life ---- */

/* Closes FD in every slot that has it: shared sockets stand in several. */
static void close_everywhere(struct sockets *s, int fd)
{
	close(fd);
	for (unsigned slot = 0; slot < s->n_slots; slot++)
		for (int i = 0; i < s->n_of[slot]; i++)
			if (s->fds[slot][i] == fd)
				s->fds[slot][i] = -1;
}

static void close_all(struct sockets *s, const int *keep, int n_keep)
{
	for (unsigned slot = 0; slot < s->n_slots; slot++)
		for (int i = 0; i < s->n_of[slot]; i++) {
			bool is_kept = s->fds[slot][i] < 0;

			for (int k = 0; k < n_keep; k++)
				is_kept |= keep[k] == s->fds[slot][i];
			if (!is_kept)
				close_everywhere(s, s->fds[slot][i]);
		}
}

void sockets_free(struct sockets **s)
{
	if (*s)
		close_all(*s, NULL, 0);
	free(*s);
	*s = NULL;
}

void sockets_keep_only(struct sockets *s, unsigned slot)
{
	close_all(s, s->fds[slot], s->n_of[slot]);
}

const int *sockets_of(const struct sockets *s, unsigned slot, int *ret_n)
{
	assert(slot < s->n_slots);
	*ret_n = s->n_of[slot];
	return s->fds[slot];
}

void sockets_close_slot(struct sockets *s, unsigned slot)
{
	for (int i = 0; i < s->n_of[slot] && !s->is_adopted; i++)
		if (s->fds[slot][i] >= 0)
			close_everywhere(s, s->fds[slot][i]);
}

int sockets_reopen_slot(struct sockets *s, unsigned slot)
{
	for (int i = 0; i < s->n_of[slot] && !s->is_adopted; i++) {
		if (s->fds[slot][i] < 0)
			s->fds[slot][i] = listen_socket(&s->addresses[i], s->backlog);
		if (s->fds[slot][i] < 0)
			return -ERR_IO;
	}
	return 0;
}

void sockets_shut(struct sockets *s)
{
	for (unsigned slot = 0; slot < s->n_slots && !s->is_adopted; slot++)
		for (int i = 0; i < s->n_of[slot]; i++)
			if (s->fds[slot][i] >= 0)
				shutdown(s->fds[slot][i], SHUT_RDWR);
}
