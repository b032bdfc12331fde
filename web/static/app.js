// SPDX-License-Identifier: MIT
// The roomd page: rooms, one open room over a WebSocket, its message log, people and typing.
// Leaves looks to style.css and every decision about who may do what to the server.
//
// The promise kept here: what the user sends is shown at once, kept until the server's own copy of
// it comes back, and sent again under the same client_id after any loss of the connection. Copies
// are told apart by id and ordered by rev, so a message has one node however often it arrives.
//
// With ?debug=1 in the address the client's functions and state are window.roomd, if the server is
// in development mode.

const MAX_ATTEMPTS = 5; // automatic reconnects before the page asks
const SLOW_RETRY_MS = 30_000; // after that: every 30 to 60 s
const CONNECT_MS = 10_000; // from opening a socket to "connected"
const CONFIRM_MS = 12_000; // the server gives up on a send after 5 s, so 12 s means a dead link
const PING_MS = 25_000;
const POLL_MS = 15_000;
const TYPING_REPEAT_MS = 3_000;
const TYPING_IDLE_MS = 1_000;
const SETTLE_MS = 5_000;
const HOLE_MS = 1_000; // a message that is overtaken may be so late
const GROUP_MS = 5 * 60_000; // lines of one author closer than this form a group
const MAX_CHARS = 16_000;
const MAX_LINKS = 20; // per message: bounds its nodes
const MAX_NODES = 460; // elements in the whole document that scrolling aims to stay below
const LIST_STEP = 25; // rooms and people shown before "show more"
const LOG_HEAD = 56; // .log padding above the first and below the last message (style.css)
const LOG_FOOT = 8;
const SLOW_SEND_MS = 1_500; // only then a pending line says so in words
const SCROLL_REST_MS = 150; // without a scroll event for so long, scrolling has come to rest
const SEND_BURST = 8; // stays below the server's 10 sends/s, so a flushed outbox keeps its order
const SEND_PER_S = 8;

// ---- 1. Small tools ---------------------------------------------------------------------------

const $ = (id) => document.getElementById(id);

/** Makes an element; strings among the children become text, never markup. */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  const { data = {}, ...rest } = props;
  for (const [name, value] of Object.entries(rest)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  Object.assign(node.dataset, data);
  node.append(...children);
  return node;
}

/** UUID version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, then random bits. */
function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0, t = now; i < 6; i++, t = Math.floor(t / 256)) bytes[5 - i] = t % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** A stable colour class for a name (FNV-1a over its folded form). */
function toneOf(name) {
  let h = 0x811c9dc5;
  for (const ch of name.toLowerCase()) h = Math.imul(h ^ ch.codePointAt(0), 0x01000193);
  return `tone-${(h >>> 0) % 12}`;
}

const initialOf = (name) => (Array.from(name.trim())[0] ?? '?').toLocaleUpperCase();
const sameName = (a, b) => a.toLocaleLowerCase() === b.toLocaleLowerCase();
const plural = (n, one, many) => `${n} ${n === 1 ? one : many}`;

function parseJson(text) {
  try { return JSON.parse(text); } catch { return null; }
}

// Storage may be full or forbidden; the page then works without memory.
function recall(store, key) {
  try { return parseJson(store().getItem(key)); } catch { return null; }
}
function remember(store, key, value) {
  try {
    if (value === null) store().removeItem(key);
    else store().setItem(key, JSON.stringify(value));
  } catch { /* nothing to do */ }
}
const tab = () => sessionStorage;
const browser = () => localStorage;

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
const dayFormat = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
const yearFormat = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'long', year: 'numeric' });

/** Days since 1970 on the local calendar. */
function dayOf(ms) {
  const d = new Date(ms);
  return Date.UTC(d.getFullYear(), d.getMonth(), d.getDate()) / 86_400_000;
}

function dayName(ms) {
  const back = dayOf(Date.now()) - dayOf(ms);
  if (back === 0) return 'Today';
  if (back === 1) return 'Yesterday';
  return (back < 300 ? dayFormat : yearFormat).format(ms);
}

/** Relative within the hour, else the time of day; the day stands in the separators. */
function timeText(ms) {
  const min = Math.floor((Date.now() - ms) / 60_000);
  if (min < 1) return 'just now';
  return min < 60 ? `${min} min ago` : clockFormat.format(ms);
}

// ---- 2. State ---------------------------------------------------------------------------------

const state = {
  rooms: [],
  roomsShown: LIST_STEP,
  usersShown: LIST_STEP,
  username: recall(tab, 'roomd.name'), // the name in use in this tab
  account: null, // who is signed in, as the server describes them
  connection: 'idle', // idle, connecting, online, waiting, offline, stopped
  reconnectAttempts: 0,
  maxReconnectAttempts: MAX_ATTEMPTS,
  users: [],
  typingUsers: [],
  outbox: [], // of every room, oldest first; also in the tab's storage
  unseen: 0,
};

// The open room, or null. Late answers compare it with the one they were asked for.
let session = null;
const ui = {};
const wide = matchMedia('(min-width: 1080px)'); // as in style.css: room for the people panel
const pointer = matchMedia('(hover: hover)'); // else focus would raise an on-screen keyboard

function newSession(room, username) {
  return {
    room, username, socket: null,
    joined: false, // "connected" has come at least once: the input is open
    loaded: false, // the newest page of history is in the log
    rev: 0, // highest rev seen
    safeRev: 0, // everything up to here is certainly in the log: where a resume starts
    floor: 0, // rev named by the latest "connected": up to it frames are replay
    settled: false,
    seq: 0, checkedSeq: 0, // newest message number seen, and up to which there is no hole to look for
    refusal: '', // text of the last error frame before "connected"
    pausedUntil: 0, tokens: SEND_BURST, tokensAt: 0,
    heardAt: 0, pongs: false,
    timers: {},
  };
}

/** One named timer of the session; setting it again replaces it, no function clears it. */
function timer(link, name, fn, ms) {
  clearTimeout(link.timers[name]);
  link.timers[name] = fn ? setTimeout(fn, ms) : 0;
}

// ---- 3. HTTP ----------------------------------------------------------------------------------

async function request(method, path, body) {
  const init = { method, headers: { Accept: 'application/json' } };
  if (body) {
    init.headers['Content-Type'] = 'application/json';
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Error('The server cannot be reached.');
  }
  const data = parseJson(await answer.text());
  if (answer.ok) return data;
  const { code, field } = data ?? {};
  throw Object.assign(new Error(problemText(data, answer.status)), { status: answer.status, code, field });
}

/** The server's own words: "detail" as text, or as a list of {msg}. */
function problemText(data, status) {
  const detail = data?.detail ?? data?.message;
  if (typeof detail === 'string') return detail;
  if (Array.isArray(detail)) return detail.map((d) => d.msg ?? String(d)).join('; ');
  return `The server answered with error ${status}.`;
}

// ---- 4. Rooms ---------------------------------------------------------------------------------

const roomNodes = new Map();
const findRoom = (id) => state.rooms.find((r) => String(r.id) === String(id));
const liveCount = (room) => Number(room.users ?? 0);

async function loadRooms() {
  state.roomsAt = Date.now();
  try {
    state.rooms = await request('GET', '/api/chat/rooms') ?? [];
    state.roomsError = '';
  } catch (err) {
    state.roomsError = `${err.message} Trying again shortly.`;
  }
  renderRooms();
  return state.rooms;
}

