// The shell of the page: where one can go, the state of the connection, the token, and the view that is shown.

import { createEffect, createSignal, For, Match, on, Show, Switch } from 'solid-js';
import { render } from 'solid-js/web';
import 'uplot/dist/uPlot.min.css';
import './style.css';
import { Alerts } from './alerts';
import { hasToken, link, locked, unlock, wake } from './api';
import { Fleet } from './fleet-view';
import { InstanceView } from './instance';
import { keyName, layers, useKeys } from './keys';
import { Empty } from './parts';
import { Predictions } from './reliability';
import { Reports } from './report';
import { route, setParams, toView } from './route';
import { setTheme, theme, type Theme } from './theme';
import { clock } from './words';

const VIEWS: [string, string][] = [['', 'Fleet'], ['alerts', 'Alerts'], ['predictions', 'Predictions'], ['reports', 'Reports']];
const THEMES: Record<Theme, [Theme, string]> = {
  auto: ['light', '◐ System'], light: ['dark', '○ Light'], dark: ['auto', '● Dark'],
};

function Connection() {
  const state = () =>
    link.lostAt != null ? 'lost' : !link.reached ? 'connecting' : link.streaming ? 'live' : 'polling';
  const text = { lost: 'connection lost', connecting: 'connecting …', live: 'live', polling: 'refreshing' };
  return (
    <span class="link" role="status" data-state={state()}
      title={state() === 'polling' ? 'No live stream; figures are refreshed every few seconds.' : undefined}>{text[state()]}</span>
  );
}

function Trouble() {
  const what = () => (link.lostAt == null ? `Foretwin answers with an error: ${link.trouble}.`
    : `Foretwin does not answer.${link.reached ? ` Figures are from ${clock(link.lostAt * 1000)} and stand still.` : ''}`);
  return (
    <Show when={link.lostAt != null || link.trouble}>
      <div class="lost" role="alert"><b>{what()}</b> Trying again every few seconds. <button onClick={wake}>Try now</button></div>
    </Show>
  );
}

/** Asks for a token where the server wants one; it is kept for this tab only. */
function TokenPrompt(props: { why: string }) {
  let dialog!: HTMLDialogElement, field!: HTMLInputElement;
  queueMicrotask(() => { dialog.showModal(); field.focus(); });
  return (
    <dialog ref={dialog} aria-labelledby="token-title">
      <form method="dialog" onSubmit={() => unlock(field.value)}>
        <h2 id="token-title">This node asks for a token</h2>
        <p>{props.why}</p>
        <label>Token <input type="password" ref={field} autocomplete="off" required /></label>
        <p class="small dim">It is kept until this tab is closed, and sent to this node only.
          {hasToken() ? ' The one in use was not accepted.' : ''}</p>
        <button class="primary">Use it</button>
      </form>
    </dialog>
  );
}

function Help(props: { onClose: () => void }) {
  let dialog!: HTMLDialogElement;
  queueMicrotask(() => dialog.showModal());
  const all = () => Object.entries(Object.assign({}, ...layers()) as Record<string, [string, () => void]>);
  return (
    <dialog ref={dialog} onClose={props.onClose} aria-labelledby="keys-title">
      <h2 id="keys-title">Keys of this view</h2>
      <dl class="keys">
        <For each={all()}>{([key, [does]]) => <div><dt><kbd>{keyName(key)}</kbd></dt><dd>{does}</dd></div>}</For>
        <div><dt><kbd>← →</kbd></dt><dd>walk along a chart that has the focus</dd></div>
        <div><dt>drag</dt><dd>zoom into a stretch of a chart, and rank what was unusual in it</dd></div>
      </dl>
      <form method="dialog"><button class="primary" autofocus>Close</button></form>
    </dialog>
  );
}

function App() {
  const [help, setHelp] = createSignal(false);
  let main!: HTMLElement;
  useKeys({
    '?': ['tell the keys', () => setHelp(true)],
    t: ['theme: system, light, dark', () => setTheme(THEMES[theme()][0])],
    g: ['fleet', () => { location.hash = '#/'; }],
    a: ['alerts', () => { location.hash = '#/alerts'; }],
  });
  const place = () => `${route().view}/${route().id}`;
  createEffect(on(place, () => {
    const { view, id } = route();
    const name = id || VIEWS.find(([key]) => key === view)?.[1] || '';
    document.title = view ? `${name} – Foretwin` : 'Foretwin';
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, { defer: true }));
  return <>
    <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); main.focus(); }}>Skip to content</a>
    <header class="top">
      <a class="brand" href="#/">Foretwin</a>
      <nav aria-label="Views">
        <For each={VIEWS}>{([view, name]) =>
          <a href={toView(view)} aria-current={route().view === view || (view === '' && route().view === 'i') ? 'page' : undefined}>{name}</a>}</For>
      </nav>
      <Connection />
      <button class="quiet" title="Theme (t)" aria-label={`Theme: ${theme()}`} onClick={() => setTheme(THEMES[theme()][0])}>
        {THEMES[theme()][1]}</button>
      <button class="quiet" title="Keys (?)" aria-label="Keys" onClick={() => setHelp(true)}>?</button>
    </header>
    <Trouble />
    <main ref={main} id="main" tabindex="-1" classList={{ stale: link.lostAt != null }}>
      <Switch fallback={<Empty title="There is no such view"><a href="#/">To the fleet</a></Empty>}>
        <Match when={route().view === ''}><Fleet /></Match>
        <Match when={route().view === 'i' && route().id}>{(id) => <Show when={id()} keyed>{(same) => <InstanceView id={same} />}</Show>}</Match>
        <Match when={route().view === 'alerts'}><Alerts id={route().id} /></Match>
        <Match when={route().view === 'predictions'}><Predictions /></Match>
        <Match when={route().view === 'reports'}><Reports id={route().id} /></Match>
      </Switch>
    </main>
    <Show when={help()}><Help onClose={() => setHelp(false)} /></Show>
    <Show when={locked()}>{(why) => <TokenPrompt why={why()} />}</Show>
  </>;
}

// Addresses of the fleet without a fragment are the same view.
if (!location.hash) setParams({});
render(() => <App />, document.getElementById('app')!);
