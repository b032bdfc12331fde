/* SPDX-License-Identifier: MIT */
/*
 * Sets of settings: defaults, copies, checks across settings, what a reload changes, hand-over.
 * Reading files is settings_read.c's, printing tables settings_print.c's.
 */
#include "base/settings_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"

/* The first choice of server.mode. */
#define MODE_PRODUCTION 0

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* More than all settings together can fill. */
#define MEMFD_MAX (1 << 20)

struct settings *settings_new(void)
{
	struct settings *s = xcalloc(1, sizeof(*s));
	struct buf why = BUF_INIT;
	int r;

	for (size_t i = 0; i < setting_count; i++) {
		r = setting_parse(s, i, str_of(setting_table[i].def), &why);
		assert(r == 0); /* the table is ours */
	}
	buf_done(&why);
	(void)r;
	return s;
}

struct settings *settings_copy(const struct settings *s)
{
	struct settings *copy = xcalloc(1, sizeof(*copy));

	for (size_t i = 0; i < setting_count; i++)
		setting_assign(copy, s, i);
	return copy;
}

void settings_free(struct settings **s)
{
	struct settings *old = *s;
	char *text;

	*s = NULL;
	if (!old)
		return;
	for (size_t i = 0; i < setting_count; i++) {
		if (!setting_is_text(i))
			continue;
		text = *(char **)setting_slot(old, i);
		if (text && setting_table[i].flag == SETTING_SECRET)
			explicit_bzero(text, strlen(text));
		free(text);
	}
	free(old);
}

struct str settings_choice(const struct settings *s, const char *key)
{
	const char *dot = strchrnul(key, '.');
	struct str choice = {NULL, 0};
	int i;

	if (!*dot)
		return choice;
	i = setting_find((struct str){key, (size_t)(dot - key)}, str_of(dot + 1));
	if (i >= 0 && setting_table[i].type == SETTING_ENUM)
		setting_choice_at(setting_table[i].unit,
				  *(const int64_t *)setting_slot(s, (size_t)i), &choice);
	return choice;
}

static bool is_blank_or_comma(char c)
{
	return c == ',' || c == ' ' || c == '\t';
}

bool settings_list_next(const char *value, size_t *pos, struct str *ret_item)
{
	size_t start;

	while (is_blank_or_comma(value[*pos]))
		(*pos)++;
	start = *pos;
	while (value[*pos] && !is_blank_or_comma(value[*pos]))
		(*pos)++;
	*ret_item = (struct str){value + start, *pos - start};
	return *pos > start;
}

int settings_split_address(struct str address, struct str *ret_host, uint16_t *ret_port)
{
	const char *colon = address.len ? memrchr(address.p, ':', address.len) : NULL;
	struct str host, digits;
	int64_t port;

	if (!colon)
		return -ERR_INVAL;
	host = (struct str){address.p, (size_t)(colon - address.p)};
	digits = (struct str){colon + 1, address.len - host.len - 1};
	if (digits.len == 0 || digits.p[0] == '-' || str_to_i64(digits, &port) < 0 ||
	    port > UINT16_MAX)
		return -ERR_INVAL;
	if (host.len >= 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = (struct str){host.p + 1, host.len - 2};
	else if (host.len > 0 && memchr(host.p, ':', host.len))
		return -ERR_INVAL; /* an IPv6 address needs its brackets */
	else if (str_eq(host, STR("*")))
		host.len = 0;
	else if (host.len == 0)
		return -ERR_INVAL;
	*ret_host = host;
	*ret_port = (uint16_t)port;
	return 0;
}

static void check_order(bool is_ordered, const char *small, const char *large, struct buf *ret)
{
	if (!is_ordered)
		buf_printf(ret, "%s: must not be more than %s\n", small, large);
}

/* Segments of letters, digits and what needs no escape beside them, and a slash at both ends. */
static void check_path(const char *path, const char *name, struct buf *ret)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789-._~/";
	size_t len = strlen(path);

	if (len < 3 || path[0] != '/' || path[len - 1] != '/' || strstr(path, "//") ||
	    strspn(path, plain) != len)
		buf_printf(ret, "%s: \"%s\" is no path that begins and ends with a slash\n", name,
			   path);
}

static void check_addresses(const char *list, struct buf *ret)
{
	struct str item, host;
	size_t pos = 0, count = 0;
	uint16_t port;

	for (; settings_list_next(list, &pos, &item); count++)
		if (settings_split_address(item, &host, &port) < 0)
			buf_printf(ret, "server.listen: \"%.*s\" is not address:port\n",
				   (int)item.len, item.p);
	if (count == 0)
		buf_add_cstr(ret, "server.listen: must name an address\n");
}

static void check_proxies(const char *list, struct buf *ret)
{
	struct addr_net net;
	struct str item;
	size_t pos = 0;

	while (settings_list_next(list, &pos, &item))
		if (addr_net_parse(item, &net) < 0)
			buf_printf(ret,
				   "http.trusted_proxies: \"%.*s\" is no address or network\n",
				   (int)item.len, item.p);
}