function renderRooms() {
  const wanted = ui.filter.value.trim().toLocaleLowerCase();
  const hits = state.rooms.filter((r) => `${r.name} ${r.description ?? ''}`.toLocaleLowerCase().includes(wanted));
  const shown = hits.slice(0, state.roomsShown);
  const nodes = shown.map(roomNode);
  if (hits.length > shown.length) nodes.push(moreNode(hits.length - shown.length, 'rooms'));
  for (const id of roomNodes.keys()) {
    if (!shown.some((r) => String(r.id) === id)) roomNodes.delete(id);
  }
  placeChildren(ui.rooms, nodes);
  ui.filter.hidden = state.rooms.length < 8 && !wanted;
  const note = state.roomsError || (state.rooms.length === 0 ? 'No rooms yet. Make the first one.'
    : hits.length === 0 ? 'No room has that in its name.' : '');
  ui.roomsNote.textContent = note;
  ui.roomsNote.hidden = !note;
}

function roomNode(room) {
  const id = String(room.id);
  let node = roomNodes.get(id);
  if (!node) {
    node = el('li', {},
      el('button', { type: 'button', data: { room: id } },
        el('bdi', { className: 'name' }), el('span', { className: 'about' }), el('span', { className: 'count' })),
      el('button', { type: 'button', className: 'delete', data: { delete: id } }));
    roomNodes.set(id, node);
  }
  const open = session && String(session.room.id) === id;
  const n = open && session.joined ? state.users.length : liveCount(room);
  const [button, trash] = node.children;
  const [name, about, count] = button.children;
  button.className = `room ${toneOf(room.name)}`;
  button.dataset.initial = initialOf(room.name);
  if (open) button.setAttribute('aria-current', 'true');
  else button.removeAttribute('aria-current');
  setText(name, room.name);
  setText(about, room.description ?? '');
  setText(count, String(n));
  count.dataset.n = n;
  count.title = `${plural(n, 'person', 'people')} here`;
  trash.ariaLabel = trash.title = `Delete ${room.name}`;
  return node;
}

