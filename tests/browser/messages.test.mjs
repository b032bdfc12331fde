// SPDX-License-Identifier: MIT
// S1-31, S1-35: loading history, rendering, adding and sending messages.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeServer, joinRoom, makeRoom, Peer, row, shown, texts, unique, until, withPage, write } from './harness.mjs';

const add = (page, ...rows) => page.evaluate((list) => list.forEach((r) => window.roomd.addMessage(r)), rows);
const drawn = (page) => page.evaluate(() => new Promise((done) => {
  requestAnimationFrame(() => requestAnimationFrame(done));
}));

test('S1-31 loadHistory shows the latest page, then older ones on scrolling up', async () => {
  const room = await makeRoom();
  const peers = await Promise.all(Array.from({ length: 6 }, (_, i) => Peer.join(room, unique(`P${i}`))));
  await Promise.all(peers.map(async (peer, i) => {
    for (let n = 0; n < 25; n++) await peer.sayFor(`m${i}-${n}`);
  }));
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Reader'));
    await page.waitForFunction(() => window.roomd.log.items.filter((i) => i.id).length >= 100);
    const first = await page.evaluate(() => window.roomd.log.items.filter((i) => i.id).length);
    assert.equal(first, 100);
    assert.ok(await page.evaluate(() => {
      const box = document.querySelector('#messages');
      return box.scrollTop + box.clientHeight >= box.scrollHeight - 2;
    }), 'the view begins at the end');
    await page.evaluate(() => { document.querySelector('#messages').scrollTop = 0; });
    await page.waitForFunction(() => window.roomd.log.items.filter((i) => i.id).length === 150);
    await page.evaluate(() => { document.querySelector('#messages').scrollTop = 0; });
    await page.waitForFunction(() => window.roomd.log.complete);
    assert.match(await page.textContent('#older'), /begins/);
    const seen = await page.evaluate(() => window.roomd.log.items.filter((i) => i.id).map((i) => i.content));
    assert.equal(new Set(seen).size, 150);
  });
  for (const peer of peers) peer.close();
});

test('loading older messages does not move what is being read', async () => {
  const room = await makeRoom();
  const page1 = Array.from({ length: 100 }, (_, i) => row(room, 101 + i, 'Bob', `new ${i}\n${'word '.repeat(i % 40)}`));
  const page0 = Array.from({ length: 100 }, (_, i) => row(room, 1 + i, 'Bob', `old ${i}\n${'word '.repeat((i * 7) % 60)}`));
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const setup = async (page) => {
    (await fakeServer(page)).accept(200);
    await page.route(/\/messages/, async (route) => {
      if (!route.request().url().includes('before')) return route.fulfill({ json: page1 });
      await held;
      return route.fulfill({ json: page0 });
    });
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await shown(page, page1[99].content);
    await page.evaluate(() => { document.querySelector('#messages').scrollTop = 300; });
    await drawn(page);
    const look = () => page.evaluate(() => {
      const box = document.querySelector('#messages').getBoundingClientRect();
      const first = [...document.querySelectorAll('.msg')].find((n) => n.getBoundingClientRect().bottom > box.top);
      return { id: first.dataset.id, top: Math.round(first.getBoundingClientRect().top) };
    });
    const before = await look();
    release();
    await page.waitForFunction(() => window.roomd.log.items.length === 200);
    await drawn(page);
    const after = await look();
    assert.equal(after.id, before.id);
    assert.ok(Math.abs(after.top - before.top) <= 2, `${before.top} and ${after.top}`);
  });
});

test('history that fails can be asked for again', async () => {
  const room = await makeRoom();
  let broken = true;
  const setup = async (page) => {
    (await fakeServer(page)).accept(1);
    await page.route(/\/messages/, (route) => (broken ? route.fulfill({ status: 503, json: { detail: 'Database down.' } })
      : route.fulfill({ json: route.request().url().includes('before') ? [] : [row(room, 1, 'Bob', 'here I am')] })));
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    const again = await page.waitForSelector('#older button');
    broken = false;
    await again.click();
    await shown(page, 'here I am');
  });
});

