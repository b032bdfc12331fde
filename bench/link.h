/* SPDX-License-Identifier: MIT */
/* Client sockets of the generator: connecting, frames in and out.
 * What they say first is handshake.h's, messages are load.c's; which sockets there are, gen.c's. */
#ifndef BENCH_LINK_H
#define BENCH_LINK_H

#include <stddef.h>

#include "bench/gen.h"

/* Starts to connect. Returns 0, or -1 after counting the failure. */
int link_open(struct gen *g, struct link *l);

/* The socket has become readable, writable or broken (epoll bits). */
void link_event(struct gen *g, struct link *l, unsigned events);

/* Sends bytes that are whole frames; keeps what the socket does not take. */
void link_send(struct gen *g, struct link *l, const void *data, size_t len);

/* Sends one text frame. */
void link_text(struct gen *g, struct link *l, const char *text, size_t len);

/* Counts the socket as failed or lost, remembers WHY, and closes it. */
void link_fail(struct gen *g, struct link *l, const char *why);

/* Appends one masked text frame to g->scratch at offset at; returns the offset behind it. */
size_t link_frame(struct gen *g, size_t at, const char *text, size_t len);

/* Sends a close frame and waits for the server to end the connection. */
void link_bye(struct gen *g, struct link *l);

/* Closes the socket and frees its buffers. */
void link_close(struct gen *g, struct link *l);

#endif