function moreNode(n, what) {
  return el('li', { className: 'more' },
    el('button', { type: 'button', className: 'link', data: { more: what } }, `Show ${n} more`));
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes the list's children exactly these, moving only what is out of place (focus stays). */
function placeChildren(list, nodes) {
  const keep = new Set(nodes);
  for (const node of [...list.children]) if (!keep.has(node)) node.remove();
  let cursor = list.firstElementChild;
  for (const node of nodes) {
    if (node === cursor) cursor = cursor.nextElementSibling;
    else list.insertBefore(node, cursor);
  }
}

async function createRoom(name, description = '') {
  const room = await request('POST', '/api/chat/rooms', { name, description });
  await loadRooms();
  if (!findRoom(room.id)) state.rooms.push(room);
  ui.createDialog.close();
  selectRoom(room.id);
  return room;
}

async function deleteRoom(id) {
  const room = findRoom(id);
  try {
    await request('DELETE', `/api/chat/rooms/${encodeURIComponent(id)}`);
  } catch (err) {
    if (err.status !== 404) throw err; // someone else was quicker: the same outcome
  }
  if (session && String(session.room.id) === String(id)) leave();
  showNotice(`“${room?.name ?? 'The room'}” was deleted.`);
  await loadRooms();
}

/** Opens a room: at once if this tab already has a name, else after asking for one. */
function selectRoom(id) {
  const room = findRoom(id);
  if (!room) return;
  openDrawer(null);
  if (session && String(session.room.id) === String(id) && state.connection !== 'stopped') ui.input.focus();
  else if (state.username) join(room, state.username);
  else askName(room);
}

/** Asks for a name: to join the room, or without one just to change it. */
function askName(room, error = '') {
  ui.joinTitle.textContent = room ? `Join ${room.name}` : 'Change your name';
  ui.joinSubmit.textContent = room ? 'Join the room' : 'Use this name';
  ui.joinName.value = state.username ?? recall(browser, 'roomd.name') ?? '';
  ui.joinError.textContent = error;
  ui.joinDialog.room = room;
  if (!ui.joinDialog.open) ui.joinDialog.showModal();
  ui.joinName.select();
}

// ---- 5. Joining, leaving ----------------------------------------------------------------------

function join(room, username) {
  endSession();
  session = newSession(room, username);
  useName(username);
  state.reconnectAttempts = 0;
  resetLog();
  for (const item of state.outbox) if (isMine(item)) placeItem(revive(item));
  showNotice('');
  showRoom();
  connect();
}

/** The name as the server writes it; the next visit begins with it. */
function useName(username) {
  state.username = username;
  if (session) session.username = username;
  remember(browser, 'roomd.name', username);
  remember(tab, 'roomd.name', username);
  renderMe();
}

/** Goes out by the user's will: the others are told by the server, the page shows the welcome. */
function leave() {
  endSession();
  showWelcome();
  loadRooms();
}

function endSession() {
  const link = session;
  if (!link) return;
  typing(false);
  drafts.set(String(link.room.id), ui.input.value);
  for (const name of Object.keys(link.timers)) timer(link, name, null);
  session = null;
  link.socket?.close(1000, 'left');
  for (const item of state.outbox) if (item.state === 'sent') item.state = 'waiting';
  Object.assign(state, { users: [], typingUsers: [], unseen: 0, usersShown: LIST_STEP });
  setConnection('idle');
}

const drafts = new Map();

// ---- 6. Accounts: account.js, fetched when somebody has or wants one --------------------------

const withAccounts = () => import('./account.js').then((accounts) => {
  if (!$('account-dialog')) accounts.start({ el, request, becomes, say: showNotice, standAside });
  return accounts;
});

/** A guest who is connected as NAME frees it for an account, and keeps the room; returns the way back, or null. */
function standAside(name) {
  if (!session || state.account || !sameName(name, session.username)) return null;
  const { room, username } = session;
  endSession();
  state.wantedRoom = room;
  return () => join(room, username);
}

/** Signs in, or shows the settings of who is; ROOM is entered afterwards. */
function openAccount(reason = '', room = null) {
  openDrawer(null);
  state.wantedRoom = room;
  withAccounts().then((accounts) => accounts.open(reason), () => showNotice('The server cannot be reached.'));
}

/** The server says who this browser is: its account, or nobody's. */
function becomes(account) {
  const before = state.account;
  state.account = account;
  remember(browser, 'roomd.account', account && true);
  const room = session?.room ?? state.wantedRoom;
  state.wantedRoom = null;
  if (account) {
    if (room && (!session || !before)) join(room, account.username);
    else useName(account.username);
  } else if (before) {
    endSession();
    showWelcome();
    forgetName();
    showNotice('You are signed out.');
  }
  renderMe();
}

function forgetName() {
  state.username = null;
  for (const store of [tab, browser]) remember(store, 'roomd.name', null);
}

// ---- 7. The socket ----------------------------------------------------------------------------

function connect() {
  const link = session;
  if (!link) return;
  timer(link, 'retry', null);
  const url = new URL(`/ws/chat/${encodeURIComponent(link.room.id)}`, location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url);
  link.socket = socket;
  link.refusal = '';
  setConnection('connecting');
  timer(link, 'connect', () => drop(link), CONNECT_MS);
  socket.onopen = () => {
    transmit({ username: link.username });
    if (link.loaded) transmit({ type: 'resume', rev: link.safeRev });
  };
  socket.onmessage = (event) => {
    if (link === session && socket === link.socket) handle(parseJson(event.data));
  };
  socket.onclose = (event) => {
    if (link === session && socket === link.socket) closed(event);
  };
}

function transmit(frame) {
  const socket = session?.socket;
  if (socket?.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(frame));
  return true;
}

/** Gives a silent connection up without waiting for its close handshake. */
function drop(link) {
  if (link !== session) return;
  const { socket } = link;
  if (socket) socket.onclose = socket.onmessage = socket.onopen = null;
  socket?.close();
  closed({ code: 1006, reason: '' });
}

const onFrame = {
  connected(frame, link) {
    timer(link, 'connect', null);
    useName(frame.username ?? link.username);
    link.floor = Number(frame.rev) || 0;
    link.joined = true;
    state.reconnectAttempts = 0;
    setConnection('online');
    heartbeat(link);
    if (link.loaded) settleLater(link);
    else syncHistory();
    flush();
  },
  users_list(frame) {
    state.users = frame.users ?? [];
    renderUsers();
    renderRooms();
  },
  system(frame) { addSystem(frame); },
  message(frame) { addMessage(frame); },
  typing(frame) {
    state.typingUsers = frame.users ?? [];
    renderTyping();
  },
  pong(frame, link) { link.pongs = true; },
  gap() { syncHistory(); },
  error(frame, link) {
    const item = frame.client_id && state.outbox.find((o) => o.client_id === frame.client_id);
    if (item) refuse(item, frame);
    else if (frame.code === 'gap') syncHistory();
    else if (!link.joined || frame.code !== 'rate_limited') link.refusal = frame.message ?? frame.code;
    if (!item && link.joined && frame.code !== 'rate_limited' && frame.code !== 'gap') {
      showNotice(frame.message ?? frame.code);
    }
  },
};

/** Acts on one frame of the open room; kinds this page does not know are left alone. */
function handle(frame) {
  const link = session;
  if (!link || !frame) return;
  link.heardAt = Date.now();
  if (Object.hasOwn(onFrame, frame.type)) onFrame[frame.type](frame, link);
}

// Frames up to link.floor are replay. Until the replay has been quiet for a while a new resume
// would start from before it again: copies cost nothing, a hole would.
function settleLater(link) {
  link.settled = false;
  timer(link, 'settle', () => settle(link), SETTLE_MS);
}

function settle(link) {
  timer(link, 'settle', null);
  link.settled = true;
  link.safeRev = Math.max(link.safeRev, link.rev, link.floor);
  if (link.checkedSeq) fillHole(link);
  else link.checkedSeq = link.seq;
}

/** Message numbers have no gaps. One that stays open is read from history, each only once: it may be a deletion. */
function fillHole(link) {
  const since = link.checkedSeq;
  let after = Infinity;
  link.checkedSeq = link.seq;
  for (let i = log.items.length - 1; i >= 0 && after > since; i--) {
    const { seq } = log.items[i];
    if (!seq) continue;
    if (after !== Infinity && after - seq > 1) {
      syncHistory();
      return;
    }
    after = seq;
  }
}

function noteSeq(seq) {
  const link = session;
  if (!seq) return;
  if (link.settled && seq > link.seq + 1) timer(link, 'hole', () => fillHole(link), HOLE_MS);
  link.seq = Math.max(link.seq, seq);
}

function noteRev(rev) {
  const link = session;
  link.rev = Math.max(link.rev, rev);
  if (link.settled) link.safeRev = link.rev;
  else if (link.loaded && rev <= link.floor) settleLater(link);
}

/** Finds links that died without a close: asks when nothing was heard for a while. */
function heartbeat(link, wait = PING_MS) {
  timer(link, 'ping', () => {
    const askedAt = Date.now();
    if (!transmit({ type: 'ping' })) return;
    timer(link, 'ping', () => {
      if (link.pongs && link.heardAt < askedAt) drop(link);
      else heartbeat(link);
    }, CONNECT_MS);
  }, wait);
}

const STOP_TEXT = {
  4400: 'The server did not accept what this page sent.',
  4401: 'This room needs a login.',
  4403: 'You may not enter this room.',
  4404: 'This room does not exist any more.',
  4409: 'This room is open in a newer window.',
  4413: 'The last message was too large.',
};
const HINTED = new Set([1001, 1012, 1013, 4429]);

function closed({ code, reason }) {
  const link = session;
  link.socket = null;
  for (const name of ['connect', 'ping', 'settle', 'hole', 'flush', 'confirm']) timer(link, name, null);
  link.settled = false;
  for (const item of state.outbox) {
    if (item.state !== 'sent') continue;
    if (code === 4413 || code === 1009) markRefused(item, STOP_TEXT[4413]);
    else item.state = 'waiting';
  }
  state.typingUsers = [];
  renderTyping();
  if (code === 4404) roomGone(link);
  else if (code in STOP_TEXT) stopped(link, code, link.refusal || STOP_TEXT[code]);
  else retryLater(link, code, reason);
}

function roomGone(link) {
  const text = link.joined ? `“${link.room.name}” was deleted.` : STOP_TEXT[4404];
  leave();
  showNotice(text);
}

/** The server said no for good: before joining the name is asked again, later a button offers it. */
function stopped(link, code, text) {
  if (link.joined) {
    setConnection('stopped', text);
    if (code === 4401 && state.account) becomes(null);
    return;
  }
  leave();
  if (code === 4401) openAccount(text, link.room);
  else askName(link.room, text);
}

function retryLater(link, code, reason) {
  const hint = HINTED.has(code) ? Number(/\d+(\.\d+)?/.exec(reason ?? '')?.[0] ?? NaN) : NaN;
  const attempt = state.reconnectAttempts;
  let delay = Math.random() * 1000 * 2 ** attempt; // exponential, full jitter
  if (attempt >= MAX_ATTEMPTS) delay = SLOW_RETRY_MS * (1 + Math.random());
  if (hint >= 0) delay = Math.min(hint, 300) * 1000 + Math.random() * 1000;
  link.retryAt = Date.now() + delay;
  timer(link, 'retry', () => {
    state.reconnectAttempts++;
    connect();
  }, delay);
  setConnection(attempt >= MAX_ATTEMPTS ? 'offline' : 'waiting');
}

/** Tries at once and starts a new series of attempts: the button, or the network came back. */
function retryNow() {
  const link = session;
  if (!link) return;
  if (state.connection === 'stopped') join(link.room, link.username);
  else if (!link.socket) {
    state.reconnectAttempts = 0;
    connect();
  } else heartbeat(link, 0);
}

// ---- 8. Sending -------------------------------------------------------------------------------

const isMine = (item) => session && item.room === String(session.room.id) && sameName(item.username, session.username);

/** Puts a message into the outbox, shows it as pending and lets it go when the link allows. */
function send(content = ui.input.value) {
  const text = content.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g, '').trim();
  if (!session?.joined || !text || countChars(text) > MAX_CHARS) return null;
  const item = {
    kind: 'message', client_id: uuid7(), room: String(session.room.id), username: session.username,
    content: text, at: Date.now(), state: 'waiting', reason: '',
  };
  state.outbox.push(item);
  saveOutbox();
  typing(false);
  log.pinned = true;
  placeItem(revive(item));
  setTimeout(scheduleDraw, SLOW_SEND_MS + 50);
  flush();
  return item;
}

const countChars = (text) => (text.length <= MAX_CHARS ? text.length : Array.from(text).length);

function saveOutbox() {
  const rows = state.outbox.map(({ client_id, room, username, content, at, state: s, reason }) =>
    ({ client_id, room, username, content, at, state: s === 'refused' ? s : 'waiting', reason }));
  remember(tab, 'roomd.outbox', rows.length ? rows : null);
}

