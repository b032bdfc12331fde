/* SPDX-License-Identifier: MIT */
/*
 * roomctl's command line (daemon/roomctl_options.c).
 * Settings and -o are options.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/roomctl_options.h"

static struct roomctl_options opt;
static struct buf why;

static int tear_down(void **state)
{
	(void)state;
	buf_done(&why);
	return 0;
}

/* ARGUMENTS end with NULL. */
static int parse(const char *first, ...)
{
	char *argv[20] = {(char *)"roomctl", (char *)first};
	int argc = first ? 2 : 1;
	va_list args;

	va_start(args, first);
	while (first && (argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	opt = (struct roomctl_options){0};
	buf_clear(&why);
	return roomctl_options_parse(argc, argv, &opt, &why);
}

static void assert_line(const char *text)
{
	struct buf line = BUF_INIT;

	assert_int_equal(roomctl_options_line(&opt, &line, &why), 0);
	assert_true(str_eq(buf_str(&line), str_of(text)));
	buf_done(&line);
}

static void test_each_command_is_found_by_its_words(void **state)
{
	(void)state;
	for (int i = 0; i < ROOMCTL_COMMANDS; i++) {
		char first[32], *second;

		snprintf(first, sizeof(first), "%s", roomctl_commands[i].words);
		second = strchr(first, ' ');
		if (second)
			*second++ = '\0';
		if (*roomctl_commands[i].argument && second)
			assert_int_equal(parse(first, second, "1", NULL), 0);
		else if (*roomctl_commands[i].argument)
			assert_int_equal(parse(first, "1", NULL), 0);
		else
			assert_int_equal(parse(first, second, NULL), 0);
		assert_int_equal(opt.id, i);
	}
}

static void test_an_argument_in_brackets_may_be_left_out(void **state)
{
	(void)state;
	assert_int_equal(parse("verify", NULL), 0);
	assert_int_equal(opt.id, ROOMCTL_VERIFY);
	assert_null(opt.argument);
	assert_int_equal(parse("verify", "log", NULL), 0);
	assert_string_equal(opt.argument, "log");
	assert_int_equal(parse("verify", "log", "unread", NULL), -ERR_INVAL);
}

static void test_options_stand_anywhere(void **state)
{
	(void)state;
	assert_int_equal(
		parse("-c", "file", "room", "--json", "show", "-s", "socket", "5", "-oa.b=c", NULL),
		0);
	assert_int_equal(opt.id, ROOMCTL_ROOM_SHOW);
	assert_true(opt.is_json);
	assert_string_equal(opt.common.file, "file");
	assert_string_equal(opt.socket, "socket");
	assert_int_equal(opt.common.n_assign, 1);
	assert_string_equal(opt.common.assign[0], "a.b=c");
	assert_line("room show 5");
	assert_int_equal(parse("status", NULL), 0);
	assert_null(opt.socket);
	assert_false(opt.is_json);
	assert_line("status");
}

static void test_check_belongs_to_migrate(void **state)
{
	(void)state;
	assert_int_equal(parse("migrate", NULL), 0);
	assert_false(opt.is_check);
	assert_int_equal(parse("migrate", "--check", NULL), 0);
	assert_true(opt.is_check);
	assert_int_equal(parse("init-db", "--check", NULL), -ERR_INVAL);
}

static void test_version_and_help_as_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--version", NULL), 0);
	assert_int_equal(opt.id, ROOMCTL_VERSION);
	assert_int_equal(parse("--help", NULL), 0);
	assert_int_equal(opt.id, ROOMCTL_HELP);
}

static void test_what_is_no_command(void **state)
{
	(void)state;
	assert_int_equal(parse(NULL), -ERR_INVAL);
	assert_int_equal(parse("room", NULL), -ERR_INVAL);
	assert_int_equal(parse("room list", NULL), -ERR_INVAL);
	assert_int_equal(parse("room", "lists", NULL), -ERR_INVAL);
	assert_int_equal(parse("room", "show", NULL), -ERR_INVAL);
	assert_int_equal(parse("stat", NULL), -ERR_INVAL);
	assert_int_equal(parse("status", "now", NULL), -ERR_INVAL);
	assert_int_equal(parse("room", "show", "1", "2", NULL), -ERR_INVAL);
	assert_true(why.len > 0);
}

static void test_arguments_that_fit_no_line(void **state)
{
	static const char *const bad[] = {"0",	 "-5", "1x", "", "99999999999999999999",
					  "1\n", "1 2"};
	struct buf line = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		opt = (struct roomctl_options){.id = ROOMCTL_ROOM_SHOW, .argument = bad[i]};
		assert_int_equal(roomctl_options_line(&opt, &line, &why), -ERR_INVAL);
	}
	opt = (struct roomctl_options){.id = ROOMCTL_LOG_LEVEL, .argument = "info\nstop"};
	assert_int_equal(roomctl_options_line(&opt, &line, &why), -ERR_INVAL);
	assert_int_equal(line.len, 0);
}

