// SPDX-License-Identifier: MIT
// Pages talk through the violent end of the workers that serve them: nothing acknowledged is lost,
// doubled or out of order, and the pages come back by themselves.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { test } from 'node:test';
import WebSocket from 'ws';
import { api, base, joinRoom, makeRoom, online, unique, until, withPage } from './harness.mjs';
import { inRoom, isLive, lines, say, sendMany, until as untilLines } from './room.mjs';

const master = process.env.ROOMD_MASTER_PID;
const EACH = 40; // messages of one person
const SENDERS = 23; // besides the two pages
const TOTAL = (SENDERS + 2) * EACH;
const PER_S = 8; // the pace and burst of a page, below what the server takes from one person
const BURST = 8;
const LIMIT_MS = 40_000; // for a replacement; for all to have everything after the last kill

// ---- Workers ----

/** Slot to pid, of the workers that run now. */
function workers() {
  const found = new Map();
  for (const pid of readFileSync(`/proc/${master}/task/${master}/children`, 'utf8').split(' ').filter(Boolean)) {
    let name;
    try { name = readFileSync(`/proc/${pid}/comm`, 'utf8'); } catch { continue; } // it has just ended
    const slot = /^roomd:worker (\d+)/.exec(name)?.[1];
    if (slot !== undefined) found.set(Number(slot), Number(pid));
  }
  return found;
}

/** The slot that answers one fresh connection, or -1. */
const answering = () => new Promise((resolve) => {
  const ask = get(`${base}/api/chat/rooms`, { agent: false, timeout: 2_000 }, (answer) => {
    answer.resume();
    resolve(Number(answer.headers['x-roomd-worker'] ?? -1));
  });
  ask.on('timeout', () => ask.destroy());
  ask.on('error', () => resolve(-1));
});

async function replaced(slot, pid) {
  await until(() => workers().has(slot) && workers().get(slot) !== pid, `a new worker ${slot}`, LIMIT_MS);
  await until(async () => await answering() === slot, `worker ${slot} answers`, LIMIT_MS);
}

// ---- Pages ----

/** Notes in page.slots the worker behind each socket that the page opens from now on. */
async function watchSlots(page) {
  const devtools = await page.context().newCDPSession(page);
  page.slots = [];
  devtools.on('Network.webSocketHandshakeResponseReceived', ({ response }) => {
    const header = Object.entries(response.headers).find(([key]) => key.toLowerCase() === 'x-roomd-worker');
    page.slots.push(Number(header?.[1] ?? -1));
  });
  await devtools.send('Network.enable');
}

async function firstSlot(page) {
  await until(() => page.slots.length === 1, 'the handshake is seen');
  assert.ok(page.slots[0] >= 0, 'the server names its workers, as it does in development mode');
  return page.slots[0];
}

async function enter(page, room, name) {
  await watchSlots(page);
  await joinRoom(page, room, name);
  await firstSlot(page);
}

/** Joins again until the page's socket is in another worker than SLOT. */
async function moveAwayFrom(page, slot) {
  while (page.slots.at(-1) === slot) {
    const before = page.slots.length;
    await page.evaluate(() => window.roomd.join(window.roomd.session.room, window.roomd.session.username));
    await until(() => page.slots.length > before, 'a new socket');
    await online(page);
  }
  await page.waitForFunction(() => window.roomd.session.loaded);
}

const pageSends = (page, texts) => page.evaluate((list) => {
  window.sent = list.map((text) => window.roomd.send(text));
}, texts);

/** What the page holds in the end: its log, its own messages as confirmed, what it could not send. */
const pageHolds = (page) => page.evaluate(() => ({
  seen: window.roomd.log.items.filter((i) => i.kind === 'message').map(({ id, content }) => ({ id, content })),
  acked: window.sent.map(({ id, content }) => ({ id, content })),
  outbox: window.roomd.state.outbox.map((o) => o.content),
}));

// ---- Senders over plain sockets ----

/** Behaves like the page: paced, reconnecting, repeating under one client_id until its own copy is there. */
class Sender {
  constructor(room, name, texts, onAck) {
    Object.assign(this, { room, name, onAck, rev: 0, attempts: 0, connections: 0, repeats: 0, gaps: 0 });
    this.outbox = texts.map((content) => ({ client_id: crypto.randomUUID(), content, sent: 0, waits: true }));
    this.acked = []; // {id, content}, in the order of their confirmation
    this.seen = new Map(); // rev to {id, content}
    this.tokens = BURST;
    this.tokensAt = Date.now();
    this.closed = false;
  }

  connect() {
    const socket = new WebSocket(`${base.replace(/^http/, 'ws')}/ws/chat/${this.room.id}`, { origin: base });
    this.socket = socket;
    this.online = false;
    socket.on('open', () => {
      this.transmit({ username: this.name });
      if (this.connections++) this.transmit({ type: 'resume', rev: this.rev });
    });
    socket.on('message', (data) => this.handle(JSON.parse(data)));
    socket.on('error', () => {}); // "close" follows
    socket.on('close', () => this.lost());
  }