/** Sends what waits, oldest first, no faster than the server takes it. */
function flush() {
  const link = session;
  if (!link || state.connection !== 'online') return;
  const now = Date.now();
  link.tokens = Math.min(SEND_BURST, link.tokens + (now - link.tokensAt) / 1000 * SEND_PER_S);
  link.tokensAt = now;
  for (const item of state.outbox) {
    if (item.state !== 'waiting' || !isMine(item)) continue;
    if (now < link.pausedUntil || link.tokens < 1) {
      timer(link, 'flush', flush, Math.max(link.pausedUntil - now, 1000 / SEND_PER_S));
      break;
    }
    if (!transmit({ type: 'message', content: item.content, client_id: item.client_id })) break;
    link.tokens--;
    item.state = 'sent';
    item.sentAt = now;
  }
  watchConfirmations(link);
}

function watchConfirmations(link) {
  timer(link, 'confirm', () => {
    const late = state.outbox.some((o) => o.state === 'sent' && Date.now() - o.sentAt >= CONFIRM_MS);
    if (late) drop(link);
    else if (state.outbox.some((o) => o.state === 'sent')) watchConfirmations(link);
  }, CONFIRM_MS / 4);
}

/** An error frame about one message: with a retry time it waits, else the user decides. */
function refuse(item, frame) {
  const link = session;
  if (frame.retry_after === undefined && frame.code !== 'unavailable') {
    markRefused(item, frame.message ?? frame.code);
    return;
  }
  item.state = 'waiting';
  link.pausedUntil = Date.now() + (Number(frame.retry_after) || 2) * 1000;
  timer(link, 'flush', flush, link.pausedUntil - Date.now());
}

function markRefused(item, reason) {
  item.state = 'refused';
  item.reason = reason;
  saveOutbox();
  say(`Not sent: ${reason}`);
  scheduleDraw();
}

function retrySend(item) {
  Object.assign(item, { state: 'waiting', reason: '' });
  saveOutbox();
  scheduleDraw();
  flush();
}

function discard(item) {
  dropFromOutbox(item);
  removeItem(item);
}

function dropFromOutbox(item) {
  state.outbox = state.outbox.filter((o) => o !== item);
  saveOutbox();
}

// ---- 9. The log: what is known of the conversation --------------------------------------------
//
// Items are sorted by (rev, order). Messages carry the server's rev; a system line takes the rev
// of the message before it; what is not confirmed yet stands at the end with an infinite rev.

const log = {
  items: [], byId: new Map(), tops: new Float64Array(256), clean: 0, serial: 0,
  anchor: null, shown: null, pinned: true, bias: 0, scrolling: false, scrollTop: 0,
  complete: false, loading: false, failed: false,
};

function resetLog() {
  Object.assign(log, { items: [], byId: new Map(), clean: 0, anchor: null, shown: null, pinned: true, bias: 0 });
  Object.assign(log, { complete: false, loading: false, failed: false });
  ui.log.replaceChildren();
}

const comesBefore = (a, b) => a.rev - b.rev || a.order - b.order;

