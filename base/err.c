/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of the error codes.
 * What a client is told is not decided here.
 */
#include "base/base.h"

static const char *const texts[] = {
	"no error",
#define X(name, text) text,
	ERR_TABLE(X)
#undef X
};

static const char *const names[] = {
	"OK",
#define X(name, text) #name,
	ERR_TABLE(X)
#undef X
};

static size_t err_index(int err)
{
	/* the negation of INT_MIN would overflow as an int */
	return err < 0 ? 0u - (unsigned)err : (unsigned)err;
}

const char *err_text(int err)
{
	size_t i = err_index(err);

	return i < ARRAY_LEN(texts) ? texts[i] : "unknown error";
}

const char *err_name(int err)
{
	size_t i = err_index(err);

	return i < ARRAY_LEN(names) ? names[i] : "UNKNOWN";
}
