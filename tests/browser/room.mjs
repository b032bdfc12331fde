// SPDX-License-Identifier: MIT
// What people do on the page of a room with a code.

import { texts, withPage } from './harness.mjs';

export const lines = (page) => texts(page, '#messages .text');

/** Opens the start page and goes into a room: a new one, or the one with this code. */
export const inRoom = (name, code, fn, options = {}) => withPage(options, async (page) => {
  await page.fill('#code-name', name);
  await page.fill('#code-code', code ?? '');
  await page.click(code ? 'button[name=join]' : 'button[name=create]');
  await page.waitForURL('**/room');
  await isLive(page);
  await fn(page, await page.textContent('h1 .code'));
});

export const isLive = (page) => page.waitForSelector('body[data-state=live]');

/** Until the page has so many messages. */
export const until = (page, expected) =>
  page.waitForFunction((n) => document.querySelectorAll('#messages .text').length >= n, expected);

export async function say(page, text) {
  await page.fill('#message', text);
  await page.press('#message', 'Enter');
  await page.waitForFunction(() => document.getElementById('message').value === '');
}

/** Messages as other programs send them, one after the other. */
export const sendMany = (page, from, to) => page.evaluate(async ([first, last]) => {
  for (let i = first; i <= last; i++)
    await fetch('/room', { method: 'POST', body: new URLSearchParams({ message: `m${i}` }), redirect: 'manual' });
}, [from, to]);