function indexOfItem(item) {
  let lo = 0;
  let hi = log.items.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    const other = log.items[mid];
    if (other.rev < item.rev || (other.rev === item.rev && other.order < item.order)) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

function placeItem(item) {
  const i = indexOfItem(item);
  log.items.splice(i, 0, item);
  log.clean = Math.min(log.clean, i);
  scheduleDraw();
}

function removeItem(item) {
  const i = indexOfItem(item);
  if (log.items[i] !== item) return;
  log.items.splice(i, 1);
  log.clean = Math.min(log.clean, i);
  scheduleDraw();
}

/** Gives an outbox entry its place at the end of the log. */
function revive(item) {
  return Object.assign(item, { kind: 'message', rev: Infinity, order: ++log.serial, node: null, height: 0 });
}

/** The revision a message id carries in its low 32 bits, where the frame does not name it. */
function revOf(row) {
  if (row.rev !== undefined) return Number(row.rev);
  return Number(BigInt(row.id) & 0xffffffffn);
}

function itemFrom(row) {
  return {
    kind: 'message', id: String(row.id), rev: revOf(row), order: 0, seq: row.seq,
    username: row.username, content: row.content, at: Date.parse(row.created_at), state: '',
  };
}

/** Takes the server's copy of a message, from the stream or from history, once. */
function addMessage(row, live = true) {
  const mine = row.client_id && state.outbox.find((o) => o.client_id === row.client_id && isMine(o));
  const known = log.byId.has(String(row.id));
  if (session) {
    noteRev(revOf(row));
    noteSeq(row.seq);
  }
  if (mine) confirm(mine, known ? null : row);
  if (known) return log.byId.get(String(row.id));
  const item = mine ?? itemFrom(row);
  log.byId.set(item.id, item);
  if (!mine) placeItem(item);
  if (live && !mine && session?.loaded) noteArrival(item);
  return item;
}

/** The sender's copy is the confirmation: the pending line becomes the message, node and all. */
function confirm(item, row) {
  dropFromOutbox(item);
  removeItem(item);
  if (!row) return;
  Object.assign(item, itemFrom(row));
  placeItem(item);
}

function addMessages(rows) {
  const fresh = [];
  for (const row of rows) {
    const id = String(row.id);
    if (log.byId.has(id)) continue;
    if (row.client_id && state.outbox.some((o) => o.client_id === row.client_id && isMine(o))) {
      addMessage(row, false);
      continue;
    }
    const item = itemFrom(row);
    log.byId.set(id, item);
    fresh.push(item);
    if (!session) continue;
    noteRev(item.rev);
    session.seq = Math.max(session.seq, item.seq ?? 0);
  }
  log.items = log.items.concat(fresh).sort(comesBefore);
  log.clean = 0;
  scheduleDraw();
}

const SYSTEM_VERB = { join: 'joined', leave: 'left' };

/** Arrivals and departures in a row make one line. */
function addSystem(frame) {
  const verb = SYSTEM_VERB[frame.event];
  const last = log.items.findLast((i) => i.rev !== Infinity);
  const rev = last?.rev ?? 0;
  const at = Date.parse(frame.timestamp) || Date.now();
  if (verb && frame.username && last?.kind === 'system' && last.event === frame.event && at - last.at < GROUP_MS) {
    if (!last.names.includes(frame.username)) last.names.push(frame.username);
    last.content = joinedNames(last.names, verb);
    last.key = '';
    scheduleDraw();
    return;
  }
  placeItem({
    kind: 'system', rev, order: ++log.serial, event: frame.event, at,
    names: [frame.username], content: String(frame.content ?? ''), state: '',
  });
}

function joinedNames(names, verb) {
  if (names.length === 1) return `${names[0]} ${verb}`;
  if (names.length <= 3) return `${names.slice(0, -1).join(', ')} and ${names.at(-1)} ${verb}`;
  return `${names[0]}, ${names[1]} and ${names.length - 2} others ${verb}`;
}

const historyPath = (link, before) =>
  `/api/chat/rooms/${encodeURIComponent(link.room.id)}/messages${before ? `?before=${encodeURIComponent(before)}` : ''}`;
const oldest = () => log.items.find((i) => i.id);

/** One more page at the old end; called when scrolling comes near it. */
async function loadHistory() {
  const link = session;
  const first = oldest();
  if (!link || log.loading || log.complete || !first) return;
  await loading(link, async () => {
    const page = await request('GET', historyPath(link, first.id)) ?? [];
    if (link !== session) return;
    addMessages(page);
    markBeginning(page);
  });
}

/** Newest page, and further ones until they meet what the log has: first load, and after a gap. */
async function syncHistory() {
  const link = session;
  await loading(link, async () => {
    const known = new Set(log.byId.keys());
    const rows = [];
    let page;
    let met = false;
    do {
      page = await request('GET', historyPath(link, rows[0]?.id)) ?? [];
      if (link !== session) return;
      met = page.some((row) => known.has(String(row.id)));
      rows.unshift(...page);
    } while (known.size && !met && page.length && rows.length < 1000);
    if (!met && rows.length) forgetBefore(revOf(rows[0]));
    addMessages(rows);
    if (!met) markBeginning(page);
    link.loaded = true;
    settle(link);
  });
}

async function loading(link, work) {
  log.loading = true;
  log.failed = false;
  renderOlder();
  try {
    await work();
  } catch {
    if (link === session) log.failed = true;
  }
  if (link !== session) return;
  log.loading = false;
  renderOlder();
  scheduleDraw();
}

function markBeginning(page) {
  const first = oldest();
  log.complete = page.length === 0 || first?.rev <= 1 || Number(first?.seq) === 1;
}

/** Drops loaded messages that a hole separates from the newest ones; scrolling loads them again. */
function forgetBefore(rev) {
  const gone = log.items.filter((i) => i.rev < rev);
  for (const item of gone) if (item.id) log.byId.delete(item.id);
  log.items = log.items.filter((i) => i.rev >= rev);
  log.clean = 0;
}

// ---- 10. The log on screen: only what is near the view has nodes -------------------------------
//
// Heights are estimated until a line was once laid out. The view holds on to an anchor, the first
// visible line, or to the end of the log ("pinned"), so corrections above never move the text.

let drawDue = false;

function scheduleDraw() {
  if (drawDue) return;
  drawDue = true;
  requestAnimationFrame(renderMessages);
}

function estimate(item) {
  if (item.kind === 'system') return 34;
  return 40 + 22 * Math.floor(item.content.length / 64);
}

/** tops[i] is where item i begins, measured from the first one. */
function measureTops() {
  const n = log.items.length;
  if (log.tops.length <= n) {
    const bigger = new Float64Array(n * 2 + 256);
    bigger.set(log.tops);
    log.tops = bigger;
  }
  for (let i = log.clean; i < n; i++) {
    const item = log.items[i];
    log.tops[i + 1] = log.tops[i] + (item.height || estimate(item));
  }
  log.clean = n;
  return log.tops[n];
}

function forgetHeights() {
  for (const item of log.items) item.height = 0;
  log.clean = 0;
}

function indexAt(y) {
  let lo = 0;
  let hi = log.items.length - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (log.tops[mid] <= y) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}

/** How item i stands to the one before it. */
function grouping(i) {
  const item = log.items[i];
  const before = log.items[i - 1];
  const newday = !before || dayOf(before.at) !== dayOf(item.at);
  const head = item.kind === 'message' && (newday || before.kind !== 'message'
    || before.username !== item.username || item.at - before.at > GROUP_MS);
  const late = item.state === 'refused'
    || (item.state && (state.connection !== 'online' || Date.now() - item.at > SLOW_SEND_MS));
  return { newday, head, late, key: `${newday}${head}${late}${item.state}${item.reason ?? ''}` };
}

/** Elements an item needs; close enough to keep the document within MAX_NODES. */
function nodeCost(i) {
  const item = log.items[i];
  item.links ??= Math.min(item.content.match(/https?:\/\//gi)?.length ?? 0, MAX_LINKS);
  return 3 + item.links + (item.username === log.items[i - 1]?.username ? 0 : 4) + (item.state ? 4 : 0);
}

/** The range of items to show: all that is visible, then around it as far as the budget goes. */
function chooseRange(top, height) {
  const n = log.items.length;
  let first = indexAt(top);
  let last = indexAt(top + height);
  let budget = MAX_NODES - (document.getElementsByTagName('*').length - ui.log.getElementsByTagName('*').length);
  for (let i = first; i <= last; i++) budget -= nodeCost(i);
  for (let moved = true; moved && budget > 0;) {
    moved = false;
    if (first > 0 && log.tops[first] > top - height) {
      budget -= nodeCost(--first);
      moved = true;
    }
    if (last < n - 1 && budget > 0 && log.tops[last + 1] < top + 2 * height) {
      budget -= nodeCost(++last);
      moved = true;
    }
  }
  return [first, last];
}

function anchorTop(total, height) {
  if (log.pinned || !log.anchor) return Math.max(0, total - height);
  const i = Math.min(indexOfItem(log.anchor.item), log.items.length - 1);
  return log.tops[i] + log.anchor.delta;
}

/** Brings the nodes in line with the log. A second pass follows when real heights differ. */
function renderMessages() {
  drawDue = false;
  if (!session || ui.chat.hidden) return;
  const height = ui.messages.clientHeight;
  if (ui.messages.scrollTop !== log.scrollTop) followScroll(); // its event is still to come
  for (let pass = 0; pass < 4 && log.items.length; pass++) {
    const total = measureTops();
    const [first, last] = chooseRange(anchorTop(total, height), height);
    showRange(first, last, total);
    if (!measureRange(first, last)) break;
  }
  if (!log.items.length) {
    ui.log.replaceChildren();
    ui.log.style.padding = '';
    log.shown = null;
  }
  holdPosition(height);
  renderJump();
  const near = anchorTop(measureTops(), height) < height * 1.5;
  if (near && session.loaded && !log.failed) loadHistory();
}

function showRange(first, last, total) {
  const nodes = [];
  for (let i = first; i <= last; i++) nodes.push(itemNode(i));
  const focused = ui.log.contains(document.activeElement);
  for (const node of ui.log.children) if (!nodes.includes(node)) node.item.node = null;
  placeChildren(ui.log, nodes);
  if (focused && !ui.log.contains(document.activeElement)) ui.messages.focus({ preventScroll: true });
  log.shown = { item: log.items[first], top: log.tops[first], above: log.tops[first], below: total - log.tops[last + 1] };
  padAround();
}

/** Empty room in place of the lines without nodes. */
function padAround() {
  const { above, below } = log.shown;
  ui.log.style.paddingTop = `${LOG_HEAD + above + log.bias}px`;
  ui.log.style.paddingBottom = `${LOG_FOOT + Math.max(0, below - log.bias)}px`;
}

/** Stores the heights of the shown lines; true if one was new or different. */
function measureRange(first, last) {
  let changed = false;
  for (let i = first; i <= last; i++) {
    const item = log.items[i];
    const h = item.node.getBoundingClientRect().height;
    if (Math.abs(h - (item.height ?? 0)) < 0.1) continue;
    item.height = h;
    log.clean = Math.min(log.clean, i);
    changed = true;
  }
  return changed;
}

// Setting scrollTop would cut off a scroll that is still in motion. Until it rests, the whole log is
// shifted by a bias instead, so that what is being read stays where it is.
function holdPosition(height) {
  const box = ui.messages;
  const total = measureTops();
  ui.older.style.top = `${Math.max(0, height - total - LOG_HEAD - LOG_FOOT)}px`;
  if (!log.shown) return;
  const want = LOG_HEAD + anchorTop(total, height);
  const off = log.pinned || !log.anchor ? 0 : box.scrollTop - want;
  log.bias = log.scrolling && LOG_HEAD + log.shown.above + off >= 0 ? off : 0;
  padAround();
  const to = log.pinned ? box.scrollHeight - height : want + log.bias;
  if ((log.pinned || log.anchor) && Math.abs(box.scrollTop - to) > 1) box.scrollTop = to;
  log.scrollTop = box.scrollTop;
}

/** How far the log has moved under what is on screen by lines that came in but are not drawn yet. */
function shiftSinceDrawn() {
  const i = log.shown ? indexOfItem(log.shown.item) : -1;
  return log.items[i] === log.shown?.item ? log.tops[i] - log.shown.top : 0;
}

/** Takes over a move by the user: where the view is now decides the anchor. */
function followScroll() {
  const { scrollTop, clientHeight, scrollHeight } = ui.messages;
  const below = scrollHeight - clientHeight - scrollTop;
  if (Math.abs(scrollTop - log.scrollTop) > 2 * clientHeight) log.bias = 0; // a leap: nothing to hold on to
  log.pinned = below <= 2 || (below <= 24 && scrollTop >= log.scrollTop); // a move upwards lets go at once
  log.scrollTop = scrollTop;
  log.anchor = null;
  if (!log.pinned && log.items.length) {
    measureTops();
    const y = scrollTop - LOG_HEAD - log.bias + shiftSinceDrawn();
    const i = indexAt(y);
    log.anchor = { item: log.items[i], delta: y - log.tops[i] };
  }
  if (log.pinned) seen();
}

function noteScroll() {
  if (ui.messages.scrollTop !== log.scrollTop) followScroll();
  log.scrolling = true;
  clearTimeout(log.restTimer);
  log.restTimer = setTimeout(() => {
    log.scrolling = false;
    scheduleDraw();
  }, SCROLL_REST_MS);
  scheduleDraw();
}

function showEnd() {
  log.pinned = true;
  seen();
  renderMessages();
}

function itemNode(i) {
  const item = log.items[i];
  const group = grouping(i);
  if (item.node && item.key === group.key) return item.node;
  item.node ??= el('li');
  item.node.item = item;
  item.key = group.key;
  if (item.kind === 'system') fillSystem(item.node, item, group);
  else fillMessage(item.node, item, group);
  return item.node;
}

const dayNode = (item) => el('span', { className: 'day' }, dayName(item.at));

function fillSystem(node, item, { newday }) {
  node.className = 'sys';
  node.replaceChildren(...(newday ? [dayNode(item)] : []), el('span', {}, item.content));
}

function fillMessage(node, item, { newday, head, late }) {
  const own = sameName(item.username, session.username);
  const flags = { own, head, newday, pending: item.state && item.state !== 'refused', refused: item.state === 'refused' };
  const classes = Object.keys(flags).filter((name) => flags[name]);
  node.className = ['msg', toneOf(item.username), ...classes].join(' ');
  node.dataset.initial = initialOf(item.username);
  node.dataset.clock = clockFormat.format(item.at);
  if (item.id) node.dataset.id = item.id;
  node.title = head ? '' : fullFormat.format(item.at);
  node.replaceChildren(el('p', { className: 'text', dir: 'auto' }, ...linkify(item.content)));
  if (head) node.prepend(metaNode(item, own));
  if (newday) node.prepend(dayNode(item));
  if (late) node.append(stateNode(item));
}

function metaNode(item, own) {
  const time = el('time', { dateTime: new Date(item.at).toISOString(), title: fullFormat.format(item.at) }, timeText(item.at));
  return el('div', { className: 'meta' }, el('bdi', {}, own ? 'You' : item.username), time);
}

function stateNode(item) {
  if (item.state !== 'refused') return el('div', { className: 'state' }, item.state === 'sent' ? 'Sending…' : 'Will be sent');
  return el('div', { className: 'state' }, `Not sent: ${item.reason}`, el('span', { className: 'pair' },
    el('button', { type: 'button', className: 'link', data: { act: 'retry' } }, 'Retry'),
    el('button', { type: 'button', className: 'link', data: { act: 'discard' } }, 'Discard')));
}

/** Text with its web addresses as links; only http and https, and never as markup. */
function linkify(text) {
  const parts = [];
  let end = 0;
  let links = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"`]+/gi)) {
    const address = trimAddress(match[0]);
    if (++links > MAX_LINKS || !URL.canParse(address)) continue;
    parts.push(text.slice(end, match.index),
      el('a', { href: address, target: '_blank', rel: 'noopener noreferrer nofollow' }, address));
    end = match.index + address.length;
  }
  parts.push(text.slice(end));
  return parts;
}

/** Punctuation after an address belongs to the sentence, and a bracket that it does not open. */
function trimAddress(address) {
  let out = address.replace(/[.,;:!?'*_~]+$/, '');
  while (out.endsWith(')') && out.split(')').length > out.split('(').length) {
    out = out.slice(0, -1).replace(/[.,;:!?'*_~]+$/, '');
  }
  return out;
}

function renderOlder() {
  const { older } = ui;
  if (log.failed) {
    older.replaceChildren(el('button', { type: 'button', className: 'link', data: { act: 'history' } },
      'Messages could not be loaded. Try again'));
  } else if (log.loading) older.textContent = 'Loading messages…';
  else if (log.complete) older.textContent = `This is where “${session.room.name}” begins.`;
  else older.textContent = '';
}

function renderJump() {
  ui.jump.hidden = log.pinned;
  setText(ui.jump, state.unseen ? plural(state.unseen, 'new message', 'new messages') : 'Latest messages');
}

function noteArrival(item) {
  if (!log.pinned || document.hidden) state.unseen++;
  renderTitle();
  say(`${item.username}: ${item.content.slice(0, 200)}`);
}

function seen() {
  if (document.hidden || !state.unseen) return;
  state.unseen = 0;
  renderTitle();
}

function refreshTimes() {
  for (const node of ui.log.querySelectorAll('time')) setText(node, timeText(Date.parse(node.dateTime)));
}

// ---- 11. People and typing --------------------------------------------------------------------

function renderUsers() {
  const me = session?.username ?? '';
  const names = [...state.users].sort((a, b) => sameName(b, me) - sameName(a, me));
  const shown = names.slice(0, state.usersShown);
  const nodes = shown.map((name) => el('li', {
    className: `person ${toneOf(name)}${sameName(name, me) ? ' self' : ''}`, data: { initial: initialOf(name) },
  }, el('bdi', {}, name)));
  if (names.length > shown.length) nodes.push(moreNode(names.length - shown.length, 'users'));
  ui.users.replaceChildren(...nodes);
  setText(ui.peopleCount, String(names.length));
}

function renderTyping() {
  const names = state.typingUsers.filter((name) => !session || !sameName(name, session.username));
  let text = '';
  if (names.length === 1) text = `${names[0]} is typing…`;
  else if (names.length === 2) text = `${names[0]} and ${names[1]} are typing…`;
  else if (names.length) text = 'Several people are typing…';
  setText(ui.typing, text);
}

/** Tells the room that the user types, at most every 3 s, or has stopped. */
function typing(on) {
  const link = session;
  if (!link || state.connection !== 'online') return;
  if (on && Date.now() - (link.typedAt ?? 0) >= TYPING_REPEAT_MS) {
    link.typedAt = Date.now();
    transmit({ type: 'typing', is_typing: true });
  }
  if (!on && link.typedAt) {
    link.typedAt = 0;
    transmit({ type: 'typing', is_typing: false });
  }
  timer(link, 'typing', on ? () => typing(false) : null, TYPING_IDLE_MS);
}

// ---- 12. The frame around it ------------------------------------------------------------------

const CONNECTION_TEXT = {
  idle: () => 'Not connected',
  connecting: () => (session?.joined ? 'Reconnecting' : 'Connecting'),
  online: () => 'Connected',
  waiting: () => 'Reconnecting',
  offline: () => 'No connection',
  stopped: () => 'Disconnected',
};

function setConnection(value, text = '') {
  state.connection = value;
  ui.status.dataset.state = value;
  setText(ui.status, CONNECTION_TEXT[value]());
  const open = Boolean(session?.joined) && value !== 'stopped';
  const wasOpen = !ui.input.disabled;
  ui.input.disabled = !open;
  ui.input.placeholder = open ? `Write to ${session.room.name}` : 'Connecting…';
  if (open && !wasOpen && pointer.matches && !document.querySelector('dialog[open]')) ui.input.focus();
  renderComposer();
  state.stopText = text;
  renderBanner();
  scheduleDraw();
}

/** What the user should know of a lost connection; a first quick retry passes unmentioned. */
function renderBanner() {
  const link = session;
  const up = state.connection === 'online' || state.connection === 'idle';
  const quiet = !link || up || (state.connection !== 'stopped' && state.reconnectAttempts < 1);
  ui.link.hidden = quiet;
  if (quiet) return;
  const left = Math.max(0, Math.ceil(((link.retryAt ?? 0) - Date.now()) / 1000));
  const kept = link.joined ? ' What you write is kept and sent then.' : '';
  const lost = link.joined ? 'Connection lost.' : 'No connection yet.';
  const texts = {
    stopped: state.stopText,
    offline: `The server cannot be reached. Next try in ${left} s.${kept}`,
    waiting: `${lost} Try ${state.reconnectAttempts + 1} of ${MAX_ATTEMPTS} in ${left} s.${kept}`,
    connecting: `${lost} Trying again…${kept}`,
  };
  ui.link.classList.toggle('bad', state.connection === 'offline' || state.connection === 'stopped');
  setText(ui.linkText, texts[state.connection]);
  setText(ui.linkButton, state.connection === 'stopped' ? 'Join again' : 'Try again');
  timer(link, 'banner', renderBanner, 1000);
}

function showRoom() {
  const { room } = session;
  ui.welcome.hidden = true;
  ui.chat.hidden = false;
  ui.roomName.textContent = room.name;
  ui.roomAbout.textContent = room.description ?? '';
  ui.roomTile.className = `tile ${toneOf(room.name)}`;
  ui.roomTile.dataset.initial = initialOf(room.name);
  ui.input.value = drafts.get(String(room.id)) ?? '';
  history.replaceState(null, '', `${location.search}#/room/${room.id}`);
  showPeople(wide.matches && state.peopleOpen !== false);
  renderMe();
  renderUsers();
  renderTyping();
  renderRooms();
  renderOlder();
  renderTitle();
}

function showWelcome() {
  ui.chat.hidden = true;
  ui.welcome.hidden = false;
  history.replaceState(null, '', location.pathname + location.search);
  showPeople(false);
  resetLog();
  renderRooms();
  renderTitle();
  ui.main.focus();
}

function renderTitle() {
  const count = state.unseen ? `(${state.unseen}) ` : '';
  document.title = session ? `${count}${session.room.name} · roomd` : 'roomd';
}

function renderMe() {
  ui.meName.hidden = !state.username;
  ui.rename.hidden = !state.username || Boolean(state.account);
  setText(ui.account, state.account ? 'Account' : 'Sign in');
  if (!state.username) return;
  ui.meName.className = `person ${toneOf(state.username)}`;
  ui.meName.dataset.initial = initialOf(state.username);
  ui.meName.firstElementChild.textContent = state.username;
}

function renderComposer() {
  const { input, hint } = ui;
  const n = countChars(input.value);
  const over = n > MAX_CHARS;
  ui.send.disabled = input.disabled || over || !input.value.trim();
  hint.classList.toggle('due', n > MAX_CHARS - 1000);
  setText(hint, n > MAX_CHARS - 1000 ? `${n.toLocaleString()} of ${MAX_CHARS.toLocaleString()} characters`
    : 'Enter sends, Shift + Enter starts a new line');
  input.style.height = 'auto';
  input.style.height = `${input.scrollHeight + 2}px`;
}

function showNotice(text) {
  ui.noticeText.textContent = text;
  ui.notice.hidden = !text;
}

/** Speaks to screen readers; a burst becomes its number of lines. */
const spoken = [];
function say(text) {
  if (spoken.push(text) > 1) return;
  setTimeout(() => {
    const lines = spoken.splice(0);
    ui.announce.textContent = lines.length <= 3 ? lines.join('. ') : plural(lines.length, 'new message', 'new messages');
  }, 500);
}

function showPeople(open) {
  ui.people.hidden = !open;
  ui.peopleToggle.setAttribute('aria-expanded', String(open));
  ui.app.classList.toggle('with-people', open && wide.matches);
  renderScrim();
}

/** On a phone the rooms are a drawer; everything else is out of reach while it is open. */
function openDrawer(which) {
  const open = which === 'rooms';
  ui.app.classList.toggle('drawer', open);
  ui.menu.setAttribute('aria-expanded', String(open));
  if (!wide.matches && !ui.people.hidden) showPeople(false);
  renderScrim();
  if (open) (ui.rooms.querySelector('[aria-current]') ?? ui.newRoom).focus();
}

function renderScrim() {
  const phone = getComputedStyle(ui.menu).display !== 'none';
  const rooms = phone && ui.app.classList.contains('drawer');
  const people = !wide.matches && !ui.people.hidden;
  ui.scrim.hidden = !rooms && !people;
  ui.main.inert = rooms || people;
}

const THEMES = ['auto', 'light', 'dark'];
const THEME_TEXT = { auto: 'Colours: as the system', light: 'Colours: light', dark: 'Colours: dark' };

function setTheme(name) {
  const theme = THEMES.includes(name) ? name : 'auto';
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  ui.theme.ariaLabel = ui.theme.title = THEME_TEXT[theme];
  remember(browser, 'roomd.theme', theme === 'auto' ? null : theme);
  return theme;
}

// ---- 13. Wiring -------------------------------------------------------------------------------

const UI_NAMES = {
  account: 'account', app: 'app', announce: 'announce', chat: 'chat', composer: 'composer', createDialog: 'create-dialog', createAbout: 'create-about',
  createError: 'create-error', createForm: 'create-form', createName: 'create-name', deleteDialog: 'delete-dialog',
  deleteError: 'delete-error', deleteForm: 'delete-form', deleteTitle: 'delete-title', filter: 'filter', hint: 'input-hint',
  input: 'input', joinDialog: 'join-dialog', joinError: 'join-error', joinForm: 'join-form', joinName: 'join-name',
  joinTitle: 'join-title', jump: 'jump', leave: 'leave', link: 'link', log: 'log', main: 'main', meName: 'me-name',
  menu: 'menu', messages: 'messages', newRoom: 'new-room', notice: 'notice', older: 'older', people: 'people',
  peopleClose: 'people-close', peopleCount: 'people-count', peopleToggle: 'people-toggle', rename: 'rename', roomAbout: 'room-about', roomName: 'room-name',
  rooms: 'rooms', roomsNote: 'rooms-note', roomTile: 'room-tile', scrim: 'scrim', send: 'send', status: 'status',
  theme: 'theme', typing: 'typing', users: 'users', welcome: 'welcome', welcomeList: 'welcome-list', welcomeNew: 'welcome-new',
};

function bindUi() {
  for (const [name, id] of Object.entries(UI_NAMES)) ui[name] = $(id);
  ui.noticeText = ui.notice.querySelector('p');
  ui.linkText = ui.link.querySelector('p');
  ui.linkButton = ui.link.querySelector('button');
  ui.joinSubmit = ui.joinForm.querySelector('[type=submit]');
}

function bindLists() {
  ui.rooms.addEventListener('click', ({ target }) => {
    const { room, delete: gone } = target.closest('button')?.dataset ?? {};
    if (room) selectRoom(room);
    if (gone) askDelete(findRoom(gone));
  });
  for (const list of [ui.rooms, ui.users]) {
    list.addEventListener('click', ({ target }) => {
      const { more } = target.closest('button')?.dataset ?? {};
      if (more === 'rooms') state.roomsShown += LIST_STEP, renderRooms();
      if (more === 'users') state.usersShown += LIST_STEP, renderUsers();
    });
  }
  ui.messages.addEventListener('click', ({ target }) => {
    const { act } = target.closest('button')?.dataset ?? {};
    const item = target.closest('li')?.item;
    if (act === 'retry') retrySend(item);
    if (act === 'discard') discard(item);
    if (act === 'history') (session.loaded ? loadHistory : syncHistory)();
  });
  ui.messages.addEventListener('scroll', noteScroll, { passive: true });
  ui.messages.addEventListener('keydown', (event) => {
    if (event.key === 'End') showEnd();
    else if (event.key === 'Home') ui.messages.scrollTop = 0;
    else return;
    event.preventDefault(); // the browser would glide to where the end was estimated to be
  });
  ui.jump.addEventListener('click', () => {
    showEnd();
    ui.input.focus();
  });
  let width = 0;
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width) forgetHeights();
    width = contentRect.width;
    scheduleDraw();
  }).observe(ui.messages);
}

function bindComposer() {
  ui.composer.addEventListener('submit', (event) => {
    event.preventDefault();
    if (!send()) return;
    ui.input.value = '';
    renderComposer();
    ui.input.focus();
  });
  ui.input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!ui.send.disabled) ui.composer.requestSubmit();
  });
  ui.input.addEventListener('input', () => {
    renderComposer();
    typing(ui.input.value.trim() !== '');
  });
}

