/* SPDX-License-Identifier: MIT */
/* herd: all sockets but the publishers are cut off at one moment, come back and resume.
 * Connecting itself is link.c's, the publishers' messages are load.c's. */
#ifndef BENCH_HERD_H
#define BENCH_HERD_H

#include "bench/gen.h"

/* Cuts when the time has come, and opens again whoever is due. Once a turn. */
void herd_turn(struct gen *g);

/* Writes the first frame of a socket that goes on with what it followed; returns its length. */
int herd_hello(const struct gen *g, const struct link *l, char *buf, size_t room);

/* A welcome: its cursor is for the next hello. True if what was followed goes on by itself. */
bool herd_welcome(struct link *l, const char *text, size_t len);

/* Nanoseconds until herd_turn has something to do; UINT64_MAX if nothing. */
uint64_t herd_wait(const struct gen *g);

/*
 * A socket broke or was refused. Returns true if it will be tried again: then it is closed
 * already.
 */
bool herd_failed(struct gen *g, struct link *l, const char *why);

/* A text frame before or after "live": revisions must follow each other. */
void herd_text(struct gen *g, struct link *l, const char *text, size_t len);

/* A socket is in its room; TEXT is the frame that said so. */
void herd_live(struct gen *g, struct link *l, const char *text, size_t len);

#endif
