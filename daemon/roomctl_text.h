/* SPDX-License-Identifier: MIT */
/*
 * The daemon's answers as text for people.
 */
#ifndef DAEMON_ROOMCTL_TEXT_H
#define DAEMON_ROOMCTL_TEXT_H

#include "daemon/roomctl_options.h"

/*
 * What ANSWER says about its question: 0, -ERR_DENIED for {"error": TEXT} with TEXT in *RET_WHY,
 * -ERR_INVAL for an order that was not carried out ("ok" is false). Texts that are no JSON object
 * are answers, too.
 */
int roomctl_text_judge(struct str answer, struct buf *ret_why) MUST_CHECK;

/*
 * Appends ANSWER to the command ID in lines, aligned. Control characters in names are replaced.
 * Returns 0, or -ERR_PROTO when it is not what the command answers.
 */
int roomctl_text_print(enum roomctl_id id, struct str answer, struct buf *ret) MUST_CHECK;

/* Appends TABBED (cells ended by tabs, rows by line ends) in columns, two blanks apart. */
void roomctl_text_align(struct str tabbed, struct buf *ret);

#endif
