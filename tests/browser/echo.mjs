// SPDX-License-Identifier: MIT
// The stock WebSocket client of Node against an echo at ROOMD_URL: every way to offer permessage-deflate.
// Started by tests/integration/test_conformance_sockets.py; ends with 0 when every message came back.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import WebSocket from 'ws';

const far = randomBytes(500);
const messages = [
  '', 'a', 'hello '.repeat(1000), '✓'.repeat(50000), Buffer.alloc(0), randomBytes(70000),
  Buffer.concat([far, Buffer.alloc(40000), far]), Buffer.alloc(1 << 20, 'abcdefg'),
];
const none = { serverNoContextTakeover: true, clientNoContextTakeover: true };
const offers = [
  true, { threshold: 0 }, { threshold: 0, ...none },
  ...[9, 10, 11, 12, 13, 14, 15].map((bits) => ({
    threshold: 0, serverMaxWindowBits: bits, clientMaxWindowBits: bits,
  })),
  { threshold: 0, clientMaxWindowBits: 8 }, // a window that it may have, though the server may not
  false,
];

for (const perMessageDeflate of offers) {
  const socket = new WebSocket(process.env.ROOMD_URL, { perMessageDeflate });
  await once(socket, 'open');
  assert.equal(socket.extensions, perMessageDeflate ? 'permessage-deflate' : '');
  for (const message of messages.flatMap((one) => [one, one])) { // the second could refer to the first
    socket.send(message);
    const [data, isBinary] = await once(socket, 'message');
    assert.equal(isBinary, Buffer.isBuffer(message));
    assert.ok(data.equals(Buffer.from(message)));
  }
  socket.close();
  await once(socket, 'close');
}