test('S1-31 messages are grouped by author and day, one\'s own stand apart', async () => {
  const room = await makeRoom();
  const at = (day, h, m) => ({ created_at: new Date(2026, 2, day, h, m).toISOString() });
  await withPage({}, async (page) => {
    await joinRoom(page, room, 'Ada');
    await add(page,
      row(room, 1, 'Bob', 'a', at(3, 9, 0)), row(room, 2, 'Bob', 'b', at(3, 9, 1)), row(room, 3, 'Cy', 'c', at(3, 9, 2)),
      row(room, 4, 'Cy', 'd', at(3, 9, 30)), row(room, 5, 'Ada', 'e', at(4, 9, 30)));
    await shown(page, 'e');
    const seen = await page.$$eval('.msg', (nodes) => nodes.map((n) => [n.querySelector('.text').textContent,
      n.classList.contains('head'), n.classList.contains('newday'), n.classList.contains('own')]));
    assert.deepEqual(seen, [['a', true, true, false], ['b', false, false, false], ['c', true, false, false],
      ['d', true, false, false], ['e', true, true, true]]);
    const time = await page.$('.msg time');
    assert.equal(await time.getAttribute('datetime'), new Date(2026, 2, 3, 9, 0).toISOString());
    assert.match(await time.getAttribute('title'), /2026/, 'the absolute time');
  });
});

test('recent times are relative and grow', async () => {
  const room = await makeRoom();
  await withPage({ setup: (page) => page.clock.install() }, async (page) => {
    await joinRoom(page, room, 'Ada');
    const now = await page.evaluate(() => Date.now());
    await add(page, row(room, 1, 'Bob', 'fresh', { created_at: new Date(now).toISOString() }));
    await page.clock.runFor(100);
    assert.equal(await page.textContent('.msg time'), 'just now');
    await page.clock.runFor(155_000);
    assert.equal(await page.textContent('.msg time'), '2 min ago');
  });
});

test('S1-31 a message is placed by its revision, and only once', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, 'Ada');
    await add(page, row(room, 3, 'Bob', 'three'), row(room, 1, 'Bob', 'one'), row(room, 3, 'Bob', 'three'), row(room, 2, 'Bob', 'two'));
    const { rev, seq, ...old } = row(room, 2, 'Bob', 'two'); // as history gives it: the id carries the revision
    await add(page, old);
    await shown(page, 'three');
    assert.deepEqual(await texts(page, '.msg .text'), ['one', 'two', 'three']);
  });
});

test('S1-35 send flow: shown at once, saved, broadcast, one node for one message', async () => {
  const room = await makeRoom();
  const name = unique('Ada');
  const peer = await Peer.join(room, unique('Bob'));
  await withPage({}, async (page) => {
    await joinRoom(page, room, name);
    await page.type('#input', 'hello there');
    await peer.wait((f) => f.type === 'typing' && f.users.includes(name));
    await page.press('#input', 'Enter');
    assert.equal(await page.inputValue('#input'), '');
    const frame = await peer.wait((f) => f.type === 'message');
    assert.equal(frame.content, 'hello there');
    assert.match(frame.client_id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    await shown(page, 'hello there');
    assert.equal(await page.$$eval('.msg', (n) => n.length), 1);
    assert.equal(await page.getAttribute('.msg', 'data-id'), String(frame.id));
    assert.ok(await page.$('.msg.own:not(.pending)'));
    await page.fill('#input', 'by the button');
    await page.click('#send');
    await shown(page, 'by the button');
    const history = await page.evaluate((id) => fetch(`/api/chat/rooms/${id}/messages`).then((r) => r.json()), room.id);
    assert.deepEqual(history.map((m) => m.content), ['hello there', 'by the button']);
    assert.equal(await page.evaluate(() => window.roomd.state.outbox.length), 0);
    assert.equal(await page.evaluate(() => sessionStorage.getItem('roomd.outbox')), null);
  });
  peer.close();
});

test('a pending message becomes the final one in the same node', async () => {
  const room = await makeRoom();
  let server;
  const setup = async (page) => {
    server = await fakeServer(page);
    server.accept(0);
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await write(page, 'wait for it');
    const node = await page.waitForSelector('.msg.pending');
    const socket = server.sockets[0];
    const sent = await until(() => socket.frames.find((f) => f.type === 'message'));
    socket.send({ type: 'message', ...row(room, 1, 'Ada', 'wait for it', { client_id: sent.client_id }) });
    await shown(page, 'wait for it');
    assert.ok(await node.evaluate((n) => n.isConnected && !n.classList.contains('pending')));
    socket.send({ type: 'message', ...row(room, 1, 'Ada', 'wait for it', { client_id: sent.client_id }) });
    socket.send({ type: 'message', ...row(room, 2, 'Bob', 'after', {}) });
    await shown(page, 'after');
    assert.deepEqual(await texts(page, '.msg .text'), ['wait for it', 'after']);
  });
});

