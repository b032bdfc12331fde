/* SPDX-License-Identifier: MIT */
/*
 * Counts passes of the armed fault point and kills the process at the right one.
 * Which points exist is declared in faults.def; where they stand is for the code under test.
 */
#include "base/fault.h"

#include <signal.h>
#include <unistd.h>

static const char *const names[] = {
#define X(name, what) name,
#include "base/faults.def"
#undef X
};

static bool is_read;	   /* ROOMD_FAULT was looked at, or fault_arm was called */
static const char *armed; /* one of names, or NULL */
static unsigned armed_count, passes;

const char *fault_name(unsigned index)
{
	return index < ARRAY_LEN(names) ? names[index] : NULL;
}

static const char *name_find(struct str s)
{
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(str_of(names[i]), s))
			return names[i];
	return NULL;
}

int fault_arm(const char *spec)
{
	struct str name = str_of(spec);
	int64_t count = 1;
	const char *colon, *found;

	is_read = true;
	armed = NULL;
	passes = 0;
	if (!name.len)
		return 0;
	colon = memchr(name.p, ':', name.len);
	if (colon) {
		struct str digits = {colon + 1, name.len - (size_t)(colon + 1 - name.p)};

		name.len = (size_t)(colon - name.p);
		if (str_to_i64(digits, &count) < 0 || count < 1 || count > INT32_MAX)
			return -ERR_INVAL;
	}
	found = name_find(name);
	if (!found)
		return -ERR_INVAL;
	armed = found;
	armed_count = (unsigned)count;
	return 0;
}

void fault_slot(int slot)
{
	const char *only = getenv("ROOMD_FAULT_SLOT");
	int64_t number;

	if (only && (str_to_i64(str_of(only), &number) < 0 || number != slot)) {
		int r = fault_arm(NULL);

		assert(r == 0);
		(void)r;
	}
}

unsigned fault_passes(void)
{
	return passes;
}

void fault_pass(const char *name)
{
	if (!is_read) {
		int r = fault_arm(getenv("ROOMD_FAULT"));

		assert(r == 0);
		(void)r;
	}
	if (!armed)
		return;
	assert(name_find(str_of(name)));
	if (str_eq(str_of(name), str_of(armed)) && ++passes == armed_count)
		(void)kill(getpid(), SIGKILL);
}
