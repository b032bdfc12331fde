/* SPDX-License-Identifier: MIT */
/*
 * Secrets from files and credentials, and weak keys (base/settings_secret.c).
 * The rank of sources is tested in daemon's test_options.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/settings.h"

#define KEY "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e"

static char dir[] = "/tmp/roomd-test-secret-XXXXXX";
static struct settings *s, *defaults;
static struct buf faults, path;

static int set_up(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	s = settings_new();
	defaults = settings_new();
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"secret_key", "previous_keys", "database_url"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_clear(&path);
		buf_printf(&path, "%s/%s%c", dir, names[i], 0);
		unlink((char *)path.p);
	}
	settings_free(&s);
	settings_free(&defaults);
	buf_done(&faults);
	buf_done(&path);
	return 0;
}

static const char *write_file(const char *name, struct str text)
{
	FILE *f;

	buf_clear(&path);
	buf_printf(&path, "%s/%s%c", dir, name, 0);
	f = fopen((char *)path.p, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text.p, 1, text.len, f), text.len);
	assert_int_equal(fclose(f), 0);
	return (char *)path.p;
}

static void assign(const char *key, const char *value)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s=%s", key, value);
	assert_int_equal(settings_assign(s, buf_str(&b), &faults), 0);
	buf_done(&b);
}

static bool has_fault(const char *text)
{
	return faults.len && memmem(faults.p, faults.len, text, strlen(text));
}

static int check(const char *key)
{
	assign("auth.secret_key", key);
	buf_clear(&faults);
	return settings_check(s, &faults);
}

static void test_files(void **state)
{
	(void)state;
	assign("auth.secret_key_file", write_file("secret_key", STR(KEY "\n")));
	assign("auth.previous_keys_file", write_file("previous_keys", STR("one\r\ntwo\n\n")));
	assign("database.url_file", write_file("database_url", STR("host=a password=b")));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), 0);
	assert_string_equal(s->auth_secret_key, KEY);
	assert_string_equal(s->auth_previous_keys, "one  two");
	assert_string_equal(s->database_url, "host=a password=b");
	assert_int_equal(faults.len, 0);
}

static void test_file_faults_tell_no_secret(void **state)
{
	(void)state;
	assign("auth.secret_key_file", "/nonexistent/key");
	assert_int_equal(settings_read_secrets(s, defaults, &faults), -ERR_INVAL);
	assert_true(has_fault("auth.secret_key_file: /nonexistent/key: No such file"));
	buf_clear(&faults);
	assign("auth.secret_key_file", write_file("secret_key", STR("hunter2\nhunter3\n")));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), -ERR_INVAL);
	assert_true(has_fault("must not contain control characters"));
	assert_false(has_fault("hunter"));
	buf_clear(&faults);
	assign("auth.secret_key_file", write_file("secret_key", STR("\n")));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), -ERR_INVAL);
	assert_true(has_fault(": is empty\n"));
	assert_string_equal(s->auth_secret_key, "");
}

static void test_too_large_a_file(void **state)
{
	char *text = malloc(65537);

	(void)state;
	memset(text, 'a', 65537);
	assign("auth.previous_keys_file",
	       write_file("previous_keys", (struct str){text, 65536}));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), 0);
	assign("auth.previous_keys", "");
	assign("auth.previous_keys_file",
	       write_file("previous_keys", (struct str){text, 65537}));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), -ERR_INVAL);
	assert_true(has_fault("File too large"));
	free(text);
}

static void test_either_text_or_file(void **state)
{
	(void)state;
	assign("auth.secret_key", KEY);
	assign("auth.secret_key_file", write_file("secret_key", STR("another")));
	assert_int_equal(settings_read_secrets(s, defaults, &faults), -ERR_INVAL);
	assert_true(has_fault("auth.secret_key_file: set already by auth.secret_key\n"));
	/* a file that was there before is not read again */
	buf_clear(&faults);
	assert_int_equal(settings_read_secrets(s, s, &faults), 0);
	assert_string_equal(s->auth_secret_key, KEY);
}

