// SPDX-License-Identifier: MIT
// The stock clients of Socket.IO and Engine.IO in Node, unchanged, against a server of many workers.
// Polling opens a connection for each request, so that they reach any worker.

import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Socket as EngineSocket } from 'engine.io-client';
import { io } from 'socket.io-client';

const base = process.env.ROOMD_URL ?? 'http://127.0.0.1:8080';
const master = process.env.ROOMD_MASTER_PID;
const agent = new Agent({ keepAlive: false });
const TRANSPORTS = [['websocket'], ['polling'], ['polling', 'websocket']];
const clients = new Set();
let ann, bob;

async function api(path, body) {
  const answer = await fetch(base + path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
  return answer.json();
}

let serial = 0;
const unique = (stem) => `${stem}-${Date.now().toString(36)}${process.pid.toString(36)}${++serial}`;
const makeRoom = () => api('/api/chat/rooms', { name: unique('Stock'), description: '' });

async function person(stem) {
  const username = unique(stem), password = unique('correct horse');
  const made = await api('/api/v1/auth/register', { username, password });
  return made.token ?? (await api('/api/v1/auth/login', { username, password })).token;
}

before(async () => { [ann, bob] = [await person('ann'), await person('bob')]; });
after(() => clients.forEach((client) => client.close()));

const once = (emitter, event) => new Promise((resolve) => { emitter.once(event, resolve); });

async function connect(token, transports, options = {}) {
  const client = io(base, { forceNew: true, transports, agent, auth: { token }, reconnectionDelay: 200, ...options });
  clients.add(client);
  client.texts = [];
  client.on('new_message', (message) => {
    client.texts.push(message.content);
    client.waiting?.();
  });
  await new Promise((resolve, reject) => {
    client.once('connect', resolve);
    client.once('connect_error', reject);
  });
  return client;
}

/** Until the client has heard so many texts. */
async function texts(client, count) {
  while (client.texts.length < count) await new Promise((resolve) => { client.waiting = resolve; });
  return client.texts;
}

const say = (client, room, content) => client.emitWithAck('send_message', { conversationId: room.id, content });
const join = (client, room) => client.emitWithAck('join_conversation', room.id);

for (const transports of TRANSPORTS) {
  test(`S0-02, S0-33: messages and acknowledgements by ${transports.join(' and ')}`, async () => {
    const room = await makeRoom(), expected = [];
    const one = await connect(ann, transports), other = await connect(bob, transports);
    let lost = 0;
    one.on('disconnect', () => { lost++; });
    assert.equal((await join(one, room)).ok, true);
    assert.equal((await join(other, room)).ok, true);
    for (let number = 0; number < 12; number++) {
      expected.push(`text ${number}`);
      const answer = await say(number % 2 ? one : other, room, expected.at(-1));
      assert.equal(answer.ok, true);
      assert.equal(answer.message.content, expected.at(-1));
    }
    for (const client of [one, other]) assert.deepEqual(await texts(client, 12), expected);
    if (transports.length > 1 && one.io.engine.transport.name !== 'websocket') await once(one.io.engine, 'upgrade');
    assert.equal(one.io.engine.transport.name, transports.at(-1));
    assert.equal(lost, 0);
    one.close();
    other.close();
  });

  test(`C2: recovery by ${transports.join(' and ')}`, async () => {
    const room = await makeRoom();
    const one = await connect(ann, transports), other = await connect(bob, ['websocket']);
    await join(one, room);
    await join(other, room);
    await say(other, room, 'before');
    await texts(one, 1);
    const { id } = one;
    assert.equal(one.recovered, false);
    one.io.engine.close();
    for (const text of ['missed 1', 'missed 2', 'missed 3']) await say(other, room, text);
    if (!one.connected) await once(one, 'connect');
    assert.equal(one.recovered, true);
    assert.equal(one.id, id);
    await say(other, room, 'after');
    assert.deepEqual(await texts(one, 5), ['before', 'missed 1', 'missed 2', 'missed 3', 'after']);
    one.close();
    other.close();
  });
}

test('what is sent while the transport changes is not lost', async () => {
  const room = await makeRoom(), expected = [];
  const one = await connect(ann, ['polling', 'websocket']), other = await connect(bob, ['websocket']);
  let lost = 0;
  one.on('disconnect', () => { lost++; });
  await join(other, room);
  await join(one, room);
  for (let number = 0; number < 20; number++) {
    expected.push(`text ${number}`);
    one.emit('send_message', { conversationId: room.id, content: expected.at(-1) });
  }
  assert.deepEqual(await texts(other, 20), expected);
  assert.deepEqual(await texts(one, 20), expected);
  assert.equal(lost, 0);
  one.close();
  other.close();
});

test('unknown namespaces are refused, and the connection goes on', async () => {
  const room = await makeRoom(), one = await connect(ann, ['websocket']);
  const nowhere = one.io.socket('/nowhere', { auth: {} });
  const refusal = await once(nowhere, 'connect_error');
  assert.equal(refusal.message, 'Invalid namespace');
  assert.equal((await join(one, room)).ok, true);
  one.close();
});

test('S4-32: a bad token is a connect_error', async () => {
  await assert.rejects(connect('no.such.token', ['websocket']), (error) => error.data.code === 'unauthorized');
});

test('attachments are received, and refused where text is wanted', async () => {
  for (const transports of TRANSPORTS.slice(0, 2)) {
    const room = await makeRoom(), one = await connect(ann, transports);
    await join(one, room);
    assert.equal((await say(one, room, Buffer.from([1, 2, 3]))).ok, false);
    assert.equal((await say(one, room, 'text')).ok, true);
    one.close();
  }
});

test('the client of Engine.IO opens, changes its transport and closes', async () => {
  for (const transports of TRANSPORTS) {
    const link = new EngineSocket(base, { path: '/socket.io/', transports, agent });
    await once(link, 'open');
    if (transports.length > 1) await once(link, 'upgrade');
    assert.equal(link.transport.name, transports.at(-1));
    link.send('0/nowhere,');
    assert.equal(await once(link, 'data'), '4/nowhere,{"message":"Invalid namespace"}');
    const closed = once(link, 'close');
    link.close();
    assert.equal(await closed, 'forced close');
  }
});

/** The workers of the server, when it is ours. */
function workers() {
  const children = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && pid !== master);
  return children.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')[1] === master;
    } catch {
      return false;
    }
  });
}

