// SPDX-License-Identifier: MIT
// Accounts on the page: sign in, sign up, sign out, a forgotten password, settings, devices.
// Fetched at the first need, so that guests never load it. Who one is stands in a sealed cookie
// that scripts cannot read; this file only asks for it, and app.js decides what follows.

const ERROR_OF_FIELD = { username: 'username', name: 'username', email: 'email', password: 'password', avatar_url: 'avatar', full_name: 'full-name' };
const MIN_PASSWORD = 8;

let tools; // { el, request, becomes(user or null) } from app.js
let dialog;
let account = null; // the signed-in user as the server describes it

/** Makes the dialog. BECOMES is told of every change of who the user is. */
export function start(given) {
  tools = given;
  dialog = tools.el('dialog', { id: 'account-dialog', ariaLabelledby: 'account-title' });
  dialog.addEventListener('click', ({ target }) => {
    if (target === dialog || target.closest('[data-close]')) dialog.close();
  });
  document.body.append(dialog);
}

/** Asks the server who this browser is; null when it is nobody with an account. */
export async function whoAmI() {
  try {
    account = await tools.request('GET', '/api/v1/users/me');
  } catch (err) {
    if (err.status !== 401 && err.status !== 403) throw err;
    account = null;
  }
  tools.becomes(account);
  return account;
}

/** Opens what fits: the settings of who is signed in, else the way in. REASON is shown in it. */
export function open(reason = '') {
  if (account) showSettings(reason);
  else showSignIn(reason);
}

// ---- The dialog -------------------------------------------------------------------------------

function field(id, label, props = {}, note = '') {
  const { el } = tools;
  return [
    el('label', { htmlFor: `account-${id}` }, label, ...(note ? [' ', el('span', { className: 'opt' }, note)] : [])),
    el('input', { id: `account-${id}`, ...props }),
  ];
}

const valueOf = (id) => dialog.querySelector(`#account-${id}`)?.value ?? '';
const passwordField = (id, label, autocomplete) =>
  field(id, label, { type: 'password', required: true, autocomplete, maxLength: 1024 });

/** One form: its fields, the button that acts, and links to others. Errors stay inside. */
function form(title, { fields, submit, act, links = [], error = '', primary = true }) {
  const { el } = tools;
  const message = el('p', { className: 'error', role: 'alert' }, error);
  const button = el('button', { type: 'submit', className: primary ? 'button primary' : 'button' }, submit);
  const node = el('form', { method: 'dialog' },
    title, ...fields, message,
    el('p', { className: 'actions' }, el('button', { type: 'button', className: 'button', data: { close: '' } }, 'Close'), button));
  if (links.length) node.append(el('p', { className: 'links' }, ...links));
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    message.textContent = '';
    try {
      await act();
    } catch (err) {
      message.textContent = err.message;
      dialog.querySelector(`#account-${ERROR_OF_FIELD[err.field] ?? ''}`)?.focus();
    }
    button.disabled = false;
  });
  return node;
}

const heading = (text) => tools.el('h2', { id: 'account-title' }, text);

function link(text, act) {
  const node = tools.el('button', { type: 'button', className: 'link' }, text);
  node.addEventListener('click', act);
  return node;
}

function show(...nodes) {
  dialog.replaceChildren(...nodes);
  if (!dialog.open) dialog.showModal();
  dialog.querySelector('input')?.focus();
}

// ---- In and out -------------------------------------------------------------------------------

async function enter(path, body) {
  const answer = await tools.request('POST', path, { ...body, cookie: true });
  account = answer.user;
  dialog.close();
  tools.becomes(account);
}

function showSignIn(error = '') {
  show(form(heading('Sign in'), {
    fields: [
      ...field('username', 'Username or e-mail', { required: true, autocomplete: 'username', maxLength: 320, autocapitalize: 'none', spellcheck: false }),
      ...passwordField('password', 'Password', 'current-password'),
    ],
    submit: 'Sign in',
    error,
    act: () => signIn(valueOf('username').trim(), valueOf('password')),
    links: [
      link('Make an account', () => showSignUp()),
      link('Forgot the password?', () => showForgotten()),
      link('Continue as guest', () => dialog.close()),
    ],
  }));
}

async function signIn(username, password, code) {
  try {
    await enter('/api/v1/auth/login', code ? { username, password, totp: code } : { username, password });
  } catch (err) {
    if (err.code !== 'totp_required' || code) throw err;
    showCode(username, password);
  }
}

function showCode(username, password) {
  show(form(heading('One more step'), {
    fields: field('code', 'Code from your authenticator, or a recovery code', { required: true, autocomplete: 'one-time-code', inputMode: 'text', maxLength: 32 }),
    submit: 'Sign in',
    act: () => signIn(username, password, valueOf('code').trim()),
    links: [link('Back', () => showSignIn())],
  }));
}

const FREE_TRIES = 6;

