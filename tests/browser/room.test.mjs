// SPDX-License-Identifier: MIT
// S0-05 to S0-07, S0-50, S0-54: the page of a room with a code, alive with the stock Socket.IO client.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unique } from './harness.mjs';
import { inRoom, isLive, lines, say, sendMany, until } from './room.mjs';

test('S0-06, S0-07 what is said, who comes and who goes shows without a reload', async () => {
  await inRoom(unique('Ann'), null, async (ann, code) => {
    await ann.evaluate(() => { globalThis.isSamePage = true; });
    const name = unique('Bob');
    await inRoom(name, code, async (bob) => {
      await ann.waitForFunction((who) => document.querySelector('#messages')?.textContent.includes(`${who} has entered`), name);
      await ann.waitForFunction(() => document.getElementById('count').textContent === '2');
      await say(ann, 'hello <b>there</b>');
      await until(bob, 1);
      assert.deepEqual(await lines(bob), ['hello <b>there</b>']);
      await bob.fill('#message', 'by the button');
      await bob.click('text=Send');
      await until(ann, 2);
      assert.deepEqual(await lines(ann), ['hello <b>there</b>', 'by the button']);
      await until(bob, 2); // its own, once
      assert.deepEqual(await lines(bob), await lines(ann));
      assert.equal(await bob.locator('#messages .me .text').textContent(), 'by the button');
    });
    await ann.waitForFunction((who) => document.querySelector('#messages').textContent.includes(`${who} has left`), name);
    assert.equal(await ann.evaluate(() => globalThis.isSamePage), true);
  });
});

// Red while the second message took the key of the first: it was a duplicate, acknowledged and lost.
test('what is sent before the answer to the message before is another message, Enter twice is one', async () => {
  await inRoom(unique('Ann'), null, async (ann) => {
    await ann.evaluate(() => {
      const { message } = document.getElementById('last').elements;
      for (const text of ['one', 'one', 'one two', 'three', 'three']) {
        message.value = text;
        message.form.requestSubmit();
      }
    });
    await ann.waitForFunction(() => document.getElementById('message').value === '');
    await until(ann, 3);
    await say(ann, 'last');
    await until(ann, 4);
    assert.deepEqual(await lines(ann), ['one', 'one two', 'three', 'last']);
  });
});

// Red without catchUp: what was said meanwhile is missing.
test('S0-05 a lost connection is told, and what was said meanwhile is there afterwards, once', async () => {
  await inRoom(unique('Ann'), null, async (ann, code) => {
    await inRoom(unique('Bob'), code, async (bob) => {
      await say(bob, 'm1');
      await until(ann, 1);
      await ann.context().setOffline(true);
      await ann.waitForSelector('#status:not([hidden])');
      assert.match(await ann.textContent('#status'), /Reconnecting/);
      await sendMany(bob, 2, 130); // more than a page
      await ann.context().setOffline(false);
      await until(ann, 130);
      await isLive(ann);
      await ann.waitForSelector('#status', { state: 'hidden' });
      await say(bob, 'm131');
      await until(ann, 131);
      assert.deepEqual(await lines(ann), Array.from({ length: 131 }, (_, i) => `m${i + 1}`));
    });
  });
});

// Red while the page said that it was reconnecting, and did not.
test('S0-49 who comes back without a session is led to the start', async () => {
  await inRoom(unique('Ann'), null, async (ann) => {
    await ann.context().clearCookies();
    await ann.context().setOffline(true);
    await ann.waitForSelector('#status:not([hidden])');
    await ann.context().setOffline(false);
    await ann.waitForURL((url) => url.pathname === '/');
  });
});

test('S0-54 earlier messages come when the reader scrolls up', async () => {
  await inRoom(unique('Ann'), null, async (ann) => {
    await sendMany(ann, 1, 120);
    await ann.reload();
    await isLive(ann);
    assert.equal((await lines(ann)).length, 100);
    await ann.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await ann.evaluate(() => scrollTo(0, 0));
    await until(ann, 120);
    assert.deepEqual(await lines(ann), Array.from({ length: 120 }, (_, i) => `m${i + 1}`));
    assert.equal(await ann.locator('.earlier').count(), 0);
  });
});

test('S0-50, S0-57 where no WebSocket can be opened the room is alive by polling', async () => {
  const init = () => { delete globalThis.WebSocket; };
  await inRoom(unique('Ann'), null, async (ann, code) => {
    await inRoom(unique('Bob'), code, async (bob) => {
      await say(bob, 'from Bob');
      await until(ann, 1);
      await say(ann, 'from Ann');
      await until(bob, 2);
      assert.deepEqual(await lines(bob), ['from Bob', 'from Ann']);
    });
  }, { init });
});