  lost() {
    this.online = false;
    clearTimeout(this.timer);
    for (const item of this.outbox) item.waits = true;
    if (!this.closed) this.timer = setTimeout(() => this.connect(), Math.random() * 1000 * 2 ** this.attempts++);
  }

  transmit(frame) { this.socket.send(JSON.stringify(frame)); }

  handle(frame) {
    if (frame.type === 'connected') {
      this.online = true;
      this.attempts = 0;
      if (this.talks) this.flush();
    } else if (frame.type === 'message') this.take(frame);
    else if (frame.type === 'gap') this.gaps++;
    else if (frame.type === 'error') this.refused(frame);
  }

  take({ id, rev, content, client_id }) {
    const before = this.seen.get(rev);
    if (before) assert.deepEqual({ id, content }, before, `${this.name} got two messages for revision ${rev}`);
    this.seen.set(rev, { id, content });
    while (this.seen.has(this.rev + 1)) this.rev++;
    const i = this.outbox.findIndex((o) => o.client_id === client_id);
    if (i < 0) return;
    this.outbox.splice(i, 1);
    this.acked.push({ id, content });
    this.onAck();
  }

  refused({ client_id, retry_after, code, message }) {
    const item = this.outbox.find((o) => o.client_id === client_id);
    assert.ok(item && (retry_after !== undefined || code === 'unavailable'), `${this.name} is refused: ${code} ${message}`);
    item.waits = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), (retry_after ?? 1) * 1000);
  }

  talk() {
    this.talks = true;
    if (this.online) this.flush();
  }

  flush() {
    const now = Date.now();
    this.tokens = Math.min(BURST, this.tokens + (now - this.tokensAt) / 1000 * PER_S);
    this.tokensAt = now;
    clearTimeout(this.timer);
    for (const item of this.outbox) {
      if (!this.online || !item.waits) continue;
      if (this.tokens < 1) {
        this.timer = setTimeout(() => this.flush(), 1000 / PER_S);
        return;
      }
      this.tokens--;
      this.transmit({ type: 'message', content: item.content, client_id: item.client_id });
      item.waits = false;
      if (item.sent++) this.repeats++;
    }
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}

// ---- What must hold ----

async function historyOf(room) {
  const rows = [];
  for (;;) {
    const page = await api('GET', `/api/chat/rooms/${room.id}/messages${rows.length ? `?before=${rows[0].id}` : ''}`);
    if (page.length === 0) return rows.map(({ id, content }) => ({ id: String(id), content }));
    rows.unshift(...page);
  }
}

/** Whether SEEN is STORED; if not, says what is lost, doubled, strange or misplaced. */
function assertSame(who, seen, stored) {
  const count = (rows) => rows.reduce((all, { id }) => all.set(id, (all.get(id) ?? 0) + 1), new Map());
  const has = count(seen);
  const wants = count(stored);
  assert.deepEqual({
    lost: stored.filter(({ id }) => !has.has(id)),
    doubled: seen.filter(({ id }) => has.get(id) > 1),
    strange: seen.filter(({ id }) => !wants.has(id)),
    misplaced: seen.find(({ id, content }, i) => id !== stored[i]?.id || content !== stored[i].content),
  }, { lost: [], doubled: [], strange: [], misplaced: undefined }, who);
}

/** Every message is stored once, under the id it was acknowledged with, and each author's in their order. */
function assertStored(stored, authors) {
  const byId = new Map(stored.map(({ id, content }) => [id, content]));
  for (const { name, texts, acked } of authors) {
    assert.deepEqual(acked.map(({ content }) => content).sort(), [...texts].sort(), `${name}: all are acknowledged`);
    for (const { id, content } of acked) assert.equal(byId.get(id), content, `${name}: acknowledged as ${id}`);
    assert.deepEqual(stored.map(({ content }) => content).filter((text) => texts.includes(text)), texts,
      `${name}: stored once each, in the order of writing`);
  }
  assert.equal(stored.length, TOTAL, 'and nothing else is stored');
}

// ---- The test ----

const textsOf = (name) => Array.from({ length: EACH }, (_, i) => `${name} says ${i}`);

/** Kills each of the SLOTS in turn, in the midst of what is sent. */
async function killInTurn(slots, progress) {
  for (const [i, slot] of slots.entries()) {
    await progress.reaches(Math.round(SENDERS * EACH * (i + 1) / (slots.length + 2)));
    const pid = workers().get(slot);
    process.kill(pid, 'SIGKILL');
    progress.kills.push(progress.acks);
    await replaced(slot, pid);
  }
}

function newProgress() {
  const progress = { acks: 0, kills: [], waiters: new Map() };
  progress.onAck = () => progress.waiters.get(++progress.acks)?.();
  progress.reaches = (n) => new Promise((resolve) => {
    if (progress.acks >= n) resolve();
    else progress.waiters.set(n, resolve);
  });
  return progress;
}

