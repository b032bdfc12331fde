// SPDX-License-Identifier: MIT
// The browser's own EventSource on /api/v1/events: it comes back by itself, with the last id, and misses nothing.
// Seen red: with the id left out of the blocks, "while away" is missing.

import assert from 'node:assert/strict';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { base, makeRoom, Peer, unique, withPage } from './harness.mjs';

/** A way to the server that can be cut: { url, cut(), close() }. */
async function cutter() {
  const { hostname, port } = new URL(base);
  const links = new Set();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [one, other] of [[near, far], [far, near]]) {
      links.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy()).on('close', () => { links.delete(one); other.destroy(); });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = () => { for (const link of links) link.destroy(); };
  return { url: `http://127.0.0.1:${server.address().port}`, cut, close: () => { cut(); server.close(); } };
}

/** Opens window.stream on the room; window.got has the contents, window.opens how often it was opened. */
const follow = (page, room) => page.evaluate((id) => new Promise((resolve) => {
  window.got = [];
  window.opens = 0;
  window.stream = new EventSource(`/api/v1/events?c=${id}`);
  window.stream.onopen = () => { window.opens += 1; };
  window.stream.addEventListener('message.new', (event) => window.got.push(JSON.parse(event.data).d.content));
  window.stream.addEventListener('live', resolve, { once: true });
}), room.id);

const has = (page, text) => page.waitForFunction((t) => window.got.includes(t), text);

test('EventSource comes back with the last id and misses nothing', async () => {
  const room = await makeRoom();
  const way = await cutter();
  const peer = await Peer.join(room, unique('Bob'));
  try {
    await peer.sayFor('too early');
    await withPage({}, async (page) => {
      await page.goto(`${way.url}/`);
      await follow(page, room);
      await peer.sayFor('first');
      await has(page, 'first');
      for (const round of [1, 2]) {
        way.cut();
        await peer.sayFor(`while away ${round}a`);
        await peer.sayFor(`while away ${round}b`);
        await has(page, `while away ${round}b`);
      }
      assert.equal(await page.evaluate(() => window.opens), 3);
      assert.deepEqual(await page.evaluate(() => window.got),
        ['first', 'while away 1a', 'while away 1b', 'while away 2a', 'while away 2b']);
      page.errors.length = 0; // a cut stream is no fault of the page
    });
  } finally {
    peer.close();
    way.close();
  }
});
