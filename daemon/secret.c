/* SPDX-License-Identifier: MIT */
/*
 * Draws the key that nobody set: there is no default that others could know.
 */
#include "daemon/secret.h"

#include <sys/random.h>

#include "base/log.h"

#define KEY_BYTES 32

/* As hexadecimal digits and a NUL; empty until it is needed. */
static char drawn[2 * KEY_BYTES + 1];

static int draw(void)
{
	uint8_t random[KEY_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -ERR_IO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(drawn + 2 * i, 3, "%02x", random[i]);
	explicit_bzero(random, sizeof(random));
	log_warn("auth.secret_key is not set: one was drawn, and everybody is signed out when the "
		 "daemon ends");
	return 0;
}

int secret_fill(struct settings *s)
{
	int r = 0;

	if (*s->auth_secret_key)
		return 0;
	if (!*drawn)
		r = draw();
	if (r < 0)
		return r;
	free(s->auth_secret_key);
	s->auth_secret_key = xstrndup(drawn, strlen(drawn));
	return 0;
}
