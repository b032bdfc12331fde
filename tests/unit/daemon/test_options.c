/* SPDX-License-Identifier: MIT */
/*
 * Command line and the rank of settings (daemon/options.c).
 * Single settings are base's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/options.h"

static struct options opt;
static struct buf why;

static int set_up(void **state)
{
	(void)state;
	unsetenv("PORT");
	unsetenv("DATABASE_URL");
	unsetenv("SECRET_KEY");
	unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_done(&why);
	return 0;
}

/* ARGUMENTS end with NULL. */
static int parse(const char *first, ...)
{
	char *argv[100] = {(char *)"roomd", (char *)first};
	int argc = first ? 2 : 1;
	va_list args;

	va_start(args, first);
	while (first && (argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	return options_parse(argc, argv, &opt, &why);
}

static void test_actions(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL), 0);
	assert_int_equal(opt.action, ACTION_RUN);
	assert_null(opt.file);
	assert_false(opt.is_foreground);
	assert_int_equal(parse("-f", "-c", "file", "-o", "a.b=c", "-oserver.workers=1", NULL), 0);
	assert_int_equal(opt.action, ACTION_RUN);
	assert_string_equal(opt.file, "file");
	assert_true(opt.is_foreground);
	assert_int_equal(opt.n_assign, 2);
	assert_string_equal(opt.assign[1], "server.workers=1");
	assert_int_equal(parse("-t", NULL), 0);
	assert_int_equal(opt.action, ACTION_CHECK);
	assert_int_equal(parse("-T", NULL), 0);
	assert_int_equal(opt.action, ACTION_PRINT);
	assert_int_equal(parse("--describe", "locks", NULL), 0);
	assert_int_equal(opt.action, ACTION_DESCRIBE);
	assert_string_equal(opt.table, "locks");
	assert_string_equal(opt.format, "json");
	assert_int_equal(parse("--describe=settings", "--format=mdoc", NULL), 0);
	assert_string_equal(opt.format, "mdoc");
	assert_int_equal(parse("--version", NULL), 0);
	assert_int_equal(opt.action, ACTION_VERSION);
	assert_int_equal(parse("--help", NULL), 0);
	assert_int_equal(opt.action, ACTION_HELP);
}

static void test_refuses(void **state)
{
	(void)state;
	assert_int_equal(parse("file", NULL), -ERR_INVAL);
	assert_non_null(memmem(why.p, why.len, "\"file\"", 6));
	assert_int_equal(parse("-x", NULL), -ERR_INVAL);
	assert_int_equal(parse("-c", NULL), -ERR_INVAL);
	assert_int_equal(parse("--nothing", NULL), -ERR_INVAL);
}

static void test_too_many_assignments(void **state)
{
	char *argv[2 * OPTIONS_ASSIGN_MAX + 4] = {(char *)"roomd"};
	int argc = 1;

	(void)state;
	for (int i = 0; i <= OPTIONS_ASSIGN_MAX; i++) {
		argv[argc++] = (char *)"-o";
		argv[argc++] = (char *)"a.b=c";
	}
	assert_int_equal(options_parse(argc - 2, argv, &opt, &why), 0);
	assert_int_equal(opt.n_assign, OPTIONS_ASSIGN_MAX);
	assert_int_equal(options_parse(argc, argv, &opt, &why), -ERR_INVAL);
}

/* Default, file, environment, command line: each wins over those before it. */
static void test_rank(void **state)
{
	char path[] = "/tmp/roomd-test-conf-XXXXXX";
	FILE *f = fdopen(mkstemp(path), "w");
	struct settings *s;

	(void)state;
	fputs("[server]\nbacklog=100\nlisten=127.0.0.1:1\nworkers=3\n"
	      "[database]\nurl=dbname=from-file\n",
	      f);
	fclose(f);
	setenv("DATABASE_URL", "dbname=from-environment", 1);
	setenv("PORT", "7", 1);
	assert_int_equal(parse("-c", path, "-o", "server.workers=4", NULL), 0);
	assert_int_equal(options_load(&opt, &s, &why), 0);
	unlink(path);
	assert_int_equal(s->server_max_connections, 16000);
	assert_int_equal(s->server_backlog, 100);
	assert_string_equal(s->database_url, "dbname=from-environment");
	assert_string_equal(s->server_listen, "127.0.0.1:7");
	assert_int_equal(s->server_workers, 4);
	settings_free(&s);
}

static char dir[] = "/tmp/roomd-test-keys-XXXXXX";

static char *key_file(const char *name, const char *text)
{
	char *path;
	FILE *f;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	fclose(f);
	return path;
}

static void assert_key(const char *expected)
{
	struct settings *s;

	assert_int_equal(options_load(&opt, &s, &why), 0);
	assert_string_equal(s->auth_secret_key, expected);
	settings_free(&s);
}

#define KEY(c) "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1" c