static void assert_socket(const char *path)
{
	struct buf found = BUF_INIT;

	roomctl_options_socket(&opt, &found);
	assert_string_equal((char *)found.p, path);
	buf_done(&found);
}

static void test_the_socket_is_found_in_spite_of_faults(void **state)
{
	char file[] = "/tmp/roomctl-test-XXXXXX";
	int fd = mkstemp(file);

	(void)state;
	dprintf(fd, "[server]\nworkers = many\n[control]\nsocket = /here\nnonsense = 1\n");
	close(fd);
	assert_int_equal(parse("-c", file, "reload", NULL), 0);
	assert_socket("/here");
	assert_int_equal(parse("-c", file, "-ocontrol.socket=/there", "reload", NULL), 0);
	assert_socket("/there");
	assert_int_equal(parse("-c", file, "-ocontrol.socket=/there", "-s/given", "reload", NULL),
			 0);
	assert_socket("/given");
	assert_int_equal(parse("-c", "/nonexistent", "reload", NULL), 0);
	assert_socket("/run/roomd/control.sock");
	unlink(file);
}

static void test_help_names_every_command(void **state)
{
	struct buf text = BUF_INIT;

	(void)state;
	roomctl_options_help(&text);
	buf_add_char(&text, '\0');
	for (int i = 0; i < ROOMCTL_COMMANDS; i++) {
		assert_non_null(strstr((char *)text.p, roomctl_commands[i].words));
		assert_non_null(strstr((char *)text.p, roomctl_commands[i].help));
	}
	buf_done(&text);
}

static void test_options_belong_to_their_command(void **state)
{
	(void)state;
	assert_int_equal(parse("user", "add", "--email", "a@b", "--full-name", "A B", "--admin",
			       "ann", NULL),
			 0);
	assert_int_equal(opt.id, ROOMCTL_USER_ADD);
	assert_string_equal(opt.argument, "ann");
	assert_string_equal(opt.email, "a@b");
	assert_string_equal(opt.full_name, "A B");
	assert_true(opt.is_admin);
	assert_int_equal(parse("user", "admin", "--off", "ann", NULL), 0);
	assert_true(opt.is_off && !opt.is_admin);
	assert_int_equal(parse("user", "sessions", "ann", "--end", NULL), 0);
	assert_true(opt.is_end);
	assert_int_equal(parse("user", "show", "--end", "ann", NULL), -ERR_INVAL);
	assert_true(str_eq(buf_str(&why), STR("--end belongs to \"user sessions\"\n")));
	assert_int_equal(parse("user", "add", "--off", "ann", NULL), -ERR_INVAL);
	assert_int_equal(parse("user", "admin", "--admin", "ann", NULL), -ERR_INVAL);
	assert_int_equal(parse("user", "list", "--email", "a@b", NULL), -ERR_INVAL);
	assert_int_equal(parse("verify", "--full-name", "A", NULL), -ERR_INVAL);
	assert_int_equal(parse("user", "add", NULL), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_belong_to_their_command),
		cmocka_unit_test(test_each_command_is_found_by_its_words),
		cmocka_unit_test(test_an_argument_in_brackets_may_be_left_out),
		cmocka_unit_test(test_options_stand_anywhere),
		cmocka_unit_test(test_check_belongs_to_migrate),
		cmocka_unit_test(test_version_and_help_as_options),
		cmocka_unit_test(test_what_is_no_command),
		cmocka_unit_test(test_arguments_that_fit_no_line),
		cmocka_unit_test(test_the_socket_is_found_in_spite_of_faults),
		cmocka_unit_test(test_help_names_every_command),
	};

	opterr = 0;
	return cmocka_run_group_tests_name("roomctl_options", tests, NULL, tear_down);
}
