// SPDX-License-Identifier: MIT
// S1-61, S1-64: large rooms keep few nodes and scroll without long frames.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESK, fakeServer, joinRoom, makeRoom, Peer, PHONE, row, shown, unique, until, withPage } from './harness.mjs';

const MOST_NODES = 500;
const nodes = (page) => page.evaluate(() => document.getElementsByTagName('*').length);
const frame = (page) => page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));

/** Whatever is visible has text: no hole in the view. */
const covered = (page) => page.evaluate(() => {
  const box = document.querySelector('#messages').getBoundingClientRect();
  const lines = [...document.querySelectorAll('#log > li')].map((n) => n.getBoundingClientRect());
  const head = Math.max(1, 57 - document.querySelector('#messages').scrollTop); // above the first line of all
  return lines[0].top <= box.top + head && lines.at(-1).bottom >= box.bottom - 9
    && lines.every((l, i) => i === 0 || Math.abs(l.top - lines[i - 1].bottom) < 1);
});

test('S1-64 three thousand messages through sockets, walked to the first', { timeout: 300_000 }, async () => {
  const room = await makeRoom();
  const writers = await Promise.all(Array.from({ length: 60 }, (_, i) => Peer.join(room, unique(`Writer ${i}`))));
  await Promise.all(writers.map(async (peer, w) => {
    for (let n = 0; n < 50; n++) await peer.sayFor(`w${w} n${n}`);
  }));
  for (const peer of writers) peer.close();
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Reader'));
    await page.waitForSelector('.msg');
    let most = 0;
    await until(async () => {
      await page.evaluate(() => { document.querySelector('#messages').scrollTop = 0; });
      await frame(page);
      most = Math.max(most, await nodes(page));
      return page.evaluate(() => window.roomd.log.complete);
    }, 'the beginning of the room', 120_000);
    assert.ok(most < MOST_NODES, `${most} nodes`);
    const ids = await page.evaluate(() => window.roomd.log.items.filter((i) => i.id).map((i) => i.id));
    assert.equal(ids.length, 3000);
    assert.equal(new Set(ids).size, 3000);
    assert.ok(ids.every((id, i) => i === 0 || BigInt(ids[i - 1]) < BigInt(id)), 'in order');
  });
});

async function traced(page, work) {
  const browser = page.context().browser();
  await browser.startTracing(page, { categories: ['devtools.timeline', 'disabled-by-default-devtools.timeline'] });
  await work();
  return JSON.parse((await browser.stopTracing()).toString()).traceEvents;
}

/**
 * Milliseconds of processor time of each task of the page's main thread; waiting for a busy machine is not in it.
 * A task that the end of the trace cuts has no duration and is left out.
 */
function mainTasks(events) {
  const frames = events.filter((e) => e.name === 'FireAnimationFrame');
  const { pid, tid } = frames[0];
  const tasks = events.filter((e) => e.pid === pid && e.tid === tid && e.name === 'RunTask');
  return tasks.map((e) => (e.tdur ?? e.dur) / 1000).filter((ms) => !Number.isNaN(ms));
}

for (const [device, viewport] of [['desk', DESK], ['phone', PHONE], ['tall screen', { width: 1440, height: 1400 }]]) {
  test(`S1-64 100,000 messages keep the document under ${MOST_NODES} nodes: ${device}`, { timeout: 120_000 }, async () => {
    const room = await makeRoom();
    const setup = async (page) => {
      (await fakeServer(page)).accept(0);
      await page.route(/\/messages/, (route) => route.fulfill({ json: [] }));
    };
    await withPage({ viewport, setup }, async (page) => {
      await joinRoom(page, room, 'Ada');
      await page.waitForFunction(() => window.roomd.session.loaded);
      await page.evaluate((base) => window.roomd.addMessages(Array.from({ length: 100_000 }, (_, i) => ({
        id: String(BigInt(base) + BigInt(i + 1)), username: `P${Math.floor(i / (i % 7 ? 3 : 1)) % 40}`, rev: i + 1, seq: i + 1,
        content: i % 11 ? `message ${i}` : `message ${i} https://example.org/${i} ${'long '.repeat(i % 200)}`,
        created_at: new Date(Date.UTC(2026, 0, 1) + i * 60_000).toISOString(),
      }))), String(BigInt(room.id) * (1n << 32n)));
      await page.waitForFunction(() => document.querySelector('#log > li:last-child .text')?.textContent === 'message 99999');
      let most = await nodes(page);
      for (let i = 0; i <= 40; i++) {
        await page.evaluate((share) => {
          const box = document.querySelector('#messages');
          box.scrollTop = box.scrollHeight * share;
        }, (i * 17 % 41) / 41);
        await frame(page);
        most = Math.max(most, await nodes(page));
        assert.ok(await covered(page), `a hole at step ${i}`);
      }
      assert.ok(most < MOST_NODES, `${most} nodes`);
      await page.evaluate(() => { document.querySelector('#messages').scrollTop = 0; });
      await shown(page, `message 0 https://example.org/0 `);
      await page.focus('#messages');
      await page.keyboard.press('End');
      await shown(page, 'message 99999');
    });
  });
}