static void test_credentials(void **state)
{
	(void)state;
	assert_int_equal(settings_read_credentials(s, &faults), 0);
	assert_string_equal(s->auth_secret_key, "");
	write_file("secret_key", STR(KEY));
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(settings_read_credentials(s, &faults), 0);
	assert_string_equal(s->auth_secret_key, KEY);
	assert_string_equal(s->auth_previous_keys, "");
	assert_string_equal(s->database_url, "postgresql:///roomd");
	write_file("previous_keys", STR("a\nb\n"));
	write_file("database_url", STR("host=c\n"));
	assert_int_equal(settings_read_credentials(s, &faults), 0);
	assert_string_equal(s->auth_previous_keys, "a b");
	assert_string_equal(s->database_url, "host=c");
	write_file("secret_key", STR("hunter2\t"));
	assert_int_equal(settings_read_credentials(s, &faults), -ERR_INVAL);
	assert_true(has_fault("credential secret_key: must not contain control characters\n"));
	assert_false(has_fault("hunter"));
	buf_clear(&faults);
	setenv("CREDENTIALS_DIRECTORY", "/nonexistent", 1);
	assert_int_equal(settings_read_credentials(s, &faults), -ERR_INVAL);
	assert_true(has_fault("CREDENTIALS_DIRECTORY: /nonexistent: No such file"));
}

static void test_readable_by_everybody(void **state)
{
	const char *file = write_file("secret_key", STR(KEY));

	(void)state;
	assign("auth.secret_key_file", file);
	assert_int_equal(chmod(file, 0640), 0);
	settings_check_mode(s, true, &faults);
	assert_int_equal(faults.len, 0);
	assert_int_equal(chmod(file, 0644), 0);
	settings_check_mode(s, false, &faults);
	assert_true(has_fault("auth.secret_key_file: /tmp/"));
	assert_true(has_fault("/secret_key may be read by everybody\n"));
	buf_clear(&faults);
	assign("server.mode", "production");
	assert_int_equal(settings_check(s, &faults), -ERR_INVAL);
	assert_true(has_fault("may be read by everybody; use server.mode = development"));
}

/* Drawn by: openssl rand -base64 32, openssl rand -hex 32, openssl rand -hex 16 */
static void test_good_keys(void **state)
{
	(void)state;
	assert_int_equal(check("2pGLcBRFYNkch17KTz4S6fpGYDc9K38FWRaOAhbsx/Q="), 0);
	assert_int_equal(
		check("43fc2c947b40a168f7bb4188e5b9030b2898380cd556b967cb91eaf7dbd11777"), 0);
	assert_int_equal(check("412f8395f812c096bfd020d641c85910"), 0);
	assert_int_equal(check(""), 0);
}

static void test_weak_keys(void **state)
{
	static const struct {
		const char *key, *why;
	} weak[] = {
		{"Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1", "must have at least 32 characters"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "must not be one character repeated"},
		{"Xk7pXk7pXk7pXk7pXk7pXk7pXk7pXk7p", "must not be a short text repeated"},
		{"Zp3qVt9xKc7LmW2nZp3qVt9xKc7LmW2nZ", "must not be a short text repeated"},
		{"abcabcdabcdeabcdefabccbaabcdcbaabcdeedcb", "must have at least 8 different"},
		{"Change-Me! 0f4b59c8d1a2e3zzkkddll", "must not be a well-known text"},
		{"your-256-bit-secret-goes-in-here", "must not be a well-known text"},
		{"a-string-secret-at-least-256-bits-long", "must not be a well-known text"},
		{"django-insecure-x7(f$w1)=k9@z2l#n8", "must not be a well-known text"},
		{"my_super_secret_jwt_key_for_chat", "must not be a well-known text"},
		{"0123456789abcdefghijklmnopqrstuv", "must not be a well-known text"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(weak); i++) {
		if (check(weak[i].key) != -ERR_INVAL || !has_fault(weak[i].why))
			fail_msg("%s: %.*s", weak[i].key, (int)faults.len, (char *)faults.p);
		assert_true(has_fault("auth.secret_key: "));
	}
}

static void test_previous_keys(void **state)
{
	struct buf many = BUF_INIT;

	(void)state;
	assign("auth.secret_key", KEY);
	assign("auth.previous_keys", "5b0c9e1f7a2d4386cfe01b92ad7734f1, short");
	assert_int_equal(settings_check(s, &faults), -ERR_INVAL);
	assert_true(has_fault("auth.previous_keys: number 2 must have at least 32 characters\n"));
	for (int i = 0; i < 16; i++)
		buf_printf(&many, "5b0c9e1f7a2d4386cfe01b92ad77%04d ", i);
	buf_add_char(&many, '\0');
	assign("auth.previous_keys", (char *)many.p);
	buf_clear(&faults);
	assert_int_equal(settings_check(s, &faults), -ERR_INVAL);
	assert_true(has_fault("auth.previous_keys: must not be more than 15\n"));
	buf_done(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_file_faults_tell_no_secret, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_large_a_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_either_text_or_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_credentials, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_readable_by_everybody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_good_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_weak_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_previous_keys, set_up, tear_down),
	};
	int r;

	if (!mkdtemp(dir))
		return 1;
	r = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return r;
}
