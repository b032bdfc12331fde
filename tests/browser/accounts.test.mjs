// SPDX-License-Identifier: MIT
// Accounts in the page: sign up, in and out, guests beside them, settings, the list of sessions.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { joinRoom, makeRoom, online, Peer, PHONE, shown, texts, unique, until, withPage, write } from './harness.mjs';

const PASSWORD = 'a long enough password';
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const nameFor = (stem) => unique(stem).replaceAll(' ', '_');

async function openDialog(page) {
  if (await page.isHidden('#account')) await page.click('#menu');
  await page.click('#account');
  await page.waitForSelector('#account-dialog[open]');
}

const submit = (page) => page.click('#account-dialog form:first-of-type [type=submit]');
const signedIn = (page) => page.waitForFunction(() => document.querySelector('#account').textContent === 'Account');
const signedOut = (page) => page.waitForFunction(() => document.querySelector('#account').textContent === 'Sign in');

async function signUp(page, name) {
  await openDialog(page);
  await page.getByRole('button', { name: 'Make an account' }).click();
  await page.fill('#account-username', name);
  await page.fill('#account-password', PASSWORD);
  await submit(page);
  await signedIn(page);
}

async function signIn(page, name, password = PASSWORD) {
  await openDialog(page);
  await page.fill('#account-username', name);
  await page.fill('#account-password', password);
  await submit(page);
}

test('an account is made, kept over a reload, and left', async () => {
  const name = nameFor('ada');
  await withPage({}, async (page) => {
    await signUp(page, name);
    assert.equal(await page.textContent('#me-name bdi'), name);
    assert.ok(await page.isHidden('#rename'), 'an account keeps its name');
    assert.equal(await page.evaluate(() => document.cookie), '', 'scripts see no cookie');
    await page.reload();
    await signedIn(page);
    assert.equal(await page.textContent('#me-name bdi'), name);
    await openDialog(page);
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await signedOut(page);
    assert.ok(await page.isHidden('#me-name'));
    await page.reload();
    await page.waitForFunction(() => document.querySelector('#rooms li, #rooms-note:not([hidden])'));
    assert.equal(await page.textContent('#account'), 'Sign in');
  });
});

test('whoever is signed in talks under the account’s name, in a room that was open before too', async () => {
  const room = await makeRoom();
  const peer = await Peer.join(room, unique('Bob'));
  const name = nameFor('ada');
  await withPage({}, async (page) => {
    await joinRoom(page, room, unique('Guest'));
    await signUp(page, name);
    await online(page);
    await peer.wait((f) => f.type === 'users_list' && f.users.includes(name));
    await write(page, 'as myself');
    await shown(page, 'as myself');
    assert.equal((await peer.wait((f) => f.type === 'message' && f.content === 'as myself')).username, name);
    await openDialog(page);
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();
    await signedOut(page);
    await page.waitForSelector('#welcome:not([hidden])');
  });
  peer.close();
});

// Seen red: the name was taken, by the guest who wanted it.
test('a guest makes an account of the name that is in use', async () => {
  const room = await makeRoom();
  const name = nameFor('ada');
  await withPage({}, async (page) => {
    await joinRoom(page, room, name);
    await signUp(page, name.toUpperCase());
    await online(page);
    await write(page, 'still in the room');
    await shown(page, 'still in the room');
    assert.equal(await page.textContent('#me-name bdi'), name.toUpperCase());
  });
});

test('a wrong password is said in the dialog, and a guest goes on as one', async () => {
  const room = await makeRoom();
  await withPage({}, async (page) => {
    await signIn(page, nameFor('nobody'), 'not the password');
    await page.waitForFunction(() => document.querySelector('#account-dialog .error').textContent);
    await page.getByRole('button', { name: 'Continue as guest' }).click();
    await page.waitForFunction(() => !document.querySelector('#account-dialog').open);
    await joinRoom(page, room, unique('Guest'));
    await write(page, 'hello');
    await shown(page, 'hello');
  });
});

