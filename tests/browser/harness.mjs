// SPDX-License-Identifier: MIT
// What the browser tests share: a Chromium, the server's REST calls, peers that talk over plain
// sockets, and a stand-in for the server's end of the page's own socket.

import assert from 'node:assert/strict';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import WebSocket from 'ws';

export const base = process.env.ROOMD_URL ?? 'http://127.0.0.1:8080';
export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

const rooms = [];
const peers = new Set();
const pages = new Set();

after(async () => {
  for (const peer of peers) peer.close();
  for (const id of rooms) await api('DELETE', `/api/chat/rooms/${id}`).catch(() => {});
  await browser.close();
});

export async function api(method, path, body) {
  const answer = await fetch(base + path, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  });
  const data = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(`${method} ${path}: ${answer.status}`), { status: answer.status, data });
  return data;
}

let serial = 0;
/** A name that no other test, nor an earlier run against the same database, has used. */
export const unique = (stem) => `${stem} ${Date.now().toString(36)}${process.pid.toString(36)}${(++serial).toString(36)}`;

export async function makeRoom(name = unique('Room'), description = '') {
  const room = await api('POST', '/api/chat/rooms', { name, description });
  rooms.push(room.id);
  return room;
}

/** A page that fails the test on any script error; contexts share nothing. */
export async function openPage({ path = '/?debug=1', init, setup, ...options } = {}) {
  const context = await browser.newContext({ viewport: DESK, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.errors = [];
  page.on('pageerror', (err) => page.errors.push(err.message));
  page.on('console', (msg) => /Content.Security.Policy/i.test(msg.text()) && page.errors.push(msg.text()));
  if (init) await page.addInitScript(init);
  await setup?.(page);
  await page.goto(base + path);
  if (options.javaScriptEnabled !== false)
    await page.waitForFunction(() => document.querySelector('#rooms li, #rooms-note:not([hidden])'));
  pages.add(page);
  return page;
}

export async function closePage(page) {
  pages.delete(page);
  assert.deepEqual(page.errors, []);
  await page.context().close();
}

/** Runs fn with a page, closes it whatever happens, and checks that no script failed. */
export async function withPage(options, fn) {
  const page = await openPage(options);
  try {
    await fn(page);
    assert.deepEqual(page.errors, []);
  } finally {
    pages.delete(page);
    await page.context().close();
  }
}

export const online = (page) => page.waitForSelector('#status[data-state=online]');

/** Joins by the page's own dialog, as a user does. */
export async function joinRoom(page, room, name) {
  await page.evaluate((id) => window.roomd.loadRooms().then(() => window.roomd.selectRoom(id)), room.id);
  await page.fill('#join-name', name);
  await page.click('#join-form [type=submit]');
  await online(page);
}

export async function write(page, text) {
  await page.fill('#input', text);
  await page.press('#input', 'Enter');
}

/** Waits until a message with this text has its final node. */
export const shown = (page, text) =>
  page.waitForFunction((t) => [...document.querySelectorAll('.msg[data-id] .text')].some((n) => n.textContent === t), text);

export const texts = (page, selector) => page.$$eval(selector, (nodes) => nodes.map((n) => n.textContent));

/** Someone else in the room, over a plain socket. Frames are kept; wait() finds the first match. */
export class Peer {
  static async join(room, username) {
    const peer = new Peer();
    peer.frames = [];
    peer.waiters = new Set();
    peer.socket = new WebSocket(`${base.replace(/^http/, 'ws')}/ws/chat/${room.id}`, { origin: base });
    peers.add(peer);
    await new Promise((resolve, reject) => peer.socket.once('open', resolve).once('error', reject));
    peer.socket.on('message', (data) => peer.take(JSON.parse(data)));
    peer.send({ username });
    await peer.wait((f) => f.type === 'connected');
    return peer;
  }

  take(frame) {
    this.frames.push(frame);
    for (const waiter of this.waiters) waiter();
  }

  send(frame) { this.socket.send(JSON.stringify(frame)); }
  say(content, client_id) { this.send({ type: 'message', content, client_id }); }

  wait(match, ms = 10_000) {
    return new Promise((resolve, reject) => {
      const check = () => {
        const frame = this.frames.find(match);
        if (!frame) return;
        clearTimeout(limit);
        this.waiters.delete(check);
        resolve(frame);
      };
      const limit = setTimeout(() => {
        this.waiters.delete(check);
        reject(new Error(`no such frame; the last were ${JSON.stringify(this.frames.slice(-5))}`));
      }, ms);
      this.waiters.add(check);
      check();
    });
  }

  /** Says something and waits for the broadcast copy; waits and repeats when told to slow down. */
  async sayFor(content) {
    const client_id = crypto.randomUUID();
    for (;;) {
      const from = this.frames.length;
      this.say(content, client_id);
      const answer = await this.wait((f) => f.client_id === client_id && (f.type === 'message' || this.frames.indexOf(f) >= from));
      if (answer.type === 'message') return answer;
      if (answer.retry_after === undefined) throw new Error(JSON.stringify(answer));
      await new Promise((resolve) => setTimeout(resolve, answer.retry_after * 1000));
    }
  }

  close() {
    peers.delete(this);
    this.socket.close();
  }
}

/** Plays the server's end of the page's sockets: every socket the page opens is an entry. */
export async function fakeServer(page) {
  const server = { sockets: [], onOpen: null, onFrame: null };
  await page.routeWebSocket(/\/ws\/chat\//, (ws) => {
    const socket = {
      frames: [], url: ws.url(),
      send: (frame) => ws.send(JSON.stringify(frame)),
      close: (code, reason = '') => ws.close({ code, reason }),
    };
    server.sockets.push(socket);
    ws.onMessage((text) => {
      const frame = JSON.parse(text);
      socket.frames.push(frame);
      server.onFrame?.(frame, socket);
    });
    server.onOpen?.(socket);
  });
  /** Answers the first frame like the server does. */
  server.accept = (rev = 0) => {
    server.onFrame = (frame, socket) => {
      if (frame.username && !frame.type) socket.send({ type: 'connected', room_id: 1, username: frame.username, rev });
    };
  };
  return server;
}

/** Waits for a condition of this process. */
export async function until(check, what = 'condition', ms = 10_000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A message row as the server makes it; the id carries room and rev. */
export function row(room, rev, username, content, extra = {}) {
  const id = String(BigInt(room.id) * (1n << 32n) + BigInt(rev));
  return { id, room_id: room.id, username, content, created_at: new Date(Date.UTC(2026, 0, 1) + rev * 1000).toISOString(), seq: rev, rev, ...extra };
}
