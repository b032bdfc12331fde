/* SPDX-License-Identifier: MIT */
/*
 * Connections that move to another worker: the socket by descriptor passing, with the request that
 * shows where it belongs and the bytes behind it. Which requests belong elsewhere is eio.c's.
 *
 * Each slot has one inbox, a pair of SOCK_SEQPACKET sockets that the master made before it forked
 * and that outlives the slot's process: what was sent to a worker that died is read by its
 * successor, which knows no session of it and says so to the client.
 */
#ifndef WORKER_INBOX_H
#define WORKER_INBOX_H

#include "base/base.h"
#include "worker/call.h"

/*
 * Hands the connection of CALL with its present request to the worker of SLOT (below
 * boot->n_slots), where it goes on as if it had been accepted there. Frees CALL. Happens at the end
 * of the turn; if the other worker has no room the client is told to come again (503).
 */
void inbox_move(struct call *call, int slot);

/* Sends what is to be moved. Called once a turn, before replies are flushed. */
void inbox_run(struct worker *wk);

/* Drops what inbox_move left with C, when it ends before that. */
void inbox_forget(struct conn *c);

void inbox_open(struct worker *wk);
void inbox_close(struct worker *wk);

#endif
