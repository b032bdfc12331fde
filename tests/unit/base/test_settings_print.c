/* SPDX-License-Identifier: MIT */
/*
 * Settings as text (base/settings_print.c).
 * Reading is tested in test_settings_read.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

static struct buf out;

static int tear_down(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static bool out_has(const char *text)
{
	return memmem(out.p, out.len, text, strlen(text)) != NULL;
}

static void test_secrets_are_masked(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	assert_int_equal(settings_assign(s, STR("database.url=postgres://u:hunter2@h/d"), &out), 0);
	settings_print(s, false, &out);
	assert_false(out_has("hunter2"));
	assert_true(out_has("database.url=***\n"));
	assert_true(out_has("auth.secret_key=\n")); /* empty is no secret */
	assert_true(out_has("server.backlog=4096\n"));
	settings_print(s, true, &out);
	assert_true(out_has("database.url=postgres://u:hunter2@h/d\n"));
	settings_free(&s);
}

static void test_json(void **state)
{
	const struct setting_info *info = setting_table;
	json_t *rows, *row;
	size_t i;

	(void)state;
	assert_int_equal(settings_describe("json", &out), 0);
	rows = json_loadb((char *)out.p, out.len, 0, NULL);
	assert_true(json_is_array(rows));
	json_array_foreach (rows, i, row) {
		assert_string_equal(json_string_value(json_object_get(row, "section")),
				    info->section);
		assert_string_equal(json_string_value(json_object_get(row, "name")), info->name);
		assert_string_equal(json_string_value(json_object_get(row, "default")), info->def);
		assert_string_equal(json_string_value(json_object_get(row, "help")), info->help);
		info++;
	}
	assert_null(info->section);
	json_decref(rows);
}

/* With every commented default switched on, the sample must be accepted and change nothing. */
static void test_sample_is_a_valid_file_of_defaults(void **state)
{
	char path[] = "/tmp/roomd-test-conf-XXXXXX";
	struct settings *s = settings_new(), *defaults = settings_new();
	struct buf faults = BUF_INIT;
	FILE *f = fdopen(mkstemp(path), "w");
	char *line, *rest;

	(void)state;
	assert_int_equal(settings_describe("conf", &out), 0);
	buf_add_char(&out, '\0');
	for (rest = (char *)out.p; (line = strsep(&rest, "\n"));)
		fprintf(f, "%s\n", line[0] == '#' && line[1] != ' ' ? line + 1 : line);
	fclose(f);
	assert_int_equal(settings_read_file(s, path, &faults), 0);
	unlink(path);
	settings_diff(defaults, s, &faults);
	assert_int_equal(faults.len, 0);
	buf_done(&faults);
	settings_free(&s);
	settings_free(&defaults);
}

static void test_manual(void **state)
{
	(void)state;
	assert_int_equal(settings_describe("mdoc", &out), 0);
	assert_true(out_has(".Ss Section server\n.Bl -tag -width Ds\n.It Cm listen\n"));
	assert_true(out_has("Default:\n.Ql 127.0.0.1:8080 .\nA change needs a restart.\n"));
	for (size_t at = 0, start = 0; at < out.len; at++) {
		if (out.p[at] != '\n')
			continue;
		assert_true(at - start <= 80);
		assert_true(at > start && out.p[at - 1] != ' ');
		start = at + 1;
	}
}

static void test_unknown_format(void **state)
{
	(void)state;
	assert_int_equal(settings_describe("xml", &out), -ERR_UNSUPPORTED);
	assert_int_equal(out.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_secrets_are_masked, tear_down),
		cmocka_unit_test_teardown(test_json, tear_down),
		cmocka_unit_test_teardown(test_sample_is_a_valid_file_of_defaults, tear_down),
		cmocka_unit_test_teardown(test_manual, tear_down),
		cmocka_unit_test_teardown(test_unknown_format, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