async function talkThroughKills(t, pages, senders, progress) {
  const pageTexts = pages.map((page) => textsOf(page.name));
  const slots = pages.map((page) => page.slots.at(-1));
  const connected = pages.map((page) => page.slots.length);
  await Promise.all(pages.map((page, i) => pageSends(page, pageTexts[i])));
  for (const sender of senders) sender.talk();
  await killInTurn(slots, progress);
  assert.ok(progress.kills.every((acks) => acks < SENDERS * EACH), 'each kill came before the last message');
  const failed = (err) => t.diagnostic(err.message); // what is missing is told in detail by what follows
  const everyone = until(() => senders.every((s) => s.outbox.length === 0 && (s.seen.size === TOTAL || s.gaps)),
    'all senders have all messages', LIMIT_MS).catch(failed);
  await Promise.all([everyone, ...pages.map(async (page) => {
    await online(page);
    await page.waitForFunction((n) => window.roomd.state.outbox.length === 0
      && window.roomd.log.items.filter((i) => i.id).length >= n, TOTAL, { timeout: LIMIT_MS }).catch(failed);
  })]);
  for (const page of pages) await online(page);
  pages.forEach((page, i) => assert.ok(page.slots.length > connected[i], `${page.name} lost its worker`));
  return pageTexts;
}

test('two pages in two workers, either killed during 1,000 messages: each message once, in one order', {
  skip: !master && 'ROOMD_MASTER_PID does not name the daemon',
}, async (t) => {
  assert.equal(TOTAL, 1000);
  assert.ok(workers().size >= 2, 'the server has two workers or more');
  const room = await makeRoom();
  const progress = newProgress();
  const senders = Array.from({ length: SENDERS }, (_, i) => {
    const name = unique(`S${i}`);
    return new Sender(room, name, textsOf(name), progress.onAck);
  });
  await withPage({}, (first) => withPage({}, async (second) => {
    try {
      for (const page of [first, second]) await enter(page, room, page.name = unique('Page'));
      await moveAwayFrom(second, first.slots.at(-1));
      for (const sender of senders) sender.connect();
      await until(() => senders.every((s) => s.online), 'the senders are in');
      const began = Date.now();
      const pageTexts = await talkThroughKills(t, [first, second], senders, progress);
      t.diagnostic(`${Date.now() - began} ms; killed after ${progress.kills} acknowledgements; repeated `
        + `${senders.reduce((n, s) => n + s.repeats, 0)}, connections ${senders.reduce((n, s) => n + s.connections, 0)}`);
      const stored = await historyOf(room);
      const held = await Promise.all([first, second].map(pageHolds));
      assertStored(stored, [
        ...held.map(({ acked }, i) => ({ name: `page ${i}`, texts: pageTexts[i], acked })),
        ...senders.map(({ name, acked }) => ({ name, texts: textsOf(name), acked })),
      ]);
      held.forEach(({ seen, outbox }, i) => {
        assert.deepEqual(outbox, [], `page ${i} has sent everything`);
        assertSame(`page ${i}`, seen, stored);
      });
      for (const { name, seen, gaps } of senders) {
        const rows = [...seen].sort(([a], [b]) => a - b).map(([, row]) => row);
        if (!gaps) assertSame(name, rows, stored);
      }
    } finally {
      for (const sender of senders) sender.close();
    }
  }));
});

/** Keeps what the page's status line says from now on. */
const keepStatus = (page) => page.evaluate(() => {
  const status = document.getElementById('status');
  globalThis.statuses = [];
  new MutationObserver(() => globalThis.statuses.push(status.textContent)).observe(status, { childList: true });
});

// Red without catchUp on a server with engineio.recovery = off: what was said meanwhile is missing.
test('S0-05 the worker of a room\'s page is killed: the page says so, comes back and has each line once', {
  skip: !master && 'ROOMD_MASTER_PID does not name the daemon',
}, async () => {
  await inRoom(unique('Ann'), null, async (ann, code) => {
    const slot = await firstSlot(ann);
    await inRoom(unique('Bob'), code, async (bob) => {
      await say(bob, 'm1');
      await untilLines(ann, 1);
      await keepStatus(ann);
      const pid = workers().get(slot);
      process.kill(pid, 'SIGKILL');
      await ann.waitForFunction(() => globalThis.statuses.some((text) => /Reconnecting/.test(text)));
      await sendMany(bob, 2, 20);
      await untilLines(ann, 20);
      await isLive(ann);
      await ann.waitForSelector('#status', { state: 'hidden' });
      assert.ok(ann.slots.length > 1, 'by a new socket');
      await isLive(bob); // who may have had the same worker
      await say(bob, 'm21');
      await untilLines(ann, 21);
      assert.deepEqual(await lines(ann), Array.from({ length: 21 }, (_, i) => `m${i + 1}`));
      await replaced(slot, pid);
    });
  }, { setup: watchSlots });
});