/* As browsers write it (RFC 6454 section 6.2), or it would never be found equal. */
static bool is_origin(struct str item)
{
	const char *at = memmem(item.p, item.len, "://", 3);
	struct str host = {at ? at + 3 : item.p, at ? item.len - (size_t)(at + 3 - item.p) : 0};

	return at && at > item.p && host.len > 0 && !memchr(host.p, '/', host.len);
}

static void check_origins(const char *list, struct buf *ret)
{
	struct str item;
	size_t pos = 0;

	while (settings_list_next(list, &pos, &item))
		if (!is_origin(item) && !str_eq(item, STR("*")))
			buf_printf(ret, "http.origins: \"%.*s\" is no scheme://host[:port]\n",
				   (int)item.len, item.p);
}

static bool list_has(const char *list, struct str wanted)
{
	struct str item;
	size_t pos = 0;

	while (settings_list_next(list, &pos, &item))
		if (str_eq(item, wanted))
			return true;
	return false;
}

void settings_check_mode(const struct settings *s, bool is_production, struct buf *ret)
{
	const char *advice = "; use server.mode = development if this is not for others";

	if (!is_production)
		advice = "";
	if (list_has(s->http_origins, STR("*")))
		buf_printf(ret, "http.origins: * lets every page in the world call%s\n", advice);
	if (s->http_plain_cookies)
		buf_printf(ret, "http.plain_cookies: logins can be read on the way%s\n", advice);
	settings_check_secret_files(s, advice, ret);
}

int settings_check(const struct settings *s, struct buf *ret_faults)
{
	size_t before = ret_faults->len;

	check_proxies(s->http_trusted_proxies, ret_faults);
	check_origins(s->http_origins, ret_faults);
	if (s->server_mode == MODE_PRODUCTION)
		settings_check_mode(s, true, ret_faults);

	check_addresses(s->server_listen, ret_faults);
	setting_check_keys(s, ret_faults);
	check_order(s->server_respawn_delay <= s->server_respawn_delay_max, "server.respawn_delay",
		    "server.respawn_delay_max", ret_faults);
	check_order(s->database_retry_min <= s->database_retry_max, "database.retry_min",
		    "database.retry_max", ret_faults);
	check_path(s->engineio_path, "engineio.path", ret_faults);
	check_order(s->http_target_max <= s->http_header_max, "http.target_max", "http.header_max",
		    ret_faults);
	check_order(s->websocket_frame_max <= s->websocket_message_max, "websocket.frame_max",
		    "websocket.message_max", ret_faults);
	check_order(s->server_workers <= s->database_max_connections, "server.workers",
		    "database.max_connections", ret_faults);
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}

void settings_diff(const struct settings *old, struct settings *new, struct buf *ret)
{
	const struct setting_info *info = setting_table;

	for (size_t i = 0; i < setting_count; i++, info++) {
		if (setting_is_equal(old, new, i))
			continue;
		buf_printf(ret, "%s %s.%s\n", info->apply == SETTING_LIVE ? "applied" : "restart",
			   info->section, info->name);
		if (info->apply == SETTING_RESTART)
			setting_assign(new, old, i);
	}
}

static bool write_all(int fd, struct str s)
{
	ssize_t r;

	while (s.len > 0) {
		r = write(fd, s.p, s.len);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		s = (struct str){s.p + r, s.len - (size_t)r};
	}
	return true;
}

int settings_to_memfd(const struct settings *s, int *ret_fd)
{
	struct buf text = BUF_INIT;
	int fd = memfd_create("roomd-settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	bool is_written;

	if (fd < 0)
		return -ERR_IO;
	settings_print(s, true, &text);
	is_written = write_all(fd, buf_str(&text)) && fcntl(fd, F_ADD_SEALS, SEALS) == 0;
	explicit_bzero(text.p, text.len);
	buf_done(&text);
	if (!is_written) {
		close(fd);
		return -ERR_IO;
	}
	*ret_fd = fd;
	return 0;
}

static int assign_lines(struct settings *s, struct str text)
{
	struct buf faults = BUF_INIT;
	const char *end;
	int r = 0;

	for (; text.len > 0 && r == 0;
	     text = (struct str){end + 1, text.len - (size_t)(end + 1 - text.p)}) {
		end = memchr(text.p, '\n', text.len);
		if (!end) {
			r = -ERR_INVAL;
			break;
		}
		r = settings_assign(s, (struct str){text.p, (size_t)(end - text.p)}, &faults);
	}
	buf_done(&faults);
	return r;
}

int settings_from_memfd(int fd, struct settings **ret)
{
	int seals = fcntl(fd, F_GET_SEALS), r = 0;
	struct settings *s;
	struct stat st;
	size_t len;
	char *map;

	if (seals < 0 || fstat(fd, &st) < 0)
		return -ERR_IO;
	if ((seals & SEALS) != SEALS)
		return -ERR_DENIED;
	if (st.st_size <= 0 || st.st_size > MEMFD_MAX)
		return -ERR_INVAL;
	len = (size_t)st.st_size;
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -ERR_IO;
	s = settings_new();
	r = assign_lines(s, (struct str){map, len});
	munmap(map, len);
	if (r < 0) {
		settings_free(&s);
		return r;
	}
	*ret = s;
	return 0;
}