/* The key has more sources than other settings; a file named on the command line wins, too. */
static void test_rank_of_the_key(void **state)
{
	char *conf, *key, *other, *credential, option[200];

	(void)state;
	assert_non_null(mkdtemp(dir));
	key = key_file("key", KEY("f") "\n");
	other = key_file("other", KEY("o"));
	credential = key_file("secret_key", KEY("c"));
	snprintf(option, sizeof(option), "[auth]\nsecret_key_file=%s\n", key);
	conf = key_file("conf", option);
	assert_int_equal(parse("-c", conf, NULL), 0);
	assert_key(KEY("f"));
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_key(KEY("c"));
	setenv("SECRET_KEY", KEY("e"), 1);
	assert_key(KEY("e"));
	snprintf(option, sizeof(option), "auth.secret_key_file=%s", other);
	assert_int_equal(parse("-c", conf, "-o", option, NULL), 0);
	assert_key(KEY("o"));
	assert_int_equal(parse("-c", conf, "-o", "auth.secret_key=" KEY("l"), NULL), 0);
	assert_key(KEY("l"));
	unsetenv("CREDENTIALS_DIRECTORY");
	for (char **p = (char *[]){conf, key, other, credential, NULL}; *p; p++) {
		unlink(*p);
		free(*p);
	}
	rmdir(dir);
}

/* What suites need is the default; whoever says otherwise is heard, but for the database. */
static void test_conformance(void **state)
{
	struct settings *s;

	(void)state;
	assert_int_equal(parse("--conformance", "-c", "/dev/null", "-o", "server.mode=development",
			       "-o", "websocket.frame_max=1M", "-o", "database.url=host=x", NULL),
			 0);
	assert_int_equal(options_load(&opt, &s, &why), 0);
	assert_int_equal(s->websocket_frame_max, 1 << 20);
	assert_int_equal(s->websocket_message_max, 16 << 20);
	assert_true(s->websocket_deflate);
	assert_string_equal(s->database_url, "host=/nonexistent");
	settings_free(&s);
	assert_int_equal(parse("--conformance", "-c", "/dev/null", NULL), 0);
	assert_int_equal(options_load(&opt, &s, &why), -ERR_INVAL);
	assert_non_null(memmem(why.p, why.len, "--conformance", 13));
}

static void test_missing_file(void **state)
{
	struct settings *s = NULL;

	(void)state;
	assert_int_equal(parse("-c", "/nonexistent/roomd.conf", NULL), 0);
	assert_int_equal(options_load(&opt, &s, &why), -ERR_INVAL);
	assert_null(s);
	assert_non_null(memmem(why.p, why.len, "/nonexistent/roomd.conf", 23));
}

/*
 * Faults of all sources come together; relations are looked at only when every value could be
 * read.
 */
static void test_all_faults_at_once(void **state)
{
	struct settings *s = NULL;

	(void)state;
	setenv("PORT", "x", 1);
	assert_int_equal(parse("-o", "server.workers=x", "-o", "a.b=c", "-o",
			       "server.respawn_delay=60s", NULL),
			 0);
	assert_int_equal(options_load(&opt, &s, &why), -ERR_INVAL);
	buf_add_char(&why, '\0');
	assert_string_equal((char *)why.p, "PORT: must be a port number\n"
					   "-o: server.workers: must be a whole number\n"
					   "-o: a.b: unknown setting\n");
	buf_clear(&why);
	unsetenv("PORT");
	assert_int_equal(parse("-o", "server.respawn_delay=60s", NULL), 0);
	assert_int_equal(options_load(&opt, &s, &why), -ERR_INVAL);
	assert_non_null(memmem(why.p, why.len, "server.respawn_delay_max", 24));
	assert_null(s);
}

/* No attempt to connect would ever make a database of these; a password in one is not repeated. */
static void test_other_databases(void **state)
{
	struct settings *s = NULL;
	char *conf, text[200];

	(void)state;
	memset(dir + sizeof(dir) - 7, 'X', 6);
	assert_non_null(mkdtemp(dir));
	conf = key_file("conf", "[database]\nurl = sqlite:///hunter2.db\n");
	assert_int_equal(parse("-c", conf, NULL), 0);
	assert_int_equal(options_load(&opt, &s, &why), -ERR_INVAL);
	snprintf(text, sizeof(text), "%s:2: database.url: must be ", conf);
	assert_memory_equal(why.p, text, strlen(text));
	assert_non_null(memmem(why.p, why.len, "SQLite", 6));
	assert_null(memmem(why.p, why.len, "hunter2", 7));
	setenv("DATABASE_URL", "postgresql:///chat", 1);
	assert_int_equal(options_load(&opt, &s, &why), 0);
	settings_free(&s);
	unlink(conf);
	free(conf);
	rmdir(dir);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_actions), TEST(test_refuses),	     TEST(test_too_many_assignments),
		TEST(test_rank),
		TEST(test_rank_of_the_key),
		TEST(test_conformance),
		TEST(test_missing_file),
		TEST(test_all_faults_at_once),
		TEST(test_other_databases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