/** Every worker is killed SETTLED ms after two clients joined; whether both recovered, with every text. */
async function comeBack(settled) {
  const room = await makeRoom(), expected = [];
  const one = await connect(ann, ['websocket']), other = await connect(bob, ['polling']);
  const talk = async (count) => {
    for (let number = 0; number < count; number++) {
      expected.push(`text ${expected.length}`);
      while (!(await say(other, room, expected.at(-1)).catch(() => ({}))).ok) /* again */;
    }
  };
  await join(one, room);
  await join(other, room);
  await talk(3);
  await texts(one, 3);
  await setTimeout(settled);
  const back = [once(one, 'connect'), once(other, 'connect')];
  one.io.engine.close();
  await talk(2);
  workers().forEach((pid) => process.kill(Number(pid), 'SIGKILL'));
  await Promise.all(back);
  const recovered = one.recovered && other.recovered;
  if (recovered) {
    await talk(2);
    for (const client of [one, other]) assert.deepEqual(await texts(client, 7), expected);
  }
  one.close();
  other.close();
  return recovered;
}

// what is followed is written a moment after it is: a client whose worker dies before that is told so
test('C2: clients come back when every worker was killed', { skip: !master }, async () => {
  for (let settled = 300; !(await comeBack(settled)); settled *= 2) assert.ok(settled < 5000);
});
