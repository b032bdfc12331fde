/* SPDX-License-Identifier: MIT */
/*
 * roomd --conformance: echoes in the place of the chat, for the public test suites of the protocols
 * and for client libraries. Everything below an address is what the chat uses.
 */
#ifndef WORKER_CONFORMANCE_H
#define WORKER_CONFORMANCE_H

#include "worker/call.h"
#include "worker/eio.h"

#define X(method, path, handler, shape, auth, rate, body, summary) void handler(struct call *call);
#include "worker/conformance.def"
#undef X

/* A message of a plain WebSocket comes back; PAYLOAD is borrowed. */
void conformance_message(struct conn *c, struct str payload, enum ws_opcode op);

/* Socket.IO's echo. */
extern const struct eio_core conformance_sio_core;

#endif
