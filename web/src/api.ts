// Requests, the live stream, and the state of the connection. Nothing else of the page talks to the server.

import { createSignal, onCleanup } from 'solid-js';
import { createStore, reconcile } from 'solid-js/store';

const API = 'api/v1';
const KEY = 'foretwin.token';
const PATIENCE_MS = 10_000;
export const LONG_MS = 120_000;

/** An answer that is an error, or no answer (status 0). */
export class ApiError extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

const [link, setLink] = createStore({
  reached: false, lostAt: null as number | null, streaming: false, trouble: null as string | null,
});
export { link };
const [locked, setLocked] = createSignal<string | null>(null);
/** Why a token is asked for, or null. */
export { locked };

let skewMs = 0;
/** The server's clock, as far as its answers tell, in microseconds. */
export const nowUs = () => (Date.now() + skewMs) * 1000;

const pollers = new Set<() => void>();
const troubles = new Map<object, string>();

/** Lets every poller and the stream ask at once. */
export function wake() {
  for (const turn of pollers) turn();
}

let token = sessionStorage.getItem(KEY) ?? '';

/** Takes a token for as long as this tab lives; an empty one forgets it. */
export function unlock(text: string) {
  token = text.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
  setLocked(null);
  wake();
}

export const hasToken = () => token !== '';

function heard(reached: boolean) {
  const back = reached && link.lostAt != null;
  if (reached && !link.reached) setLink('reached', true);
  const lostAt = reached ? null : link.lostAt ?? Date.now();
  if (lostAt !== link.lostAt) setLink('lostAt', lostAt);
  if (back) wake();
}

function tell() {
  const [first] = troubles.values();
  setLink('trouble', first ?? null);
}

function headers(more?: Record<string, string>): Record<string, string> {
  return token ? { ...more, authorization: `Bearer ${token}` } : { ...more };
}

async function failure(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => null);
  const message = body?.error?.message ?? `HTTP ${response.status}`;
  if (response.status === 401) setLocked(token ? `That token was not accepted: ${message}` : message);
  return new ApiError(response.status, message);
}

async function request<T>(path: string, options: RequestInit = {}, patience = PATIENCE_MS): Promise<T> {
  const quit = new AbortController();
  const timer = setTimeout(() => quit.abort(), patience);
  try {
    const response = await fetch(`${API}/${path}`, { ...options, signal: quit.signal });
    // A proxy in front of a server that is away answers with these.
    heard(![502, 503, 504].includes(response.status));
    const date = Date.parse(response.headers.get('date') ?? '');
    if (Math.abs(date - Date.now()) > 2000) skewMs = date - Date.now();
    if (!response.ok) throw await failure(response);
    return await response.json() as T;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // No answer, or one that broke off.
    heard(false);
    throw new ApiError(0, 'the server does not answer');
  } finally {
    clearTimeout(timer);
  }
}

export const get = <T>(path: string, patience?: number) => request<T>(path, { headers: headers() }, patience);
export const post = <T>(path: string, body: unknown, long = false) => request<T>(path, {
  method: 'POST', headers: headers({ 'content-type': 'application/json' }), body: JSON.stringify(body),
}, long ? LONG_MS : PATIENCE_MS);
export const del = <T>(path: string) => request<T>(path, { method: 'DELETE', headers: headers() });
export const at = (id: string) => `instances/${encodeURIComponent(id)}`;

/** A file of the API, which a link could not fetch with a token. */
export async function download(path: string, name: string) {
  const response = await fetch(`${API}/${path}`, { headers: headers() });
  if (!response.ok) throw await failure(response);
  const url = URL.createObjectURL(await response.blob());
  const anchor = document.createElement('a');
  [anchor.href, anchor.download] = [url, name];
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Runs `work` now and then again and again, sooner after failures, not while the page is hidden. */
export function every(interval: number | (() => number), work: () => Promise<unknown>) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false, running = false, again = false, failures = 0;
  async function turn(): Promise<void> {
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
      const { status, message } = error as ApiError;
      // Silence and a missing token are told as such; a stopped view has told it already.
      if (status !== 0 && status !== 401 && !stopped) troubles.set(turn, message);
    }
    running = false;
    tell();
    if (again) return turn();
    const calm = typeof interval === 'function' ? interval() : interval;
    const wait = failures ? Math.min(1000 * 2 ** failures, 8000) : calm;
    if (!stopped && !document.hidden && !(locked() && failures)) timer = setTimeout(turn, wait);
  }
  pollers.add(turn);
  onCleanup(() => {
    stopped = true;
    clearTimeout(timer);
    pollers.delete(turn);
    troubles.delete(turn);
    tell();
  });
  void turn();
  return () => void turn();
}

/** What became of a question that is asked again and again. */
export interface Asked<T> { data: T | undefined; error: ApiError | null }

/**
 * An answer kept fresh. Its parts change in place, so that reading, selecting and focus survive a refresh.
 * `fatal` names statuses that end the asking with an explanation by the caller.
 */
export function live<T>(ask: () => Promise<T>, interval: number | (() => number), fatal: number[] = [404]) {
  const [store, set] = createStore<Asked<T>>({ data: undefined, error: null });
  const now = every(interval, async () => {
    try {
      const data = await ask();
      set('data', reconcile(data as never, { key: null, merge: true }) as never);
      set('error', null);
    } catch (error) {
      if (!(error instanceof ApiError) || !fatal.includes(error.status)) throw error;
      set('error', () => error);
    }
  });
  return [store, now] as const;
}

type Handlers = Record<string, (data: never) => void>;

async function read(response: Response, handlers: Handlers) {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split('\n\n');
    text = events.pop()!;
    for (const event of events) {
      const name = /^event: ?(.*)$/m.exec(event)?.[1] ?? 'message';
      const data = /^data: ?(.*)$/m.exec(event)?.[1];
      if (data && handlers[name]) handlers[name](JSON.parse(data) as never);
    }
  }
}

/** Listens to server-sent events until the owner goes; comes back by itself, and rests while the page is hidden.
 *  By `fetch`, since the browser's own EventSource cannot send a token. */
export function listen(query: string, handlers: Handlers) {
  let abort: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout>;
  let failures = 0;
  async function open() {
    clearTimeout(timer);
    if (abort || document.hidden) return;
    const own = abort = new AbortController();
    try {
      const response = await fetch(`${API}/stream${query}`, { headers: headers(), signal: own.signal });
      if (!response.ok) throw await failure(response);
      setLink('streaming', true);
      failures = 0;
      await read(response, handlers);
    } catch {
      // The pollers tell whether the server is there.
    }
    if (abort !== own) return;
    setLink('streaming', false);
    abort = null;
    failures += 1;
    if (!locked()) timer = setTimeout(open, Math.min(1000 * 2 ** failures, 15_000));
  }
  function close() {
    clearTimeout(timer);
    const own = abort;
    abort = null;
    own?.abort();
    setLink('streaming', false);
  }
  const onVisible = () => (document.hidden ? close() : void open());
  const again = () => void open();
  document.addEventListener('visibilitychange', onVisible);
  pollers.add(again);
  void open();
  onCleanup(() => {
    document.removeEventListener('visibilitychange', onVisible);
    pollers.delete(again);
    close();
  });
}

document.addEventListener('visibilitychange', () => !document.hidden && wake());
addEventListener('online', wake);
