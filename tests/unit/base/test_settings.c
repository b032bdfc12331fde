/* SPDX-License-Identifier: MIT */
/*
 * Sets of settings (base/settings.c).
 * Single values are tested in test_settings_value.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/settings.h"

static struct settings *s;
static struct buf out;

static int set_up(void **state)
{
	(void)state;
	s = settings_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	buf_done(&out);
	return 0;
}

static void set(struct settings *to, const char *assignment)
{
	assert_int_equal(settings_assign(to, str_of(assignment), &out), 0);
}

static void assert_out(const char *expected)
{
	buf_add_char(&out, '\0');
	assert_string_equal((char *)out.p, expected);
	buf_clear(&out);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_string_equal(s->server_listen, "127.0.0.1:8080");
	assert_int_equal(s->websocket_ping_interval, 25000);
	assert_int_equal(s->memory_ring, 32 << 20);
	assert_true(s->chat_guests);
	assert_int_equal(settings_check(s, &out), 0);
	assert_out("");
}

static void test_copy_is_deep(void **state)
{
	struct settings *copy = settings_copy(s);

	(void)state;
	set(s, "server.user=other");
	assert_string_equal(copy->server_user, "");
	settings_free(&copy);
	assert_null(copy);
	settings_free(&copy);
}

static void test_check(void **state)
{
	(void)state;
	set(s, "server.respawn_delay=40s");
	set(s, "database.retry_min=6s");
	set(s, "websocket.frame_max=128k");
	set(s, "http.target_max=17k");
	set(s, "server.workers=21");
	set(s, "server.listen=127.0.0.1:80 127.0.0.1");
	set(s, "auth.secret_key=short");
	assert_int_equal(settings_check(s, &out), -ERR_INVAL);
	assert_out("server.listen: \"127.0.0.1\" is not address:port\n"
		   "auth.secret_key: must have at least 32 characters\n"
		   "server.respawn_delay: must not be more than server.respawn_delay_max\n"
		   "database.retry_min: must not be more than database.retry_max\n"
		   "http.target_max: must not be more than http.header_max\n"
		   "websocket.frame_max: must not be more than websocket.message_max\n"
		   "server.workers: must not be more than database.max_connections\n");
}

/* What no browser ever sends as its origin would be a silent no to everybody. */
static void test_check_origins(void **state)
{
	(void)state;
	set(s, "http.origins=https://a.example, http://[::1]:3000 app://x");
	assert_int_equal(settings_check(s, &out), 0);
	set(s, "http.origins=a.example, https://a.example/ https:// ://a *.example null https://b");
	assert_int_equal(settings_check(s, &out), -ERR_INVAL);
	assert_out("http.origins: \"a.example\" is no scheme://host[:port]\n"
		   "http.origins: \"https://a.example/\" is no scheme://host[:port]\n"
		   "http.origins: \"https://\" is no scheme://host[:port]\n"
		   "http.origins: \"://a\" is no scheme://host[:port]\n"
		   "http.origins: \"*.example\" is no scheme://host[:port]\n"
		   "http.origins: \"null\" is no scheme://host[:port]\n");
}

static void test_check_empty_list_and_weak_key(void **state)
{
	(void)state;
	set(s, "server.listen= , ");
	set(s, "auth.secret_key=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_int_equal(settings_check(s, &out), -ERR_INVAL);
	assert_out("server.listen: must name an address\n"
		   "auth.secret_key: must not be one character repeated\n");
}

static void test_check_path(void **state)
{
	static const char *const bad[] = {"/socket.io", "socket.io/", "//x/", "/a b/", "/?/"};
	struct buf assignment = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		buf_clear(&assignment);
		buf_printf(&assignment, "engineio.path=%s", bad[i]);
		buf_add_char(&assignment, '\0');
		set(s, (char *)assignment.p);
		assert_int_equal(settings_check(s, &out), -ERR_INVAL);
		buf_clear(&out);
	}
	set(s, "engineio.path=/a/b-c_d.e~f/");
	assert_int_equal(settings_check(s, &out), 0);
	buf_done(&assignment);
}

