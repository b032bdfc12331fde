/* SPDX-License-Identifier: MIT */
/* Makes and removes the rooms of a run over the rooms REST of the raw dialect.
 * Blocking, before and after the measured part. */
#ifndef BENCH_ROOMS_H
#define BENCH_ROOMS_H

#include "bench/roombench.h"

/* Allocates conf->room: one POST each, or the room of that name if there is one already. For floor
 * the names are enough; for socketio an account is registered as well, and conf->token set.
 * Returns 0, or -1 after printing why not. */
int rooms_make(struct conf *cf);

/* Deletes the rooms that this run made, failures ignored, and frees conf->room. */
void rooms_remove(struct conf *cf);

#endif
