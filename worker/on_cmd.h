/* SPDX-License-Identifier: MIT */
/*
 * What each operation of the sockets does, for every dialect: found through one table by enum
 * cmd_op.
 */
#ifndef WORKER_ON_CMD_H
#define WORKER_ON_CMD_H

#include "base/base.h"
#include "proto/cmd.h"
#include "proto/dialect_native.h"
#include "worker/chan.h"
#include "worker/conn.h"

#define HISTORY_PAGE_MAX 200 /* messages in one page; less are sent when less are asked for */

/* What clients are told that they may do. */
struct native_limits on_cmd_limits(const struct worker *wk);

/* Checks that the connection may do it now and runs the handler of CMD's operation. */
void on_cmd(struct conn *c, const struct cmd *cmd);

/* One frame of the dialect: decodes and runs what is in it. */
void on_raw_frame(struct conn *c, struct str text);
void on_native_frame(struct conn *c, struct str payload);

/*
 * The requests that followed, in one frame, the one that blocked the connection (hello): runs them,
 * or forgets them.
 */
void on_frame_rest(struct conn *c);
void on_frame_forget(struct conn *c);

/*
 * Says that a subscription stands: "connected" or "live". What "live" says is read for many at
 * once: on_mark_flush, called once a turn, asks for it; on_mark_close forgets those who wait.
 */
void on_cmd_confirm(struct sub *sub);
void on_mark_flush(struct worker *wk);

/* Says it once more to who asks although it stands or will; nothing without RE. */
void on_mark_again(struct sub *sub, const struct cmd_id *re);
void on_mark_close(struct worker *wk);

#endif
