// SPDX-License-Identifier: MIT
// S1-54 and the page's promise: what was written is sent once, whatever happens to the connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeServer, joinRoom, makeRoom, online, Peer, row, shown, texts, unique, until, withPage, write } from './harness.mjs';

const stateIs = (page, value) => page.waitForSelector(`#status[data-state=${value}]`);
const drop = (page) => page.evaluate(() => window.roomd.socket.close());

/** A page on a played server, with a clock that only the test moves and jitter at its middle. */
async function withPlayed(fn, { rev = 0, history = [] } = {}) {
  const room = await makeRoom();
  let server;
  const setup = async (page) => {
    await page.clock.install();
    server = await fakeServer(page);
    server.accept(rev);
    await page.route(/\/messages/, (route) => route.fulfill({ json: route.request().url().includes('before') ? [] : history.map((r) => r(room)) }));
  };
  await withPage({ setup, init: () => { Math.random = () => 0.5; } }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await page.waitForFunction(() => window.roomd.session.loaded);
    await page.clock.pauseAt(await page.evaluate(() => Date.now()) + 1000);
    await fn(page, server, room);
  });
}

test('after a loss the page joins again and misses nothing', async () => {
  const room = await makeRoom();
  const peer = await Peer.join(room, unique('Bob'));
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    await peer.sayFor('before');
    await shown(page, 'before');
    await page.evaluate(() => { Math.random = () => 0.5; });
    await drop(page);
    await stateIs(page, 'waiting');
    await peer.sayFor('while away 1');
    await peer.sayFor('while away 2');
    await online(page);
    await shown(page, 'while away 2');
    await peer.sayFor('after');
    await shown(page, 'after');
    assert.deepEqual(await texts(page, '.msg .text'), ['before', 'while away 1', 'while away 2', 'after']);
    assert.equal(await page.evaluate(() => window.roomd.reconnectAttempts), 0);
  });
  peer.close();
});

test('what is written without a connection is shown, kept and sent once', async () => {
  const room = await makeRoom();
  const name = unique('Ada');
  const peer = await Peer.join(room, unique('Bob'));
  await withPage({}, async (page) => {
    await joinRoom(page, room, name);
    await page.evaluate(() => { Math.random = () => 0.99; });
    await drop(page);
    await stateIs(page, 'waiting');
    assert.ok(await page.isEnabled('#input'));
    await write(page, 'first');
    await write(page, 'second');
    assert.equal(await page.$$eval('.msg.pending', (n) => n.length), 2);
    assert.match(await page.textContent('.state'), /Will be sent/);
    await online(page);
    await shown(page, 'second');
    await peer.wait((f) => f.content === 'second');
    assert.deepEqual(peer.frames.filter((f) => f.type === 'message').map((f) => f.content), ['first', 'second']);
  });
  peer.close();
});

test('a hundred messages through thirty losses arrive once and in order', async () => {
  const room = await makeRoom();
  const peer = await Peer.join(room, unique('Bob'));
  const wanted = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  await withPage({ init: () => { Math.random = () => 0.02; } }, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    for (let i = 0; i < 100; i++) {
      await page.evaluate((t) => window.roomd.send(t), wanted[i]);
      if (i % 10 < 3) await page.evaluate(() => window.roomd.socket?.close());
    }
    await page.waitForFunction(() => window.roomd.state.outbox.length === 0, null, { timeout: 90_000 });
    await shown(page, 'line 99');
    const seen = await page.evaluate(() => window.roomd.log.items.filter((i) => i.id).map((i) => i.content));
    assert.deepEqual(seen, wanted);
    await peer.wait((f) => f.content === 'line 99');
    assert.deepEqual(peer.frames.filter((f) => f.type === 'message').map((f) => f.content), wanted);
  });
  peer.close();
});

