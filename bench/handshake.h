/* SPDX-License-Identifier: MIT */
/* What a client says and hears before its first message, dialect by dialect.
 * Sockets and frames are link.h's. */
#ifndef BENCH_HANDSHAKE_H
#define BENCH_HANDSHAKE_H

#include "bench/gen.h"

/* The socket is connected: asks for the upgrade (RFC 6455 section 4.1). */
void handshake_upgrade(struct gen *g, struct link *l);

/* Reads the answer to it from the N bytes at P and introduces the client. Returns the bytes used,
 * 0 if it is not complete. */
size_t handshake_upgraded(struct gen *g, struct link *l, const uint8_t *p, size_t n);

/* A text frame of a socket that is not in its room yet. Anything but the answer waited for is let
 * pass, except errors. */
void handshake_text(struct gen *g, struct link *l, const char *text, size_t len);

/* True for Engine.IO's ping, which wants a pong. */
bool handshake_is_ping(const struct gen *g, const uint8_t *payload, size_t len);

#endif
