/* SPDX-License-Identifier: MIT */
/*
 * Named points at which a test can make the process kill itself, to prove what survivors repair.
 * Compiled in by --enable-fault-points only; what happens after the death is the test's business.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "base/base.h"

/*
 * Kills the process with SIGKILL when this point is armed and passed for the COUNT-th time. NAME
 * is a string literal declared in base/faults.def. Costs one load when nothing is armed, nothing
 * when compiled out.
 */
#ifdef ENABLE_FAULT_POINTS
#define FAULT_POINT(name) fault_pass(name)
#define FAULT_SLOT(slot) fault_slot(slot)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_SLOT(slot) ((void)0)
#endif

/*
 * Arms one point in this process, replacing the environment's ROOMD_FAULT: "name" or
 * "name:count", count from 1. NULL or "" disarms. Returns 0, or -ERR_INVAL for an undeclared name
 * or a bad count.
 */
int fault_arm(const char *spec) MUST_CHECK;

/*
 * The body of FAULT_POINT. Reads ROOMD_FAULT at its first call in a process; asserts that NAME is
 * declared.
 */
void fault_pass(const char *name);

/*
 * The body of FAULT_SLOT: this process works in SLOT. Disarms it when ROOMD_FAULT_SLOT names
 * another, so that a test knows who will die.
 */
void fault_slot(int slot);

/* How often the armed point was passed in this process. */
unsigned fault_passes(void);

/* Declared names in order; NULL from INDEX = their number on. */
const char *fault_name(unsigned index);

#endif
