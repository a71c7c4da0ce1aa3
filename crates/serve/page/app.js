// The shell of the page: requests, the live stream, the state of the connection, and which view is shown.

import { openFleet } from './fleet.js';
import { openInstance } from './instance.js';
import { clock, h, setText, swap } from './words.js';

const API = 'api/v1';
const $ = (id) => document.getElementById(id);
const pollers = new Set();
const troubles = new Map();
const connection = { reached: false, lostAt: null, stream: 'closed', skewMs: 0 };
let view = null;
let shown = '';
let stopStream = () => {};

/** An answer that is an error, or no answer (status 0). */
class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`${API}/${path}`, { ...options, signal: AbortSignal.timeout(10_000) });
  } catch {
    noteReached(false);
    throw new ApiError(0, 'the server does not answer');
  }
  // A proxy in front of a server that is away answers with these.
  noteReached(![502, 503, 504].includes(response.status));
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Math.abs(date - Date.now()) > 2000) connection.skewMs = date - Date.now();
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new ApiError(response.status, body?.error?.message ?? `HTTP ${response.status}`);
}

function noteReached(reached) {
  const back = reached && connection.lostAt != null;
  connection.reached ||= reached;
  connection.lostAt = reached ? null : connection.lostAt ?? Date.now();
  showConnection();
  if (back) wake();
}

function showConnection() {
  const { lostAt, reached, stream } = connection;
  const state = lostAt != null ? 'lost' : !reached ? 'connecting' : stream === 'open' ? 'live' : 'polling';
  const text = { lost: 'connection lost', connecting: 'connecting …', live: 'live', polling: 'refreshing' }[state];
  const link = $('link');
  link.dataset.state = state;
  setText(link, text);
  link.title = state === 'polling' ? 'No live stream; figures are refreshed every few seconds.' : '';
  document.body.classList.toggle('stale', state === 'lost');
  const [trouble] = troubles.values();
  $('lost').hidden = state !== 'lost' && !trouble;
  if ($('lost').hidden) return;
  const what = state !== 'lost' ? `Foretwin answers with an error: ${trouble}.`
    : `Foretwin does not answer.${reached ? ` Figures are from ${clock(lostAt * 1000)} and stand still.` : ''}`;
  swap($('lost'), h('b', null, what), ' Trying again every few seconds. ', h('button', { onclick: wake }, 'Try now'));
}

/** Runs `work` now and then again and again, sooner after failures, not while the page is hidden. */
function every(interval, work) {
  let timer, stopped = false, running = false, again = false, failures = 0;
  async function turn() {
    clearTimeout(timer);
    if (stopped || (again = running)) return;
    running = true;
    try {
      await work();
      failures = 0;
      troubles.delete(turn);
    } catch (error) {
      failures += 1;
      if (!(error instanceof ApiError)) console.error(error);
      // Silence is told as such; a stopped view has told it already.
      if (error.status !== 0 && !stopped) troubles.set(turn, error.message);
    }
    running = false;
    showConnection();
    if (again) return turn();
    const calm = typeof interval === 'function' ? interval() : interval;
    const wait = failures ? Math.min(1000 * 2 ** failures, 8000) : calm;
    if (!stopped && !document.hidden) timer = setTimeout(turn, wait);
  }
  pollers.add(turn);
  turn();
  const stop = () => {
    stopped = true;
    clearTimeout(timer);
    pollers.delete(turn);
    troubles.delete(turn);
    showConnection();
  };
  return { now: turn, stop };
}

function wake() {
  for (const turn of pollers) turn();
}

/** Listens to server-sent events until stopped; comes back by itself, and rests while the page is hidden. */
function stream(query, handlers) {
  let source = null, timer, failures = 0;
  function open() {
    close();
    source = new EventSource(`${API}/stream${query}`);
    source.onopen = () => {
      failures = 0;
      note('open');
    };
    source.onerror = () => {
      note('closed');
      // After an error status the browser gives up; after a broken connection it does not.
      if (source?.readyState !== EventSource.CLOSED) return;
      failures += 1;
      timer = setTimeout(open, Math.min(1000 * 2 ** failures, 15_000));
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  }
  function close() {
    clearTimeout(timer);
    source?.close();
    source = null;
  }
  function note(state) {
    connection.stream = state;
    showConnection();
  }
  const onVisible = () => (document.hidden ? close() : open());
  document.addEventListener('visibilitychange', onVisible);
  open();
  return () => {
    document.removeEventListener('visibilitychange', onVisible);
    close();
    connection.stream = 'closed';
  };
}

/** What a view may use. */
const app = {
  get: (path) => request(path),
  post: (path, body) => request(path, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  }),
  every,
  listen(query, handlers) {
    stopStream();
    stopStream = stream(query, handlers);
  },
  /** The server's clock, as far as its answers tell, in microseconds. */
  nowUs: () => (Date.now() + connection.skewMs) * 1000,
  /** Notes the view's state in the address without a new entry in the history. */
  remember(path, params) {
    const query = params.toString();
    const hash = `#${path}${query ? `?${query}` : ''}`;
    if (location.hash !== hash) history.replaceState(null, '', hash);
  },
};

/** `#/` is the fleet, `#/i/ID` an instance; what follows a `?` is the view's own. */
function route() {
  const [path, query = ''] = location.hash.slice(1).split(/\?(.*)/s);
  const params = new URLSearchParams(query);
  if (!path.startsWith('/i/')) return { path: '/', params };
  try {
    return { path, id: decodeURIComponent(path.slice(3)), params };
  } catch {
    return { path: '/', params };
  }
}

function show() {
  const to = route();
  view?.close();
  $('where').replaceChildren(...(to.id ? [h('a', { href: '#/' }, '← Fleet')] : []));
  $('main').replaceChildren();
  view = to.id ? openInstance($('main'), app, to) : openFleet($('main'), app, to);
  document.title = to.id ? `${to.id} – Foretwin` : 'Foretwin';
  $('keys').replaceChildren(...view.keys.flatMap(([key, does]) => [h('kbd', null, key), ` ${does} `]));
  if (shown && shown !== to.path) {
    $('main').focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  shown = to.path;
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches('input:not([type=radio], [type=checkbox]), textarea, select');
  view?.onKey(event, typing);
});
document.addEventListener('visibilitychange', () => !document.hidden && wake());
document.querySelector('.skip').addEventListener('click', (event) => {
  // The fragment of the address belongs to the views.
  event.preventDefault();
  $('main').focus();
});
addEventListener('online', wake);
addEventListener('hashchange', show);
show();
