/* SPDX-License-Identifier: MIT */
/*
 * Counters, gauges, sums, and the text forms of the table.
 */
#include "harness.h"

#include "shm/metrics.h"

static void test_sums(void **state)
{
	struct shm *shm = segment_opened(3);

	(void)state;
	metric_add(shm, 0, M_MESSAGES_IN, 5);
	metric_add(shm, 2, M_MESSAGES_IN, 7);
	metric_add(shm, METRIC_MASTER, M_MESSAGES_IN, 1);
	assert_int_equal(metric_get(shm, 2, M_MESSAGES_IN), 7);
	assert_int_equal(metric_sum(shm, M_MESSAGES_IN), 13);
	metric_add(shm, 1, M_CONNECTIONS_RAW, 3);
	metric_add(shm, 1, M_CONNECTIONS_RAW, -1);
	assert_int_equal(metric_sum(shm, M_CONNECTIONS_RAW), 2);
	metric_set(shm, 1, M_CONNECTIONS_RAW, 9);
	assert_int_equal(metric_sum(shm, M_CONNECTIONS_RAW), 9);
	shm_detach(&shm);
}

/* https://prometheus.io/docs/instrumenting/exposition_formats/ : one HELP and TYPE per name. */
static void test_exposition(void **state)
{
	struct shm *shm = segment_opened(1);
	struct buf b = BUF_INIT;
	const char *first, *type = "# TYPE roomd_connections gauge\n";

	(void)state;
	metric_add(shm, 0, M_CONNECTIONS_NATIVE, 4);
	metric_add(shm, 0, M_RING_LAPPED, 2);
	metric_set(shm, 0, M_PEAK_SSE, 3);
	metric_print(shm, &b);
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p,
			       "\nroomd_sockets_peak{worker=\"0\",transport=\"sse\"} 3\n"));
	first = strstr((char *)b.p, type);
	assert_non_null(first);
	assert_null(strstr(first + 1, type));
	assert_non_null(strstr(first, "\nroomd_connections{dialect=\"native\"} 4\n"));
	assert_non_null(strstr((char *)b.p, "\n# TYPE roomd_ring_lapped_total counter\n"
					    "roomd_ring_lapped_total 2\n"));
	buf_done(&b);
	shm_detach(&shm);
}

/* Names follow the format's grammar, counters end in _total, rows of one name stand together. */
static void test_table_is_well_formed(void **state)
{
	(void)state;
	for (unsigned m = 0; m < METRICS; m++) {
		const struct metric_info *i = metric_info(m);
		size_t len = strlen(i->name);

		assert_int_equal(strspn(i->name, "abcdefghijklmnopqrstuvwxyz_"), len);
		assert_true(!strncmp(i->name, "roomd_", 6));
		assert_true((i->type == METRIC_COUNTER) ==
			    (len > 6 && !strcmp(i->name + len - 6, "_total")));
		if (m == 0 || strcmp(i->name, metric_info(m - 1)->name) != 0) {
			assert_true(i->help[0] != '\0');
			for (unsigned k = 0; k < m; k++)
				assert_string_not_equal(i->name, metric_info(k)->name);
		} else {
			assert_true(i->labels[0] != '\0');
		}
	}
}

static void test_description_escapes_labels(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	metrics_describe(&b);
	buf_add_char(&b, '\0');
	assert_non_null(
		strstr((char *)b.p, "\"labels\":\"dialect=\\\"raw\\\"\",\"by_worker\":false,"));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_exposition),
		cmocka_unit_test(test_table_is_well_formed),
		cmocka_unit_test(test_description_escapes_labels),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