static void test_diff(void **state)
{
	struct settings *new = settings_copy(s);

	(void)state;
	settings_diff(s, new, &out);
	assert_out("");
	set(new, "log.level=debug");
	set(new, "server.listen=127.0.0.1:9");
	set(new, "server.workers=2");
	set(new, "chat.guests=off");
	settings_diff(s, new, &out);
	assert_out("restart server.listen\nrestart server.workers\napplied log.level\n"
		   "applied chat.guests\n");
	assert_string_equal(new->server_listen, "127.0.0.1:8080");
	assert_int_equal(new->server_workers, 0);
	assert_int_equal(new->log_level, 4);
	assert_false(new->chat_guests);
	settings_free(&new);
}

static void test_choice(void **state)
{
	(void)state;
	set(s, "log.level=warn");
	assert_true(str_eq(settings_choice(s, "log.level"), STR("warn")));
	assert_true(str_eq(settings_choice(s, "server.mode"), STR("production")));
	assert_int_equal(settings_choice(s, "server.workers").len, 0);
	assert_int_equal(settings_choice(s, "nothing").len, 0);
}

static void test_list(void **state)
{
	static const char value[] = " a:1,b:2 ,, c:3\t";
	static const char *const items[] = {"a:1", "b:2", "c:3"};
	struct str item;
	size_t pos = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		assert_true(settings_list_next(value, &pos, &item));
		assert_true(str_eq(item, str_of(items[i])));
	}
	assert_false(settings_list_next(value, &pos, &item));
	assert_false(settings_list_next(value, &pos, &item));
}

static void test_addresses(void **state)
{
	static const struct {
		struct str text, host;
		uint16_t port;
	} good[] = {
		{STR("127.0.0.1:8080"), STR("127.0.0.1"), 8080},
		{STR("[::1]:80"), STR("::1"), 80},
		{STR("*:65535"), STR(""), 65535},
		{STR("localhost:0"), STR("localhost"), 0},
	};
	static const struct str bad[] = {STR(""),	    STR("8080"),       STR(":8080"),
					 STR("::1:80"),	    STR("a:"),	       STR("a:65536"),
					 STR("a:-1"),	    STR("a:http"),     STR("[::1]")};
	struct str host;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(settings_split_address(good[i].text, &host, &port), 0);
		assert_true(str_eq(host, good[i].host));
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(settings_split_address(bad[i], &host, &port), -ERR_INVAL);
}

static void test_memfd(void **state)
{
	struct settings *got;
	struct buf a = BUF_INIT, b = BUF_INIT;
	char c = 'x';
	int fd;

	(void)state;
	set(s, "database.url=postgres://u:secret=x@h/d");
	set(s, "auth.secret_key=0123456789abcdef0123456789abcdef");
	set(s, "persist.delay=7ms");
	assert_int_equal(settings_to_memfd(s, &fd), 0);
	assert_true(pwrite(fd, &c, 1, 0) < 0); /* sealed */
	assert_int_equal(settings_from_memfd(fd, &got), 0);
	settings_print(s, true, &a);
	settings_print(got, true, &b);
	assert_true(str_eq(buf_str(&a), buf_str(&b)));
	assert_string_equal(got->database_url, "postgres://u:secret=x@h/d");
	buf_done(&a);
	buf_done(&b);
	settings_free(&got);
	close(fd);
}

static int memfd_with(const char *text, bool is_sealed)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (is_sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS,
				       F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
				 0);
	return fd;
}

static void assert_memfd_refused(const char *text, bool is_sealed, int err)
{
	struct settings *got = NULL;
	int fd = memfd_with(text, is_sealed);

	assert_int_equal(settings_from_memfd(fd, &got), err);
	assert_null(got);
	close(fd);
}

static void test_memfd_refuses(void **state)
{
	struct settings *got = NULL;

	(void)state;
	assert_memfd_refused("server.workers=1\n", false, -ERR_DENIED);
	assert_memfd_refused("", true, -ERR_INVAL);
	assert_memfd_refused("server.workers=1", true, -ERR_INVAL);
	assert_memfd_refused("server.workers=1\nnonsense=1\n", true, -ERR_INVAL);
	assert_int_equal(settings_from_memfd(-1, &got), -ERR_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults), TEST(test_copy_is_deep),
		TEST(test_check),    TEST(test_check_empty_list_and_weak_key),
		TEST(test_check_origins),
		TEST(test_check_path),
		TEST(test_diff),     TEST(test_choice),
		TEST(test_list),     TEST(test_addresses),
		TEST(test_memfd),    TEST(test_memfd_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