test('the form names what is wrong with a new account', async () => {
  const name = nameFor('taken');
  await withPage({}, async (page) => { await signUp(page, name); });
  await withPage({}, async (page) => {
    await openDialog(page);
    await page.getByRole('button', { name: 'Make an account' }).click();
    await page.fill('#account-username', name);
    await page.fill('#account-password', 'short');
    await submit(page);
    await page.waitForFunction(() => /8 characters/.test(document.querySelector('#account-dialog .error').textContent));
    await page.fill('#account-password', PASSWORD);
    await submit(page);
    await page.waitForFunction(() => /taken/.test(document.querySelector('#account-dialog .error').textContent));
    assert.equal(await page.inputValue('#account-username'), name, 'the input is kept');
  });
});

test('S3-24 sessions are listed, and ending one signs that browser out', async () => {
  const name = nameFor('ada');
  const room = await makeRoom();
  await withPage({}, async (first) => {
    await signUp(first, name);
    await first.evaluate((id) => window.roomd.loadRooms().then(() => window.roomd.selectRoom(id)), room.id);
    await online(first);
    await withPage({}, async (second) => {
      await signIn(second, name);
      await signedIn(second);
      await openDialog(second);
      await second.waitForFunction(() => document.querySelectorAll('.devices li').length === 2);
      assert.equal((await texts(second, '.devices .device')).filter((t) => t.endsWith('(this one)')).length, 1);
      await second.click('.devices li button');
      await second.waitForFunction(() => document.querySelectorAll('.devices li').length === 1);
    });
    await signedOut(first);
  });
});

test('the profile and the password are changed in the settings', async () => {
  const name = nameFor('ada');
  await withPage({}, async (page) => {
    await signUp(page, name);
    await openDialog(page);
    await page.fill('#account-full-name', 'Ada of Lovelace');
    await submit(page);
    await page.waitForFunction(() => document.querySelector('#notice p').textContent === 'Saved.');
    await page.fill('#account-old', 'not the password');
    await page.fill('#account-password', 'another long password');
    await page.click('#account-dialog form:nth-of-type(2) [type=submit]');
    await page.waitForFunction(() => document.querySelector('#account-dialog form:nth-of-type(2) .error').textContent);
    await page.fill('#account-old', PASSWORD);
    await page.click('#account-dialog form:nth-of-type(2) [type=submit]');
    await page.waitForFunction(() => /password is changed/.test(document.querySelector('#notice p').textContent));
    await page.reload();
    await signedIn(page);
    await openDialog(page);
    assert.equal(await page.inputValue('#account-full-name'), 'Ada of Lovelace');
  });
  await withPage({}, async (page) => {
    await signIn(page, name, 'another long password');
    await signedIn(page);
  });
});

test('the dialogs of accounts pass axe', { timeout: 120_000 }, async () => {
  for (const viewport of [undefined, PHONE]) {
    await withPage(viewport ? { viewport } : {}, async (page) => {
      const check = async (where) => {
        await page.evaluate(axe);
        const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
        assert.deepEqual(violations.map((v) => `${where}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).join(' | ')}`), []);
      };
      await openDialog(page);
      await check('sign in');
      await page.getByRole('button', { name: 'Forgot the password?' }).click();
      await check('forgotten');
      await page.getByRole('button', { name: 'I have a code' }).click();
      await check('reset');
      await page.keyboard.press('Escape');
      await signUp(page, nameFor('axe'));
      await openDialog(page);
      await page.waitForFunction(() => document.querySelectorAll('.devices li').length === 1);
      await check('settings');
    });
  }
});

test('the account’s code is fetched only when it is wanted', async () => {
  const asked = [];
  const setup = (p) => p.on('request', (r) => asked.push(new URL(r.url()).pathname));
  await withPage({ setup }, async (page) => {
    await page.waitForLoadState('networkidle');
    assert.ok(!asked.includes('/static/account.js'));
    await openDialog(page);
    assert.ok(asked.includes('/static/account.js'));
    assert.ok(!asked.includes('/api/v1/users/me'));
  });
});

test('a letter’s address opens the form for a new password, and the token leaves the address', async () => {
  await withPage({ path: '/?debug=1#/reset/some-token' }, async (page) => {
    await page.waitForSelector('#account-dialog[open]');
    assert.equal(await page.inputValue('#account-code'), 'some-token');
    assert.equal(await until(() => page.evaluate(() => location.hash === '' && 'gone')), 'gone');
  });
});
