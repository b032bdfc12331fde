// SPDX-License-Identifier: MIT
// S1-01: what a first load fetches and under which policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base, openPage, closePage, withPage } from './harness.mjs';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
  + `connect-src 'self' ws://${new URL(base).host} wss://${new URL(base).host}; manifest-src 'self'; base-uri 'none'; `
  + "form-action 'self'; frame-ancestors 'none'";

test('S1-01 a first load is three files and one room list', async () => {
  const asked = [];
  const page = await openPage({
    path: '/',
    setup: (p) => p.on('request', (r) => asked.push(`${r.method()} ${new URL(r.url()).pathname}`)),
  });
  await page.waitForLoadState('networkidle');
  assert.deepEqual(asked, ['GET /', 'GET /static/style.css', 'GET /static/app.js', 'GET /api/chat/rooms']);
  await closePage(page);
});

test('the page is served with the strict policy', async () => {
  const answer = await fetch(`${base}/`);
  assert.equal(answer.headers.get('content-security-policy'), POLICY);
  assert.match(answer.headers.get('content-type'), /^text\/html; *charset=utf-8$/i);
});

test('the client is out of reach without ?debug=1', async () => {
  await withPage({ path: '/' }, async (page) => {
    assert.equal(await page.evaluate(() => typeof window.roomd), 'undefined');
  });
  await withPage({}, async (page) => {
    assert.equal(await page.evaluate(() => window.roomd.state.maxReconnectAttempts), 5);
    assert.equal(await page.evaluate(() => window.roomd.reconnectAttempts), 0);
  });
});

test('the client is out of reach in production mode', async () => {
  // there a response does not name the worker; seen red when the address alone decided
  const setup = (page) => page.route('**/*', async (route) => {
    const answer = await route.fetch();
    const headers = answer.headers();
    delete headers['x-roomd-worker'];
    await route.fulfill({ response: answer, headers });
  });
  await withPage({ setup }, async (page) => {
    assert.equal(await page.evaluate(() => typeof window.roomd), 'undefined');
  });
});

test('without JavaScript the page says what it needs', async () => {
  const page = await (await openPage({ path: '/' })).context().browser().newPage({ javaScriptEnabled: false });
  await page.goto(`${base}/`);
  assert.match(await page.textContent('.noscript'), /JavaScript/);
  await page.close();
});
