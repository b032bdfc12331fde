// SPDX-License-Identifier: MIT
// The page of a room with a code, alive: what is said and who is there come over Socket.IO.
//
// The page works without this script: its forms and links do the same, a page at a time. So whatever
// cannot be done here (no connection, an answer that does not come) is left to them. After a gap
// that the connection could not close by itself, the page is read again and what is new taken from
// it: a message has one line, by its id, however often and from where it arrives.

const ACK_MS = 12_000; // the server gives up on a send after 5 s
const RETRY_MS = 3_000;
const SETTLE_MS = 500; // arrivals and departures closer than this are one look at the people
const NEAR_END = 80; // pixels: whoever reads so close to the end is kept there

const $ = (id) => document.getElementById(id);
const messages = $('messages');
const form = $('last');
const me = document.querySelector('header bdi').textContent;

/** Makes an element with these attributes; strings among the children become text. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const status = el('p', { id: 'status', role: 'status', class: 'notice', hidden: '' });
form.before(status);

function say(text) {
  status.textContent = text;
  status.hidden = !text;
}

/** For the style sheet, and for whoever drives the page: "live" once everything said is shown. */
function setLive(isLive) {
  document.body.dataset.state = isLive ? 'live' : 'waiting';
}

// ---- Messages ---------------------------------------------------------------------------------

const atEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - NEAR_END;

/** Puts a line where its id belongs; one that is there already is left as it is. */
function place(line) {
  const id = BigInt(line.dataset.id);
  let next = null;
  for (let node = messages.lastElementChild; node; node = node.previousElementSibling) {
    if (!node.dataset.id) continue; // an arrival or departure
    if (BigInt(node.dataset.id) === id) return;
    if (BigInt(node.dataset.id) < id) break;
    next = node;
  }
  messages.insertBefore(line, next);
}

/** As web/pages/message.html has it. */
function messageLine({ id, name, message, timestamp }) {
  const line = el('li', { 'data-id': id },
    el('p', { class: 'by' }, el('bdi', {}, name), ' ', el('time', { datetime: timestamp }, timestamp)),
    el('p', { class: 'text', dir: 'auto' }, message));
  if (name === me) line.className = 'me';
  return line;
}

function show(line) {
  const follow = atEnd();
  if (line.dataset.id) place(line);
  else messages.append(line);
  if (follow) form.scrollIntoView({ block: 'nearest' });
}

// ---- The page, read again ---------------------------------------------------------------------

/** The document at an address of this room; when the way leads out of it, we follow. */
async function read(address) {
  const answer = await fetch(address, { headers: { Accept: 'text/html' } });
  if (answer.redirected) location.assign(answer.url);
  if (answer.redirected || !answer.ok) throw new Error(`${address}: ${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), 'text/html');
}

const lines = (page) => [...page.querySelectorAll('#messages > li')].map((line) => document.adoptNode(line));

function takePeople(page) {
  $('people').replaceChildren(...page.querySelectorAll('#people > li'));
  $('count').textContent = page.getElementById('count').textContent;
}

/** Takes in what is new, back to the last line that was here. */
async function catchUp() {
  const newest = [...messages.querySelectorAll('li[data-id]')].at(-1)?.dataset.id ?? '0';
  let page = await read('/room');
  takePeople(page);
  while (page) {
    const older = page.querySelector('.earlier a')?.getAttribute('href');
    const found = lines(page);
    const reaches = !found.length || BigInt(found[0].dataset.id) <= BigInt(newest);
    for (const line of found) show(line);
    page = older && !reaches ? await read(older) : null;
  }
}

async function catchUpNow() {
  try {
    await catchUp();
  } catch {
    say('New messages cannot be read. Trying again…');
    setTimeout(catchUpNow, RETRY_MS);
    return;
  }
  say('');
  setLive(true);
}

let settling = 0;
function lookAtPeople() {
  clearTimeout(settling);
  settling = setTimeout(async () => {
    const page = await read('/room').catch(() => null);
    if (page) takePeople(page);
  }, SETTLE_MS);
}

// ---- What was said before ---------------------------------------------------------------------

async function readEarlier(link) {
  const part = link.closest('.earlier');
  if (part.ariaBusy) return;
  part.ariaBusy = 'true';
  const page = await read(link.getAttribute('href')).catch(() => null);
  part.ariaBusy = null;
  if (!page) return;
  const below = document.documentElement.scrollHeight - scrollY;
  for (const line of lines(page)) place(line);
  const next = page.querySelector('.earlier');
  if (next) {
    part.replaceWith(next);
    watcher.observe(next);
  } else {
    part.remove();
  }
  scrollTo({ top: document.documentElement.scrollHeight - below, behavior: 'instant' });
}

// Only a reader who moves up is shown more: a page that opens at its top would load everything.
const watcher = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (isIntersecting && hasScrolled) readEarlier(target.querySelector('a'));
  }
});

let hasScrolled = false;
addEventListener('scroll', () => { hasScrolled = true; }, { once: true, passive: true });
addEventListener('click', (event) => {
  const link = event.target.closest?.('.earlier a');
  if (!link) return;
  event.preventDefault();
  readEarlier(link);
});

// ---- The connection ---------------------------------------------------------------------------

/** Refused by the server, which the client takes for good: the page tells whether we are out. */
async function tryAgain(socket) {
  await read('/room').catch(() => null);
  setTimeout(() => socket.connect(), RETRY_MS);
}

function connect() {
  const socket = globalThis.io();
  socket.on('connect', () => {
    if (!socket.recovered) {
      catchUpNow();
      return;
    }
    say('');
    setLive(true);
  });
  socket.on('disconnect', (reason) => {
    setLive(false);
    say('The connection is lost. Reconnecting…');
    if (reason === 'io server disconnect') socket.connect(); // then the page tells why, if there is a reason
  });
  socket.on('connect_error', () => {
    say('There is no connection. Reconnecting…');
    if (!socket.active) tryAgain(socket);
  });
  socket.on('message', (event) => {
    if (!event.system) {
      show(messageLine(event));
      return;
    }
    show(el('li', { class: 'system' }, el('bdi', {}, event.name), ` ${event.message}`));
    lookAtPeople();
  });
  form.addEventListener('submit', (event) => send(socket, event));
}

/** UUID version 4 (RFC 9562, section 5.4); crypto.randomUUID is for secure origins only. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = 0x40 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

let sending = null; // the last message that no answer came for: { text, key }

/** Puts a message into the form that may be stored already: with its key it stays one. */
function putBack({ text, key }) {
  form.elements.message.value = text;
  form.elements.key.value = key;
}

async function send(socket, event) {
  const { key, message } = form.elements;
  const isRepeated = sending?.text === message.value;
  if (!socket.connected) { // the form is sent as it is
    if (isRepeated) putBack(sending);
    return;
  }
  event.preventDefault();
  if (isRepeated) return;
  const mine = { text: message.value, key: key.value };
  sending = mine;
  key.value = newKey(); // what is sent before the answer is another message
  try {
    const answer = await socket.timeout(ACK_MS).emitWithAck('message', { data: mine.text, clientMsgId: mine.key });
    say(answer.ok ? '' : answer.error);
    if (message.value !== mine.text) return;
    if (answer.ok) message.value = '';
    else key.value = mine.key;
  } catch {
    putBack(mine);
    form.submit();
  } finally {
    if (sending === mine) sending = null;
  }
}

// An older page of the room stays as it is: there is a gap between it and what is said now.
if (!new URLSearchParams(location.search).has('before')) {
  const first = document.querySelector('.earlier');
  if (first) watcher.observe(first);
  if (globalThis.io) connect();
}
