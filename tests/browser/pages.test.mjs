// SPDX-License-Identifier: MIT
// S0-07, S0-11 to S0-15: rooms with codes without a line of script: form, room, message, history, and out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { texts, unique, withPage } from './harness.mjs';

const plain = { path: '/', javaScriptEnabled: false };

test('S0-11 to S0-15 two browsers without scripts talk in a room with a code', async () => {
  await withPage(plain, async (ann) => {
    await ann.fill('#code-name', unique('Ann'));
    await ann.click('button[name=create]');
    assert.equal(new URL(ann.url()).pathname, '/room');
    const code = await ann.textContent('h1 .code');
    assert.match(code, /^[A-Z]{4}$/);
    await ann.fill('#message', 'hello <b>there</b>');
    await ann.press('#message', 'Enter');
    assert.deepEqual(await texts(ann, '#messages .text'), ['hello <b>there</b>']);
    await withPage(plain, async (bob) => {
      const name = unique('Bob');
      await bob.fill('#code-name', name);
      await bob.fill('#code-code', 'QQQQ');
      await bob.click('button[name=join]');
      assert.match(await bob.textContent('#notice'), /no such room/);
      assert.equal(await bob.inputValue('#name'), name);
      await bob.fill('#code', code.toLowerCase());
      await bob.press('#code', 'Enter'); // the first button of the form: join
      assert.equal(new URL(bob.url()).pathname, '/room');
      await bob.fill('#message', 'hi');
      await bob.click('text=Send');
      assert.deepEqual(await texts(bob, '#messages .text'), ['hello <b>there</b>', 'hi']);
      assert.equal(await bob.textContent('#count'), '2');
      await bob.click('text=What you have sent');
      assert.deepEqual(await texts(bob, '#history .text'), ['hi']);
    });
    await ann.click('text=Look for new messages');
    assert.equal((await texts(ann, '#messages .text')).length, 2);
    await ann.click('text=Leave the room');
    assert.equal(new URL(ann.url()).pathname, '/');
    await ann.goto(new URL('/room', ann.url()).href);
    assert.equal(new URL(ann.url()).pathname, '/');
  });
});
