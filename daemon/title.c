/* SPDX-License-Identifier: MIT */
/*
 * Writes process titles over the memory that the kernel shows as the command line.
 */
#include "daemon/title.h"

#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"

static char *area;
static size_t area_len;

/* The area ends where the strings of argv and environment, which lie in a row, end. */
static void extend(char *s)
{
	if (s == area + area_len)
		area_len += strlen(s) + 1;
}

/* Copies of the strings, which live as long as the process. */
static char **move(char **strings)
{
	size_t n = 0;
	char **copy;

	while (strings[n])
		n++;
	copy = xcalloc(n + 1, sizeof(*copy));
	for (size_t i = 0; i < n; i++) {
		extend(strings[i]);
		copy[i] = xstrndup(strings[i], strlen(strings[i]));
	}
	return copy;
}

char **title_init(char **argv)
{
	static char **args; /* keeps what options point into */

	area = argv[0];
	area_len = 0;
	args = move(argv);
	environ = move(environ);
	return args;
}

void title_set(const char *role, int slot)
{
	char title[64], name[16]; /* the kernel keeps 15 characters of a name */

	if (slot < 0) {
		snprintf(title, sizeof(title), "roomd: %s", role);
		snprintf(name, sizeof(name), "roomd: %.8s", role);
	} else {
		snprintf(title, sizeof(title), "roomd: %s %d", role, slot);
		snprintf(name, sizeof(name), "roomd:%.6s %d", role, slot % 100);
	}
	prctl(PR_SET_NAME, name);
	if (area_len <= strlen(title))
		return;
	/* the options may hold secrets: nothing of them stays */
	explicit_bzero(area, area_len);
	memcpy(area, title, strlen(title));
}