test('offline and online again: the page reconnects at once', async () => {
  const room = await makeRoom();
  await withPage({ init: () => { Math.random = () => 0.999; } }, async (page) => {
    await joinRoom(page, room, unique('Ada'));
    await page.context().setOffline(true);
    await page.evaluate(() => {
      window.roomd.state.reconnectAttempts = 4; // the next timer is 16 s away
      window.roomd.socket?.close();
    });
    await stateIs(page, 'waiting');
    await write(page, 'from the tunnel');
    const began = Date.now();
    await page.context().setOffline(false);
    await online(page);
    assert.ok(Date.now() - began < 8_000);
    await shown(page, 'from the tunnel');
  });
});

test('the outbox survives a reload of the page and is sent under the same client_id', async () => {
  const room = await makeRoom();
  let server;
  const setup = async (page) => {
    server = await fakeServer(page);
    server.accept(0);
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await write(page, 'do not lose me');
    const first = await until(() => server.sockets[0].frames.find((f) => f.type === 'message'));
    await page.reload();
    await online(page);
    const again = await until(() => server.sockets[1]?.frames.find((f) => f.type === 'message'));
    assert.deepEqual(again, first);
    server.sockets[1].send({ type: 'message', ...row(room, 1, 'Ada', 'do not lose me', { client_id: first.client_id }) });
    await shown(page, 'do not lose me');
    assert.equal(await page.$$eval('.msg', (n) => n.length), 1);
  });
});

test('resend and resume: same client_id, revision of the last message, copies ignored', async () => {
  await withPlayed(async (page, server, room) => {
    server.sockets[0].send({ type: 'message', ...row(room, 7, 'Bob', 'seven') });
    await page.clock.runFor(6_000);
    await write(page, 'mine');
    const first = await until(() => server.sockets[0].frames.find((f) => f.type === 'message'));
    server.sockets[0].close(4480, 'too slow');
    await page.clock.runFor(600);
    const frames = await until(() => server.sockets[1]?.frames.length >= 3 && server.sockets[1].frames);
    assert.deepEqual(frames, [{ username: 'Ada' }, { type: 'resume', rev: 7 }, first]);
    server.sockets[1].send({ type: 'message', ...row(room, 7, 'Bob', 'seven') });
    server.sockets[1].send({ type: 'message', ...row(room, 8, 'Ada', 'mine', { client_id: first.client_id }) });
    await page.waitForFunction(() => window.roomd.state.outbox.length === 0);
    await page.clock.runFor(100);
    assert.deepEqual(await texts(page, '.msg .text'), ['seven', 'mine']);
  }, { rev: 6 });
});

test('a replay cut short starts again where it began', async () => {
  await withPlayed(async (page, server, room) => {
    server.accept(30); // twenty more exist when it comes back
    server.sockets[0].close(1012, '');
    await page.clock.runFor(600);
    const second = await until(() => server.sockets[1]?.frames.length === 2 && server.sockets[1]);
    assert.deepEqual(second.frames[1], { type: 'resume', rev: 10 });
    second.send({ type: 'message', ...row(room, 31, 'Bob', 'live, ahead of the replay') });
    second.send({ type: 'message', ...row(room, 11, 'Bob', 'eleven') });
    await page.waitForFunction(() => window.roomd.log.items.length === 2);
    second.close(1012, '');
    await page.clock.runFor(600);
    const third = await until(() => server.sockets[2]?.frames.length === 2 && server.sockets[2]);
    assert.deepEqual(third.frames[1], { type: 'resume', rev: 10 });
  }, { rev: 10 });
});

test('a gap is filled from history', async () => {
  await withPlayed(async (page, server, room) => {
    await page.waitForFunction(() => window.roomd.log.items.length === 1);
    const rows = Array.from({ length: 250 }, (_, i) => row(room, i + 2, 'Bob', `missed ${i}`));
    await page.unroute(/\/messages/);
    await page.route(/\/messages/, (route) => {
      const before = new URL(route.request().url()).searchParams.get('before');
      const older = [row(room, 1, 'Bob', 'one'), ...rows].filter((r) => !before || BigInt(r.id) < BigInt(before));
      return route.fulfill({ json: older.slice(-100) });
    });
    server.sockets[0].send({ type: 'gap', first: 200 });
    await page.waitForFunction(() => window.roomd.log.items.length === 251);
    assert.deepEqual(await page.evaluate(() => window.roomd.log.items.map((i) => i.rev)), Array.from({ length: 251 }, (_, i) => i + 1));
  }, { rev: 1, history: [(room) => row(room, 1, 'Bob', 'one')] });
});