test('S1-61 10,000 messages scroll without a frame over 50 ms', { timeout: 120_000 }, async () => {
  const room = await makeRoom();
  const setup = async (page) => {
    (await fakeServer(page)).accept(0);
    await page.route(/\/messages/, (route) => route.fulfill({ json: [] }));
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await page.waitForFunction(() => window.roomd.session.loaded);
    const rows = Array.from({ length: 10_000 }, (_, i) => row(room, i + 1, `P${(i >> 2) % 20}`, `message ${i} ${'word '.repeat(i % 30)}`));
    await page.evaluate((list) => window.roomd.addMessages(list), rows);
    await shown(page, rows.at(-1).content);
    const trace = await traced(page, () => page.evaluate(async () => {
      const box = document.querySelector('#messages');
      for (let i = 0; i < 300; i++) {
        box.scrollTop -= 400;
        await new Promise(requestAnimationFrame);
      }
    }));
    const tasks = mainTasks(trace);
    assert.ok(tasks.length > 300, `${tasks.length} tasks in the trace`);
    assert.ok(Math.max(...tasks) < 50, `the longest task took ${Math.max(...tasks)} ms`);
  });
});

test('scrolling by wheel and keys through unmeasured lines is neither cut short nor thrown about', { timeout: 120_000 }, async () => {
  const room = await makeRoom();
  const rows = Array.from({ length: 2_000 }, (_, i) => row(room, i + 1, `P${(i >> 2) % 20}`, `message ${i} ${'word '.repeat((i * 37) % 150)}`));
  const setup = async (page) => {
    (await fakeServer(page)).accept(0);
    await page.route(/\/messages/, (route) => {
      const before = new URL(route.request().url()).searchParams.get('before');
      return route.fulfill({ json: rows.filter((r) => !before || BigInt(r.id) < BigInt(before)).slice(-100) });
    });
  };
  await withPage({ setup, reducedMotion: 'no-preference' }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await shown(page, rows.at(-1).content);
    // Moves from frame to frame of a line that is visible in both.
    await page.evaluate(() => {
      window.jumps = [];
      let before = new Map();
      const look = () => {
        const box = document.querySelector('#messages').getBoundingClientRect();
        const now = new Map([...document.querySelectorAll('.msg')].map((n) => [n.dataset.id, n.getBoundingClientRect()])
          .filter(([, r]) => r.bottom > box.top && r.top < box.bottom).map(([id, r]) => [id, r.top]));
        const moves = [...now].filter(([id]) => before.has(id)).map(([id, top]) => top - before.get(id));
        if (moves.length) window.jumps.push(Math.min(...moves));
        before = now;
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    const top = () => page.evaluate(() => {
      const edge = document.querySelector('#messages').getBoundingClientRect().top;
      return [...document.querySelectorAll('.msg')].find((n) => n.getBoundingClientRect().bottom > edge).dataset.id;
    });
    // Writing scrollTop ends a glide or a flick; in some engines always, in others now and then.
    await page.evaluate(() => {
      window.cuts = 0;
      const { get, set } = Object.getOwnPropertyDescriptor(Element.prototype, 'scrollTop');
      Object.defineProperty(document.querySelector('#messages'), 'scrollTop', {
        get,
        set(value) {
          if (window.roomd.log.scrolling) window.cuts++;
          set.call(this, value);
        },
      });
    });
    await page.mouse.move(640, 400);
    const last = await top();
    for (let i = 0; i < 25; i++) {
      await page.mouse.wheel(0, -300);
      await page.waitForTimeout(60);
    }
    await page.waitForTimeout(400);
    assert.ok(BigInt(await top()) < BigInt(last), 'the wheel moves up');
    await page.focus('#messages');
    const height = await page.$eval('#messages', (n) => n.clientHeight);
    for (let i = 0; i < 10; i++) {
      await page.evaluate(() => { window.jumps = []; });
      await page.keyboard.press('PageUp');
      const moved = () => page.evaluate(() => window.jumps.reduce((sum, n) => sum + n, 0));
      await until(async () => await moved() > height * 0.8, `PageUp ${i} is not cut short`, 3_000);
      await page.waitForTimeout(200); // at rest, where positions are put right
      const far = await moved();
      assert.ok(far < height * 1.05, `PageUp ${i} moves a page, not ${far} of ${height}`);
    }
    const back = await page.evaluate(() => Math.min(...window.jumps));
    assert.ok(back > -3, `going up, a line moved up by ${back}`);
    assert.equal(await page.evaluate(() => window.cuts), 0, 'no scroll in motion was cut off');
    await page.keyboard.press('End');
    await shown(page, rows.at(-1).content);
  });
});

test('lines that came in but are not drawn yet do not mislead a scroll', async () => {
  const room = await makeRoom();
  const rows = Array.from({ length: 400 }, (_, i) => row(room, i + 1, 'Bob', `message ${i} ${'word '.repeat((i * 37) % 90)}`));
  const setup = async (page) => {
    (await fakeServer(page)).accept(0);
    await page.route(/\/messages/, (route) => route.fulfill({ json: [] }));
  };
  await withPage({ setup }, async (page) => {
    await joinRoom(page, room, 'Ada');
    await page.waitForFunction(() => window.roomd.session.loaded);
    await page.evaluate((list) => window.roomd.addMessages(list), rows.slice(200));
    await shown(page, rows.at(-1).content);
    await page.evaluate(() => { document.querySelector('#messages').scrollTop = 400; });
    await frame(page);
    const find = () => page.evaluate(() => {
      const edge = document.querySelector('#messages').getBoundingClientRect().top;
      const first = [...document.querySelectorAll('.msg')].find((n) => n.getBoundingClientRect().bottom > edge + 40);
      return [first.dataset.id, Math.round(first.getBoundingClientRect().top)];
    });
    const [id, top] = await find();
    await page.evaluate((list) => {
      window.roomd.addMessages(list);
      document.querySelector('#messages').scrollTop -= 10;
    }, rows.slice(0, 200));
    await page.waitForTimeout(400);
    const now = await page.evaluate((i) => Math.round(document.querySelector(`[data-id="${i}"]`)?.getBoundingClientRect().top), id);
    assert.ok(Math.abs(now - top - 10) <= 2, `${top} became ${now}`);
  });
});
