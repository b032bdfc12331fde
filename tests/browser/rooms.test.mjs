// SPDX-License-Identifier: MIT
// S1-06, S1-29, S1-33: loadRooms, renderRooms, createRoom, deleteRoom, selectRoom and the create flow.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { api, joinRoom, makeRoom, online, openPage, closePage, Peer, texts, unique, withPage } from './harness.mjs';

const roomOf = (room) => `#rooms [data-room="${room.id}"]`;

/** Long lists show their first part; the filter finds the rest. */
async function findRoom(page, room) {
  await page.evaluate((name) => {
    const filter = document.querySelector('#filter');
    filter.value = name;
    filter.dispatchEvent(new Event('input'));
  }, room.name);
  return page.waitForSelector(roomOf(room));
}

test('S1-29 loadRooms fetches the list and shows what others made', async () => {
  await withPage({}, async (page) => {
    const room = await makeRoom(unique('Late'), 'made elsewhere');
    const loaded = await page.evaluate(() => window.roomd.loadRooms());
    assert.ok(loaded.some((r) => String(r.id) === String(room.id)));
    const node = await findRoom(page, room);
    assert.equal(await node.$eval('.name', (n) => n.textContent), room.name);
    assert.equal(await node.$eval('.about', (n) => n.textContent), 'made elsewhere');
  });
});

test('S1-06 a room made by someone else appears without a reload', async () => {
  await withPage({ setup: (page) => page.clock.install() }, async (page) => {
    const room = await makeRoom();
    await page.evaluate((name) => {
      document.querySelector('#filter').value = name;
    }, room.name);
    await page.clock.runFor(16_000);
    await page.waitForSelector(roomOf(room));
  });
});

test('S1-07 the list shows how many people are in a room', async () => {
  const room = await makeRoom();
  const peers = [await Peer.join(room, unique('A')), await Peer.join(room, unique('B'))];
  await withPage({}, async (page) => {
    await findRoom(page, room);
    await page.waitForFunction((s) => window.roomd.loadRooms()
      .then(() => document.querySelector(`${s} .count`)?.textContent === '2'), roomOf(room));
  });
  for (const peer of peers) peer.close();
});

test('S1-29 renderRooms keeps nodes, marks the open room and filters', async () => {
  const room = await makeRoom();
  const other = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    const node = await findRoom(page, room);
    await page.evaluate(() => window.roomd.renderRooms());
    assert.ok(await node.evaluate((n) => n.isConnected), 'the node was kept');
    assert.equal(await node.getAttribute('aria-current'), 'true');
    assert.equal(await page.$(roomOf(other)), null, 'filtered out');
    await page.evaluate(() => {
      window.roomd.state.rooms = [];
      document.querySelector('#filter').value = '';
      window.roomd.renderRooms();
    });
    assert.equal(await page.textContent('#rooms-note'), 'No rooms yet. Make the first one.');
  });
});

test('S1-33 create flow: dialog, POST, list refreshed, new room selected', async () => {
  await withPage({}, async (page) => {
    const asked = [];
    page.on('request', (r) => r.url().includes('/api/') && asked.push(`${r.method()} ${new URL(r.url()).pathname}`));
    const name = unique('Fresh');
    await page.click('#new-room');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'create-name');
    await page.fill('#create-name', name);
    await page.fill('#create-about', 'by the dialog');
    await page.press('#create-about', 'Enter');
    await page.waitForSelector('#join-dialog[open]');
    assert.equal(await page.textContent('#join-title'), `Join ${name}`);
    assert.deepEqual(asked, ['POST /api/chat/rooms', 'GET /api/chat/rooms']);
    assert.equal(await page.$('#create-dialog[open]'), null);
    await page.fill('#join-name', unique('Maker'));
    await page.press('#join-name', 'Enter');
    await online(page);
    assert.equal(await page.textContent('#room-name'), name);
    assert.equal(await page.textContent('#room-about'), 'by the dialog');
    const made = (await api('GET', '/api/chat/rooms')).find((r) => r.name === name);
    await api('DELETE', `/api/chat/rooms/${made.id}`);
  });
});

test('S1-29 createRoom shows the reason when the server refuses', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await page.click('#new-room');
    await page.fill('#create-name', room.name);
    await page.press('#create-name', 'Enter');
    await page.waitForFunction(() => document.querySelector('#create-error').textContent);
    assert.ok(await page.$('#create-dialog[open]'), 'the dialog stays');
    assert.equal(await page.inputValue('#create-name'), room.name, 'the input is kept');
  });
});

test('S1-29 deleteRoom asks, deletes and tells those inside', async () => {
  const room = await makeRoom();
  const inside = await openPage();
  await joinRoom(inside, room, unique('Inside'));
  await withPage({}, async (page) => {
    const node = await findRoom(page, room);
    await node.hover();
    await page.click(`[data-delete="${room.id}"]`);
    assert.match(await page.textContent('#delete-title'), new RegExp(room.name));
    await page.click('#delete-dialog [data-close]');
    assert.ok((await api('GET', '/api/chat/rooms')).some((r) => r.id === room.id), 'kept on cancel');
    await page.click(`[data-delete="${room.id}"]`);
    await page.click('#delete-form [type=submit]');
    await page.waitForSelector(roomOf(room), { state: 'detached' });
    assert.match(await page.textContent('#notice p'), /was deleted/);
  });
  await inside.waitForSelector('#welcome:not([hidden])');
  assert.equal(await inside.textContent('#notice p'), `“${room.name}” was deleted.`);
  assert.ok(!(await texts(inside, '#rooms .name')).includes(room.name));
  await closePage(inside);
});

test('S1-29 selectRoom asks for a name once, then changes rooms at once', async () => {
  const [one, two] = [await makeRoom(), await makeRoom()];
  const name = unique('Walker');
  await withPage({}, async (page) => {
    await (await findRoom(page, one)).click();
    await page.waitForSelector('#join-dialog[open]');
    await page.press('#join-name', 'Escape');
    assert.ok(await page.isVisible('#welcome'));
    await joinRoom(page, one, name);
    await (await findRoom(page, two)).click();
    await page.waitForFunction((n) => document.querySelector('#room-name').textContent === n, two.name);
    await online(page);
    const watcher = await Peer.join(one, unique('Watcher'));
    const list = await watcher.wait((f) => f.type === 'users_list' && !f.users.includes(name));
    assert.ok(!list.users.includes(name), 'the first room was left');
    watcher.close();
  });
});

test('the name is remembered, and an address opens its room', async () => {
  const room = await makeRoom();
  const name = unique('Keeper');
  await withPage({}, async (page) => {
    await joinRoom(page, room, name);
    assert.equal(new URL(page.url()).hash, `#/room/${room.id}`);
    await page.reload();
    await online(page);
    assert.equal(await page.textContent('#room-name'), room.name);
    const other = await page.context().newPage();
    await other.goto(page.url());
    await other.waitForSelector('#join-dialog[open]');
    assert.equal(await other.inputValue('#join-name'), name);
  });
});
