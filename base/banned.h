/* SPDX-License-Identifier: MIT */
/*
 * Calls that have no place in this tree: a use fails to compile.
 * Bounded or allocation-counted forms exist in base/buf.h or in libc.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc makes it a macro, which cannot be poisoned */
#undef alloca
#undef alloca /* a macro in glibc, which clang does not let us poison */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol atoll strtok alloca

#endif
