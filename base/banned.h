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

/*
 * glibc makes these macros (the printf ones for clang with _FORTIFY_SOURCE), which cannot be
 * poisoned.
 */
#undef alloca
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf gets atoi atol atoll strtok alloca

#endif
