/* SPDX-License-Identifier: MIT */
/*
 * Opening handshakes of WebSockets that a session of Engine.IO or an echo asks for; the others are
 * handlers of routes.def.
 */
#ifndef WORKER_UPGRADE_H
#define WORKER_UPGRADE_H

#include "worker/call.h"
#include "worker/conn.h"

/*
 * Answers the handshake of CALL, which is freed. The connection, a WebSocket of DIALECT_S4 now, or
 * NULL when it was refused.
 */
struct conn *upgrade_socketio(struct call *call);

/*
 * The same for an echo's: NATIVE or MSGPACK. Whatever subprotocols are offered, none is chosen.
 */
struct conn *upgrade_echo(struct call *call, enum dialect dialect);

#endif