test('a message number that never came is read from history, a deleted one only once', async () => {
  await withPlayed(async (page, server, room) => {
    const asked = [];
    const stored = [1, 2, 3, 5, 6].map((n) => row(room, n, 'Bob', `line ${n}`)); // 4 was deleted
    await page.unroute(/\/messages/);
    await page.route(/\/messages/, (route) => {
      asked.push(route.request().url());
      return route.fulfill({ json: stored });
    });
    for (const n of [2, 5, 6]) server.sockets[0].send({ type: 'message', ...row(room, n, 'Bob', `line ${n}`) });
    await page.waitForFunction(() => window.roomd.log.items.length === 4);
    await page.clock.runFor(1_500);
    await page.waitForFunction(() => window.roomd.log.items.length === 5);
    assert.deepEqual(await page.evaluate(() => window.roomd.log.items.map((i) => i.rev)), [1, 2, 3, 5, 6]);
    server.sockets[0].send({ type: 'message', ...row(room, 7, 'Bob', 'line 7') });
    await page.clock.runFor(5_000);
    assert.equal(asked.length, 1);
  }, { rev: 1, history: [(room) => row(room, 1, 'Bob', 'line 1')] });
});

test('a refused message says why, can be sent again or thrown away', async () => {
  await withPlayed(async (page, server, room) => {
    for (const text of ['bad words', 'worse words']) await write(page, text);
    const [one, two] = await until(() => {
      const sent = server.sockets[0].frames.filter((f) => f.type === 'message');
      return sent.length === 2 && sent;
    });
    for (const { client_id } of [one, two]) {
      server.sockets[0].send({ type: 'error', code: 'filtered', message: 'This room is polite.', client_id });
    }
    await page.clock.runFor(100);
    assert.equal(await page.$$eval('.msg.refused', (n) => n.length), 2);
    assert.match(await page.textContent('.refused .state'), /Not sent: This room is polite\./);
    await page.click('.refused [data-act=retry]');
    const again = await until(() => server.sockets[0].frames.filter((f) => f.client_id === one.client_id)[1]);
    assert.deepEqual(again, one);
    server.sockets[0].send({ type: 'message', ...row(room, 1, 'Ada', 'bad words', { client_id: one.client_id }) });
    await page.waitForFunction(() => window.roomd.state.outbox.length === 1);
    await page.clock.runFor(100);
    await page.click('.refused [data-act=discard]');
    await page.clock.runFor(100);
    assert.deepEqual(await texts(page, '.msg .text'), ['bad words']);
  });
});

test('an error with a retry time makes the page wait, not the user', async () => {
  await withPlayed(async (page, server) => {
    await write(page, 'too fast');
    const sent = await until(() => server.sockets[0].frames.find((f) => f.type === 'message'));
    server.sockets[0].send({ type: 'error', code: 'rate_limited', message: 'Slow down.', retry_after: 3, client_id: sent.client_id });
    await page.waitForFunction(() => window.roomd.state.outbox[0].state === 'waiting');
    await page.clock.runFor(2_500);
    assert.equal(server.sockets[0].frames.filter((f) => f.type === 'message').length, 1);
    await page.clock.runFor(1_000);
    await until(() => server.sockets[0].frames.filter((f) => f.type === 'message').length === 2);
    assert.equal(await page.$('.refused'), null);
  });
});