/** The name that one has as a guest is free a moment after the guest has left. */
async function register(body) {
  const back = tools.standAside(body.username);
  for (let tries = 1; ; tries++) {
    try {
      return await enter('/api/v1/auth/register', body);
    } catch (err) {
      if (!back || err.code !== 'name_taken' || tries === FREE_TRIES) {
        back?.();
        throw err;
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

function showSignUp() {
  show(form(heading('Make an account'), {
    fields: [
      ...field('username', 'Username', { required: true, autocomplete: 'username', maxLength: 100, autocapitalize: 'none', spellcheck: false }),
      ...field('email', 'E-mail', { type: 'email', autocomplete: 'email', maxLength: 320 }, 'optional, to reset a forgotten password'),
      ...passwordField('password', 'Password', 'new-password'),
    ],
    submit: 'Make the account',
    act: async () => {
      const body = { username: valueOf('username').trim(), password: checkedPassword('password') };
      if (valueOf('email').trim()) body.email = valueOf('email').trim();
      await register(body);
    },
    links: [link('I have an account', () => showSignIn()), link('Continue as guest', () => dialog.close())],
  }));
}

function checkedPassword(id) {
  const password = valueOf(id);
  if (Array.from(password).length < MIN_PASSWORD) {
    throw Object.assign(new Error(`A password needs at least ${MIN_PASSWORD} characters.`), { field: 'password' });
  }
  return password;
}

function showForgotten() {
  show(form(heading('Forgot the password?'), {
    fields: field('email', 'E-mail of the account', { type: 'email', required: true, autocomplete: 'email', maxLength: 320 }),
    submit: 'Send a letter',
    act: async () => {
      await tools.request('POST', '/api/v1/auth/password/reset-request', { email: valueOf('email').trim() });
      showReset('If an account has this address, a letter with a code is on its way to it.');
    },
    links: [link('I have a code', () => showReset()), link('Back', () => showSignIn())],
  }));
}

/** TEXT says what happened; TOKEN comes from the address in the letter. */
export function showReset(text = '', token = '') {
  show(form(heading('A new password'), {
    fields: [
      tools.el('p', { className: 'hint' }, text || 'The code stands in the letter.'),
      ...field('code', 'Code', { required: true, autocomplete: 'off', maxLength: 200, value: token }),
      ...passwordField('password', 'New password', 'new-password'),
    ],
    submit: 'Use this password',
    act: async () => {
      await tools.request('POST', '/api/v1/auth/password/reset', { token: valueOf('code').trim(), password: checkedPassword('password') });
      showSignIn();
      tools.say('The password is changed. Sign in with it.');
    },
  }));
}

async function signOut() {
  await tools.request('POST', '/api/v1/auth/logout');
  account = null;
  dialog.close();
  tools.becomes(null);
}

// ---- Settings ---------------------------------------------------------------------------------

function showSettings(reason = '') {
  const { el } = tools;
  const profile = form(heading('Your account'), {
    fields: [
      el('p', { className: 'hint' }, `Signed in as ${account.username}.`),
      ...field('full-name', 'Full name', { autocomplete: 'name', maxLength: 200, value: account.full_name ?? '' }, 'optional'),
      ...field('avatar', 'Address of a picture', { type: 'url', maxLength: 2048, value: account.avatar_url ?? '' }, 'optional'),
    ],
    submit: 'Save',
    error: reason,
    act: async () => {
      account = await tools.request('PATCH', '/api/v1/users/me', { full_name: valueOf('full-name').trim() || null, avatar_url: valueOf('avatar').trim() || null });
      tools.say('Saved.');
    },
  });
  show(profile, passwordForm(), devices());
}

function passwordForm() {
  return form(tools.el('h3', {}, 'Change the password'), {
    fields: [...passwordField('old', 'Present password', 'current-password'), ...passwordField('password', 'New password', 'new-password')],
    submit: 'Change it',
    primary: false,
    act: async () => {
      await tools.request('POST', '/api/v1/auth/password/change', { old_password: valueOf('old'), new_password: checkedPassword('password') });
      for (const id of ['old', 'password']) dialog.querySelector(`#account-${id}`).value = '';
      tools.say('The password is changed; other devices have to sign in again.');
      dialog.querySelector('.devices')?.replaceWith(devices());
    },
  });
}

/** The sessions of this account; the list comes a moment later. */
function devices() {
  const { el } = tools;
  const list = el('ul', { role: 'list' });
  const note = el('p', { className: 'hint' }, 'Loading…');
  const out = link('Sign out', () => signOut().catch((err) => { note.textContent = err.message; }));
  const section = el('section', { className: 'devices' }, el('h3', {}, 'Where you are signed in'), note, list, el('p', { className: 'actions' }, out));
  listSessions(list).then(() => { note.textContent = ''; }, (err) => { note.textContent = err.message; });
  return section;
}

async function listSessions(list) {
  const answer = await tools.request('GET', '/api/v1/sessions');
  list.replaceChildren(...(answer.sessions ?? answer).map((s) => sessionNode(s, list)));
}

const when = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

const BROWSERS = [[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari']];
const SYSTEMS = [[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS X/, 'macOS'], [/CrOS/, 'ChromeOS'], [/Linux/, 'Linux']];

/** “Firefox on Linux” for a browser's User-Agent; whatever else a client calls itself as it is. */
function deviceName(text) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((known) => known.find(([sign]) => sign.test(text ?? ''))?.[1]);
  if (!browser || !text.startsWith('Mozilla/')) return text || 'Unknown device';
  return system ? `${browser} on ${system}` : browser;
}

function sessionNode(s, list) {
  const { el } = tools;
  const what = deviceName(s.device);
  const node = el('li', {},
    el('span', { className: 'device' }, el('bdi', {}, what), s.is_current ? ' (this one)' : ''),
    el('span', { className: 'hint' }, [s.address, `last seen ${when.format(new Date(s.last_seen_at))}`].filter(Boolean).join(', ')));
  if (!s.is_current) {
    const end = link('End', async () => {
      await tools.request('DELETE', `/api/v1/sessions/${encodeURIComponent(s.id)}`);
      await listSessions(list);
    });
    end.ariaLabel = `End the session of ${what}`;
    node.append(end);
  }
  return node;
}
