// SPDX-License-Identifier: MIT
// S1-38: 200 payloads as user name, room name and content: nothing runs, the text stands there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, joinRoom, makeRoom, Peer, unique, withPage } from './harness.mjs';
import { payloads } from './xss.mjs';

const watch = {
  init: () => {
    window.hits = 0;
    window.hit = () => { window.hits++; };
  },
};

async function assertHarmless(page) {
  assert.equal(await page.evaluate(() => window.hits), 0, 'a script ran');
  assert.equal(await page.$$eval('script', (n) => n.length), 1);
  assert.equal(await page.$$eval('img, iframe, object, video, math, base, style, form:not([id])', (n) => n.length), 0);
  const attributes = await page.$$eval('*', (nodes) => nodes.flatMap((n) => n.getAttributeNames()).filter((a) => a.startsWith('on')));
  assert.deepEqual(attributes, []);
}

test('the corpus has 200 different payloads that fit a name', () => {
  assert.equal(new Set(payloads).size, 200);
  assert.ok(payloads.every((p) => [...p].length <= 100));
});

test('S1-38 as content and as user name', { timeout: 300_000 }, async () => {
  const room = await makeRoom();
  const peers = [];
  for (const [i, payload] of payloads.entries()) {
    const peer = await Peer.join(room, payload);
    await peer.sayFor(payload);
    peers.push(peer);
    if (i % 10) peer.close();
  }
  await withPage(watch, async (page) => {
    const asked = [];
    page.on('request', (r) => asked.push(new URL(r.url()).pathname));
    await joinRoom(page, room, '<script>hit()</script>'); // the page's own name, too
    const seen = new Map();
    for (let step = 0; step < 400 && seen.size < payloads.length; step++) {
      for (const [id, text, name] of await page.$$eval('.msg', (nodes) => nodes.map((n) =>
        [n.dataset.id, n.querySelector('.text').textContent, n.querySelector('bdi')?.textContent]))) seen.set(id, [text, name]);
      await page.evaluate(() => {
        document.querySelector('#messages').scrollBy(0, -500);
        return new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); });
      });
      await page.waitForFunction(() => !window.roomd.log.loading);
    }
    const inOrder = [...seen].sort(([a], [b]) => (BigInt(a) < BigInt(b) ? -1 : 1)).map(([, pair]) => pair);
    assert.deepEqual(inOrder.map(([text]) => text), payloads);
    assert.deepEqual(inOrder.map(([, name]) => (name === 'You' ? payloads[0] : name)), payloads);
    const listed = await page.$$eval('#users bdi', (nodes) => nodes.map((n) => n.textContent));
    assert.ok(listed.length > 15 && listed.every((name) => payloads.includes(name)));
    await assertHarmless(page);
    assert.deepEqual(asked.filter((path) => !path.startsWith('/api/chat/')), []);
  });
  for (const peer of peers) peer.close();
});

test('S1-38 as system line and as typing name', async () => {
  const room = await makeRoom();
  await withPage(watch, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    for (const payload of payloads) {
      await page.evaluate((p) => {
        const at = new Date().toISOString();
        window.roomd.handle({ type: 'system', event: 'join', username: p, content: `${p} joined`, timestamp: at });
        window.roomd.handle({ type: 'system', event: 'leave', username: p, content: `${p} left`, timestamp: at });
        window.roomd.handle({ type: 'typing', users: [p] });
        window.roomd.handle({ type: 'error', code: 'x', message: p });
      }, payload);
      assert.equal(await page.textContent('#typing'), `${payload} is typing…`);
      assert.equal(await page.textContent('#notice p'), payload);
    }
    await assertHarmless(page);
    assert.equal(await page.evaluate(() => window.roomd.log.items.at(-1).content), `${payloads.at(-1)} left`);
  });
});

test('S1-38 as room name and description', { timeout: 120_000 }, async () => {
  const mark = unique('');
  const made = new Map();
  for (const payload of payloads) {
    const name = [...payload].length + mark.length <= 100 ? payload + mark : [...payload].slice(0, 100 - mark.length).join('') + mark;
    const room = await makeRoom(name, payload);
    made.set(String(room.id), [name, payload]);
  }
  await withPage(watch, async (page) => {
    await page.fill('#filter', mark);
    while (await page.$('[data-more=rooms]')) await page.click('[data-more=rooms]');
    const rows = await page.$$eval('#rooms [data-room]', (nodes) => nodes.map((n) =>
      [n.dataset.room, n.querySelector('.name').textContent, n.querySelector('.about').textContent]));
    assert.equal(rows.length, 200);
    for (const [id, name, about] of rows) assert.deepEqual([name, about], made.get(id));
    await assertHarmless(page);
    const [id, [name]] = [...made][1];
    await page.evaluate((r) => window.roomd.selectRoom(r), id);
    assert.equal(await page.textContent('#join-title'), `Join ${name}`);
    await page.fill('#join-name', 'Ada');
    await page.press('#join-name', 'Enter');
    await page.waitForSelector('#status[data-state=online]');
    assert.equal(await page.textContent('#room-name'), name);
    await assertHarmless(page);
  });
  for (const id of made.keys()) await api('DELETE', `/api/chat/rooms/${id}`);
});