test('S1-54 five attempts with growing delays, then a button and a slow retry', async () => {
  await withPlayed(async (page, server) => {
    server.onOpen = (socket) => socket.close(1011, 'broken');
    server.onFrame = null;
    server.sockets[0].close(1011, 'broken');
    await stateIs(page, 'waiting');
    const delays = [500, 1000, 2000, 4000, 8000]; // half of 2^n seconds
    for (const [i, delay] of delays.entries()) {
      await page.clock.runFor(delay - 300); // each loss may have come anywhere in the last advance
      assert.equal(server.sockets.length, 1 + i, `no attempt ${i + 1} before its time`);
      await page.clock.runFor(350);
      await until(() => server.sockets.length === 2 + i, `attempt ${i + 1}`);
      await page.waitForFunction((n) => window.roomd.reconnectAttempts === n && !window.roomd.socket, i + 1);
    }
    await stateIs(page, 'offline');
    assert.ok(await page.isVisible('#link button'));
    assert.equal(await page.textContent('#link button'), 'Try again');
    await page.clock.runFor(29_000);
    assert.equal(server.sockets.length, 6);
    await page.clock.runFor(31_000);
    await until(() => server.sockets.length === 7, 'the slow retry');
    await stateIs(page, 'offline');
    server.onOpen = null;
    server.accept(0);
    await page.click('#link button');
    await online(page);
    assert.equal(await page.evaluate(() => window.roomd.reconnectAttempts), 0);
    assert.ok(await page.isHidden('#link'));
  });
});

test('the delays have jitter: other random numbers, other delays', async () => {
  await withPlayed(async (page, server) => {
    await page.evaluate(() => { Math.random = () => 0.1; });
    server.sockets[0].close(1011, '');
    await stateIs(page, 'waiting');
    await page.clock.runFor(150);
    await until(() => server.sockets.length === 2);
  });
});

test('a retry hint of the server wins', async () => {
  await withPlayed(async (page, server) => {
    server.sockets[0].close(1012, 'restart, retry in 7 s');
    await stateIs(page, 'waiting');
    await page.clock.runFor(6_900);
    assert.equal(server.sockets.length, 1);
    await page.clock.runFor(1_000);
    await until(() => server.sockets.length === 2);
    await online(page);
  });
});

for (const [code, text] of [[4400, /did not accept/], [4401, /login/], [4403, /may not/], [4409, /newer window/], [4413, /too large/]]) {
  test(`close code ${code} stops the page with a message`, async () => {
    await withPlayed(async (page, server) => {
      server.sockets[0].close(code, '');
      await stateIs(page, 'stopped');
      await page.clock.runFor(120_000);
      assert.equal(server.sockets.length, 1, 'no reconnect');
      assert.match(await page.textContent('#link p'), text);
      assert.ok(await page.isDisabled('#input'));
      await page.click('#link button');
      await online(page);
    });
  });
}

test('close code 4404 leads back to the welcome', async () => {
  await withPlayed(async (page, server, room) => {
    server.sockets[0].close(4404, 'room deleted');
    await page.waitForSelector('#welcome:not([hidden])');
    assert.equal(await page.textContent('#notice p'), `“${room.name}” was deleted.`);
    await page.clock.runFor(120_000);
    assert.equal(server.sockets.length, 1);
  });
});

test('a link that died silently is found by an unanswered ping', async () => {
  await withPlayed(async (page, server) => {
    const reply = server.onFrame;
    let answering = true;
    server.onFrame = (frame, socket) => (frame.type === 'ping' ? answering && socket.send({ type: 'pong' }) : reply(frame, socket));
    await page.clock.runFor(26_000);
    await page.waitForFunction(() => window.roomd.session.pongs);
    answering = false;
    await page.clock.runFor(50_000);
    await until(() => server.sockets.length >= 2, 'a new socket');
  });
});

test('a message without its confirmation makes the page connect again', async () => {
  await withPlayed(async (page, server) => {
    await write(page, 'hello?');
    await until(() => server.sockets[0].frames.some((f) => f.type === 'message'));
    await page.clock.runFor(16_000);
    await until(() => server.sockets.length === 2);
    const sent = await until(() => server.sockets[1].frames.find((f) => f.type === 'message'));
    assert.equal(sent.client_id, server.sockets[0].frames.find((f) => f.type === 'message').client_id);
  });
});