test('Enter sends, Shift+Enter breaks the line, an empty message is not sent', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    await page.press('#input', 'Enter');
    await page.type('#input', '   ');
    assert.ok(await page.isDisabled('#send'));
    await page.fill('#input', '');
    const low = await page.$eval('#input', (n) => n.clientHeight);
    await page.type('#input', 'one');
    for (let i = 0; i < 3; i++) await page.press('#input', 'Shift+Enter');
    await page.type('#input', 'two');
    assert.ok(await page.$eval('#input', (n) => n.clientHeight) > low, 'the field grows');
    await page.press('#input', 'Enter');
    await shown(page, 'one\n\n\ntwo');
    assert.equal(await page.$eval('#input', (n) => n.clientHeight), low);
    assert.equal(await page.$$eval('.msg', (n) => n.length), 1);
  });
});

test('a message over the limit is counted and kept in the field', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    await page.fill('#input', 'x'.repeat(16_001));
    assert.match(await page.textContent('#input-hint'), /16,001 of 16,000/);
    assert.ok(await page.isDisabled('#send'));
    const text = '🎈'.repeat(15_999) + 'x'; // 16,000 characters, near 64 KB
    await page.fill('#input', text);
    await page.press('#input', 'Enter');
    await shown(page, text);
  });
});

test('addresses become links, and only http ones', async () => {
  await withPage({}, async (page) => {
    const links = await page.evaluate(() => ['see https://a.example/x?y=1&z=2.', '(http://b.example/p_(q))', 'javascript:alert(1)',
      'https://', 'HTTPS://C.example', 'http://a.b"onmouseover=x', 'data:text/html,x https://ok.example/ä, then'].map((t) =>
      window.roomd.linkify(t).map((p) => (p.nodeType ? [p.getAttribute('href'), p.rel, p.target] : p))));
    const a = (href) => [href, 'noopener noreferrer nofollow', '_blank'];
    assert.deepEqual(links, [
      ['see ', a('https://a.example/x?y=1&z=2'), '.'],
      ['(', a('http://b.example/p_(q)'), ')'],
      ['javascript:alert(1)'],
      ['https://'],
      ['', a('HTTPS://C.example'), ''],
      ['', a('http://a.b'), '"onmouseover=x'],
      ['data:text/html,x ', a('https://ok.example/ä'), ', then'],
    ]);
  });
});

test('new messages do not pull the reader down; a button leads to them', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, 'Ada');
    await page.waitForFunction(() => window.roomd.session.loaded);
    await add(page, ...Array.from({ length: 80 }, (_, i) => row(room, i + 1, 'Bob', `line ${i}`)));
    await shown(page, 'line 79');
    await page.evaluate(() => { document.querySelector('#messages').scrollTop = 200; });
    await page.waitForSelector('#jump:not([hidden])');
    const top = await page.$eval('#messages', (n) => n.scrollTop);
    await page.evaluate((r) => window.roomd.handle(r), { type: 'message', ...row(room, 81, 'Bob', 'news') });
    await page.waitForFunction(() => document.querySelector('#jump').textContent === '1 new message');
    assert.equal(await page.$eval('#messages', (n) => n.scrollTop), top);
    await page.click('#jump');
    await shown(page, 'news');
    await page.waitForSelector('#jump', { state: 'hidden' });
  });
});