function askCreate() {
  openDrawer(null);
  ui.createForm.reset();
  ui.createError.textContent = '';
  ui.createDialog.showModal();
}

function askDelete(room) {
  if (!room) return;
  ui.deleteTitle.textContent = `Delete “${room.name}”?`;
  ui.deleteError.textContent = '';
  ui.deleteDialog.room = room;
  ui.deleteDialog.showModal();
}

/** Runs a dialog's action, keeps the dialog with the reason when it fails. */
function bindDialog(dialog, form, error, action) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const submit = form.querySelector('[type=submit]');
    submit.disabled = true;
    error.textContent = '';
    try {
      await action();
    } catch (err) {
      error.textContent = err.message;
    }
    submit.disabled = false;
  });
  dialog.addEventListener('click', ({ target }) => {
    if (target === dialog || 'close' in target.dataset) dialog.close();
  });
}

function bindDialogs() {
  bindDialog(ui.createDialog, ui.createForm, ui.createError, async () => {
    const name = ui.createName.value.trim();
    if (!name) throw new Error('A room needs a name.');
    await createRoom(name, ui.createAbout.value.trim());
  });
  bindDialog(ui.joinDialog, ui.joinForm, ui.joinError, async () => {
    const name = ui.joinName.value.trim();
    if (!name) throw new Error('Please enter a name.');
    ui.joinDialog.close();
    if (ui.joinDialog.room) join(ui.joinDialog.room, name);
    else useName(name);
  });
  bindDialog(ui.deleteDialog, ui.deleteForm, ui.deleteError, async () => {
    await deleteRoom(ui.deleteDialog.room.id);
    ui.deleteDialog.close();
  });
  for (const button of [ui.newRoom, ui.welcomeNew]) button.addEventListener('click', askCreate);
}

