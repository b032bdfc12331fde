// SPDX-License-Identifier: MIT
// S1-30, S1-34, S1-36: connect, handle, join, leave, and the flows they make.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeServer, joinRoom, makeRoom, online, Peer, row, shown, texts, unique, until, withPage, write } from './harness.mjs';

test('S1-30 connect opens the socket of the room and names itself first', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    const sent = [];
    page.on('websocket', (ws) => {
      sent.push(new URL(ws.url()).pathname);
      ws.on('framesent', ({ payload }) => sent.push(payload));
    });
    const name = unique('Ada');
    await joinRoom(page, room, name);
    assert.equal(sent[0], `/ws/chat/${room.id}`);
    assert.deepEqual(JSON.parse(sent[1]), { username: name });
  });
});

test('S1-30 handle acts on known frames and leaves others alone', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    await page.evaluate(() => {
      window.roomd.handle({ type: 'constructor' });
      window.roomd.handle({ type: 'from the future', content: 'x' });
      window.roomd.handle(null);
      window.roomd.handle({ type: 'users_list', users: ['Zoe'] });
      window.roomd.handle({ type: 'system', event: 'join', username: 'Zoe', content: 'Zoe joined', timestamp: new Date().toISOString() });
      window.roomd.handle({ type: 'error', code: 'odd', message: 'Something odd.' });
    });
    assert.deepEqual(await texts(page, '#users bdi'), ['Zoe']);
    await page.waitForFunction(() => document.querySelector('.sys')?.textContent.includes('Zoe joined'));
    assert.equal(await page.textContent('#notice p'), 'Something odd.');
  });
});

test('S1-34 join flow: nothing can be written before the confirmation', async () => {
  const room = await makeRoom();
  let server;
  await withPage({ setup: async (page) => { server = await fakeServer(page); } }, async (page) => {
    await page.evaluate((id) => window.roomd.selectRoom(id), room.id);
    await page.fill('#join-name', 'Ada');
    await page.press('#join-name', 'Enter');
    const socket = await until(() => server.sockets[0]?.frames.length && server.sockets[0], 'the first frame');
    assert.deepEqual(socket.frames, [{ username: 'Ada' }]);
    assert.ok(await page.isDisabled('#input'));
    assert.equal(await page.getAttribute('#status', 'data-state'), 'connecting');
    socket.send({ type: 'connected', room_id: room.id, username: 'Ada', rev: 0 });
    await online(page);
    assert.ok(await page.isEnabled('#input'));
  });
});

test('S1-34 history and live stream meet without gap or double', async () => {
  const room = await makeRoom();
  const history = Array.from({ length: 100 }, (_, i) => row(room, i + 1, 'Bob', `line ${i + 1}`));
  let server;
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const setup = async (page) => {
    server = await fakeServer(page);
    server.accept(95); // five more were written while the history was read
    await page.route(/\/messages/, async (route) => {
      await held;
      return route.fulfill({ json: route.request().url().includes('before') ? [] : history });
    });
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    for (let rev = 96; rev <= 103; rev++) server.sockets[0].send({ type: 'message', ...row(room, rev, 'Bob', `line ${rev}`) });
    release();
    await page.waitForFunction(() => window.roomd.log.items.length === 103);
    const revs = await page.evaluate(() => window.roomd.log.items.map((i) => i.rev));
    assert.deepEqual(revs, Array.from({ length: 103 }, (_, i) => i + 1));
    await shown(page, 'line 103');
    assert.equal(await page.$$eval('.msg', (n) => new Set(n.map((m) => m.dataset.id)).size - n.length), 0);
  });
});

test('S1-34 joining under load gives every message once', async () => {
  const room = await makeRoom();
  const peer = await Peer.join(room, unique('Talker'));
  const said = [];
  let talking = true;
  const talk = (async () => {
    while (talking) said.push((await peer.sayFor(`n${said.length}`)).content);
  })();
  await until(() => said.length > 3);
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    const mark = said.length;
    await until(() => said.length > mark + 5);
    talking = false;
    await talk;
    await shown(page, said.at(-1));
    const seen = await page.evaluate(() => window.roomd.log.items.filter((i) => i.id).map((i) => i.content));
    assert.deepEqual(seen, said.slice(-seen.length));
    assert.ok(seen.length >= Math.min(said.length, 100), `${seen.length} of ${said.length}`);
  });
  peer.close();
});

test('a name the server refuses brings the question back with the reason', async () => {
  const room = await makeRoom();
  let server;
  const setup = async (page) => {
    server = await fakeServer(page);
    server.onFrame = (frame, socket) => {
      socket.send({ type: 'error', code: 'name_taken', message: 'This name is taken.' });
      socket.close(4403, 'name_taken');
    };
  };
  await withPage({ setup }, async (page) => {
    await page.evaluate((id) => window.roomd.selectRoom(id), room.id);
    await page.fill('#join-name', 'Admin');
    await page.press('#join-name', 'Enter');
    await page.waitForFunction(() => document.querySelector('#join-error').textContent === 'This name is taken.');
    assert.ok(await page.$('#join-dialog[open]'));
    assert.equal(server.sockets.length, 1, 'no reconnect');
  });
});

test('S1-36 leave flow: the others are told, the leaver sees the welcome', async () => {
  const room = await makeRoom();
  const name = unique('Leaver');
  const watcher = await Peer.join(room, unique('Watcher'));
  await withPage({}, async (page) => {
    await joinRoom(page, room, name);
    await watcher.wait((f) => f.type === 'system' && f.content === `${name} joined`);
    await write(page, 'bye');
    await shown(page, 'bye');
    await page.click('#leave');
    assert.ok(await page.isVisible('#welcome'));
    assert.ok(await page.isHidden('#chat'));
    assert.equal(await page.getAttribute('#status', 'data-state'), 'idle');
    assert.equal(await page.evaluate(() => window.roomd.socket), null);
    await watcher.wait((f) => f.type === 'system' && f.content === `${name} left`, 25_000);
    const list = await watcher.wait((f) => f.type === 'users_list' && !f.users.includes(name));
    assert.equal(list.users.length, 1);
  });
  watcher.close();
});

test('S1-13 the others see who joined and left, the joiner does not see itself', async () => {
  const room = await makeRoom();
  const [ada, bob] = [unique('Ada'), unique('Bob')];
  await withPage({}, async (page) => {
    await joinRoom(page, room, ada);
    const peer = await Peer.join(room, bob);
    await page.waitForFunction((t) => [...document.querySelectorAll('.sys')].some((n) => n.textContent.includes(t)), `${bob} joined`);
    peer.close();
    await page.waitForFunction((t) => [...document.querySelectorAll('.sys')].some((n) => n.textContent.includes(t)), `${bob} left`, { timeout: 25_000 });
    assert.ok(!(await texts(page, '.sys')).some((t) => t.includes(`${ada} joined`)));
  });
});
