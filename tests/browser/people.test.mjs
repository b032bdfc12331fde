// SPDX-License-Identifier: MIT
// S1-32: the list of people and the typing line.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeServer, joinRoom, makeRoom, Peer, PHONE, texts, unique, until, withPage } from './harness.mjs';

const typingIs = (page, text) => page.waitForFunction((t) => document.querySelector('#typing').textContent === t, text);

test('S1-32 the people panel lists everyone once, oneself first', async () => {
  const room = await makeRoom();
  const [ada, bob] = [unique('Ada'), unique('Bob')];
  const first = await Peer.join(room, bob);
  const second = await Peer.join(room, bob); // S1-12: two tabs, one name
  await withPage({}, async (page) => {
    await joinRoom(page, room, ada);
    await page.waitForFunction(() => document.querySelectorAll('#users li').length === 2);
    assert.deepEqual(await texts(page, '#users bdi'), [ada, bob]);
    assert.ok(await page.$('#users li.self'));
    assert.equal(await page.textContent('#people-count'), '2');
    await page.click('#people-toggle');
    assert.ok(await page.isHidden('#people'));
    assert.equal(await page.getAttribute('#people-toggle', 'aria-expanded'), 'false');
    first.close();
    second.close();
    await page.waitForFunction(() => document.querySelectorAll('#users li').length === 1, null, { timeout: 25_000 });
  });
});

test('S1-32 “Alice is typing…” appears and disappears', async () => {
  const room = await makeRoom();
  const alice = unique('Alice');
  const peer = await Peer.join(room, alice);
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Bob'));
    peer.send({ type: 'typing', is_typing: true });
    await typingIs(page, `${alice} is typing…`);
    peer.send({ type: 'typing', is_typing: false });
    await typingIs(page, '');
    peer.send({ type: 'typing', is_typing: true });
    await typingIs(page, `${alice} is typing…`);
    peer.say('done');
    await typingIs(page, '');
  });
  peer.close();
});

test('the typing line names one or two, never oneself', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await joinRoom(page, room, 'Zoe');
    const say = (users) => page.evaluate((u) => window.roomd.handle({ type: 'typing', users: u }), users);
    for (const [users, text] of [[['Zoe'], ''], [['Zoe', 'Alice'], 'Alice is typing…'],
      [['Alice', 'Bob'], 'Alice and Bob are typing…'], [['A', 'B', 'C'], 'Several people are typing…'], [[], '']]) {
      await say(users);
      assert.equal(await page.textContent('#typing'), text);
    }
  });
});

test('S1-32 typing is told at once, at most every 3 s, and ends after 1 s or by sending', async () => {
  const room = await makeRoom();
  let server;
  const setup = async (page) => {
    await page.clock.install();
    server = await fakeServer(page);
    server.accept(0);
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await page.clock.pauseAt(await page.evaluate(() => Date.now()) + 1000);
    const told = () => server.sockets[0].frames.filter((f) => f.type === 'typing').map((f) => f.is_typing);
    for (let i = 0; i < 8; i++) { // eight keys in 4 s
      await page.type('#input', 'x');
      await page.clock.runFor(500);
    }
    await until(() => told().length === 2);
    assert.deepEqual(told(), [true, true]);
    await page.clock.runFor(400);
    assert.deepEqual(told(), [true, true], 'not before 1 s has passed');
    await page.clock.runFor(200);
    await until(() => told().length === 3);
    assert.deepEqual(told(), [true, true, false]);
    await page.type('#input', 'y');
    await page.press('#input', 'Enter');
    await until(() => told().length === 5);
    assert.deepEqual(told().slice(3), [true, false]);
  });
});

test('on a phone rooms and people are drawers that Escape and the scrim close', async () => {
  const room = await makeRoom();
  await withPage({ viewport: PHONE, hasTouch: true }, async (page) => {
    await page.click('#menu');
    assert.ok(await page.isVisible('#sidebar'));
    assert.equal(await page.getAttribute('#menu', 'aria-expanded'), 'true');
    await page.keyboard.press('Escape');
    await page.waitForSelector('#sidebar', { state: 'hidden' });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'menu');
    await joinRoom(page, room, unique('Ada'));
    assert.ok(await page.isHidden('#people'));
    await page.click('#people-toggle');
    assert.ok(await page.isVisible('#people'));
    await page.mouse.click(10, 400);
    assert.ok(await page.isHidden('#people'));
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width, 'nothing sticks out');
  });
});