function bindFrame() {
  ui.leave.addEventListener('click', leave);
  ui.rename.addEventListener('click', () => {
    openDrawer(null);
    askName(session?.room ?? null);
  });
  ui.account.addEventListener('click', () => openAccount());
  ui.filter.addEventListener('input', renderRooms);
  ui.linkButton.addEventListener('click', retryNow);
  ui.notice.querySelector('button').addEventListener('click', () => showNotice(''));
  ui.theme.addEventListener('click', () => {
    const now = document.documentElement.dataset.theme ?? 'auto';
    setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  });
  ui.menu.addEventListener('click', () => openDrawer(ui.app.classList.contains('drawer') ? null : 'rooms'));
  ui.welcomeList.addEventListener('click', () => {
    openDrawer('rooms');
    (ui.rooms.querySelector('.room') ?? ui.newRoom).focus();
  });
  ui.peopleToggle.addEventListener('click', () => {
    state.peopleOpen = ui.people.hidden;
    showPeople(ui.people.hidden);
  });
  for (const button of [ui.scrim, ui.peopleClose]) button.addEventListener('click', () => openDrawer(null));
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !ui.scrim.hidden) {
      const back = ui.people.hidden ? ui.menu : ui.peopleToggle;
      openDrawer(null);
      back.focus();
    }
  });
  wide.addEventListener('change', () => showPeople(Boolean(session) && wide.matches && state.peopleOpen !== false));
  addEventListener('resize', renderScrim);
}

