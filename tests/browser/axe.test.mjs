// SPDX-License-Identifier: MIT
// S1-28: every part of the page is there, labelled, reachable by keyboard, and passes axe.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { DESK, fakeServer, joinRoom, makeRoom, online, PHONE, row, unique, withPage } from './harness.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function check(page, where) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const found = violations.map((v) => `${where}: ${v.id} (${v.impact}): ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`);
  assert.deepEqual(found, []);
}

for (const colorScheme of ['light', 'dark']) {
  for (const [device, viewport] of [['desk', DESK], ['phone', PHONE]]) {
    test(`S1-28 axe finds nothing: ${device}, ${colorScheme}`, { timeout: 120_000 }, async () => {
      const room = await makeRoom(unique('Axe'), 'a room to look at');
      let server;
      const setup = async (page) => {
        server = await fakeServer(page);
        server.accept(3);
        const now = Date.now();
        const line = (rev, name, text) => row(room, rev, name, text, { created_at: new Date(now - 600_000 + rev * 1000).toISOString() });
        await page.route(/\/messages/, (route) => route.fulfill({
          json: [line(1, 'Bob', 'hello'), line(2, 'Ada', 'hi, see https://example.org/'), line(3, 'Cy', 'good morning')],
        }));
      };
      await withPage({ viewport, colorScheme, setup, hasTouch: device === 'phone', init: () => { Math.random = () => 0.9; } }, async (page) => {
        await check(page, 'welcome');
        if (device === 'phone') {
          await page.click('#menu');
          await check(page, 'rooms drawer');
          await page.keyboard.press('Escape');
        }
        await page.evaluate(() => document.querySelector('#new-room').click());
        await page.waitForSelector('#create-dialog[open]');
        await check(page, 'create dialog');
        await page.keyboard.press('Escape');
        await page.evaluate((id) => window.roomd.selectRoom(id), room.id);
        await page.waitForSelector('#join-dialog[open]');
        await check(page, 'join dialog');
        await page.keyboard.press('Escape');
        await joinRoom(page, room, 'Ada');
        const names = ['Ada', ...Array.from({ length: 30 }, (_, i) => `Person ${i}`)]; // every tone
        server.sockets[0].send({ type: 'users_list', users: names });
        server.sockets[0].send({ type: 'system', event: 'join', username: 'Bob', content: 'Bob joined', timestamp: new Date().toISOString() });
        server.sockets[0].send({ type: 'typing', users: ['Bob'] });
        for (const [i, name] of names.entries()) server.sockets[0].send({ type: 'message', ...row(room, 10 + i, name, 'x', { created_at: new Date().toISOString() }) });
        await page.waitForFunction(() => document.querySelectorAll('.msg').length > 10);
        await check(page, 'room');
        if (device === 'phone') {
          await page.click('#people-toggle');
          await check(page, 'people drawer');
          await page.keyboard.press('Escape');
        }
        await page.fill('#input', 'this will be refused');
        await page.press('#input', 'Enter');
        await page.waitForSelector('.msg.pending');
        await check(page, 'pending');
        await page.evaluate(() => {
          const [item] = window.roomd.state.outbox;
          window.roomd.handle({ type: 'error', code: 'filtered', message: 'No.', client_id: item.client_id });
          window.roomd.handle({ type: 'error', code: 'odd', message: 'A notice.' });
        });
        await page.waitForSelector('.msg.refused');
        await page.evaluate(() => { window.roomd.state.reconnectAttempts = 3; });
        server.sockets[0].close(1011, '');
        await page.waitForSelector('#link:not([hidden])');
        await check(page, 'refused and reconnecting');
        await page.evaluate((id) => {
          document.querySelector(`[data-delete="${id}"]`)?.click();
        }, room.id);
        if (await page.$('#delete-dialog[open]')) await check(page, 'delete dialog');
      });
    });
  }
}

test('S1-28 every element of the page is present and named', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    const roles = async (list) => {
      for (const [role, name] of list) {
        assert.equal(await page.getByRole(role, { name, exact: true }).count(), 1, `${role} ${name}`);
      }
    };
    await roles([['banner', ''], ['navigation', 'Rooms'], ['main', ''], ['heading', 'roomd'], ['button', 'New room'], ['button', 'Make a room']]
      .filter(([, name]) => name));
    assert.equal(await page.getByRole('status').count(), 1, 'connection status');
    assert.equal(await page.getByRole('main').count(), 1);
    await page.click('#new-room');
    await roles([['dialog', 'Make a room'], ['textbox', 'Name'], ['button', 'Make the room']]);
    await page.keyboard.press('Escape');
    await page.evaluate((id) => window.roomd.selectRoom(id), room.id);
    await roles([['dialog', `Join ${room.name}`], ['textbox', 'Your name'], ['button', 'Join the room']]);
    await page.keyboard.press('Escape');
    await joinRoom(page, room, unique('Ada'));
    await roles([['log', 'Messages'], ['textbox', 'Message'], ['button', 'Leave'], ['button', 'Send'],
      ['complementary', 'People here'], ['heading', room.name]]);
  });
});

test('S1-28 the whole way by keyboard: make a room, join, write, leave', async () => {
  const name = unique('Keys');
  await withPage({}, async (page) => {
    const tabTo = async (id) => {
      for (let i = 0; i < 80; i++) {
        await page.keyboard.press('Tab');
        const at = await page.evaluate(() => document.activeElement.id);
        if (at === id) return page.evaluate(() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
          return `${outlineStyle} ${outlineWidth}`;
        });
      }
      throw new Error(`Tab does not reach ${id}`);
    };
    assert.equal(await tabTo('new-room'), 'solid 3px', 'focus is visible');
    await page.keyboard.press('Enter');
    await page.keyboard.type(name);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#join-dialog[open]');
    await page.keyboard.type(unique('Typist'));
    await page.keyboard.press('Enter');
    await online(page);
    await page.waitForFunction(() => document.activeElement.id === 'input');
    await page.keyboard.type('no mouse');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.msg[data-id]');
    await page.keyboard.press('Shift+Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'messages', 'the log can be scrolled by keys');
    await tabTo('leave');
    await page.keyboard.press('Enter');
    assert.ok(await page.isVisible('#welcome'));
    await page.evaluate((n) => {
      const room = window.roomd.state.rooms.find((r) => r.name === n);
      return window.roomd.deleteRoom(room.id);
    }, name);
  });
});

test('the colour scheme follows the system until the user chooses', async () => {
  await withPage({ colorScheme: 'dark' }, async (page) => {
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await ground();
    await page.click('#theme');
    assert.equal(await page.getAttribute('#theme', 'aria-label'), 'Colours: light');
    const light = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    assert.equal(await ground(), light, 'remembered');
    await page.click('#theme');
    assert.equal(await ground(), dark);
    await page.click('#theme');
    assert.equal(await page.getAttribute('#theme', 'aria-label'), 'Colours: as the system');
    await page.emulateMedia({ colorScheme: 'light' });
    assert.equal(await ground(), light);
  });
});
