// Where the reader is: kept in the fragment of the address, so that every view can be linked to and gone back to.
//
// `#/` fleet, `#/i/ID` instance, `#/alerts[/ID]`, `#/reports[/ID]`, `#/predictions`; what follows a `?` is the view's own.

import { createSignal } from 'solid-js';

export interface Route { view: string; id: string; params: URLSearchParams }

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function parse(): Route {
  const [path, query = ''] = location.hash.slice(1).split(/\?(.*)/s);
  const [, view = '', rest = ''] = /^\/([^/]*)\/?(.*)$/s.exec(path) ?? [];
  return { view, id: decoded(rest), params: new URLSearchParams(query) };
}

const [route, setRoute] = createSignal(parse());
export { route };
addEventListener('hashchange', () => setRoute(parse()));

function address(view: string, id: string, params: URLSearchParams): string {
  const query = params.toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${query ? `?${query}` : ''}`;
}

export const toInstance = (id: string, more?: Record<string, string>) =>
  address('i', id, new URLSearchParams(more));
export const toView = (view: string, id = '') => address(view, id, new URLSearchParams());

/** Changes what follows the `?`; undefined leaves out. `push` makes it a step that "back" undoes. */
export function setParams(change: Record<string, string | string[] | undefined>, push = false) {
  const { view, id, params } = route();
  const next = new URLSearchParams(params);
  for (const [key, value] of Object.entries(change)) {
    next.delete(key);
    if (value != null) for (const one of [value].flat()) next.append(key, one);
  }
  const hash = address(view, id, next);
  if (hash === location.hash) return;
  if (push) history.pushState(null, '', hash);
  else history.replaceState(null, '', hash);
  setRoute(parse());
}
addEventListener('popstate', () => setRoute(parse()));