function bindWorld() {
  addEventListener('online', retryNow);
  addEventListener('hashchange', openFromAddress);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    if (log.pinned) seen();
    if (Date.now() - state.roomsAt > POLL_MS) loadRooms();
    if (state.connection === 'offline') retryNow();
  });
  setInterval(() => document.hidden || loadRooms(), POLL_MS);
  setInterval(refreshTimes, 30_000);
}

/** An address ending in #/room/5 opens that room, at once after a reload of this tab. */
function openFromAddress() {
  const token = /^#\/reset\/([\w.~-]+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, '', location.pathname + location.search); // a secret: not for the list of visited pages
    withAccounts().then((accounts) => accounts.showReset('', token));
    return;
  }
  const id = /^#\/room\/(\d+)$/.exec(location.hash)?.[1];
  if (!id || (session && String(session.room.id) === id)) return;
  const room = findRoom(id);
  if (room) selectRoom(id);
  else showNotice(state.roomsError || STOP_TEXT[4404]);
}

/** Only in development mode does the server name its workers. */
async function mayDebug() {
  if (new URLSearchParams(location.search).get('debug') !== '1') return false;
  return fetch('/', { method: 'HEAD', cache: 'no-store' })
    .then((answer) => answer.headers.has('X-Roomd-Worker'), () => false);
}

bindUi();
setTheme(recall(browser, 'roomd.theme'));
bindLists();
bindComposer();
bindDialogs();
bindFrame();
bindWorld();
state.outbox = recall(tab, 'roomd.outbox') ?? [];
renderMe();
if (await mayDebug()) {
  window.roomd = {
    state, log, uuid7, linkify, toneOf,
    get session() { return session; },
    get socket() { return session?.socket ?? null; },
    get reconnectAttempts() { return state.reconnectAttempts; },
    loadRooms, renderRooms, createRoom, deleteRoom, selectRoom,
    connect, handle, join, leave, retryNow, openAccount,
    loadHistory, renderMessages, addMessage, addMessages, send,
    renderUsers, renderTyping, typing,
  };
}
if (recall(browser, 'roomd.account')) await withAccounts().then((accounts) => accounts.whoAmI()).catch(() => {});
loadRooms().then(openFromAddress);
