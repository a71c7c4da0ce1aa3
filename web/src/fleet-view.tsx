// The fleet: what is in danger first, every instance by time, and the whole at a glance.

import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount, Show } from 'solid-js';
import { every, get, listen, nowUs } from './api';
import { arrange, AT_RISK, fill, matches, Row, SHOWS, silence, type Item, type Show as Shown, type Sort } from './fleet';
import { CELLS, drawFleet, drawStrip, Strip, type By } from './heat';
import { Choice, Empty, Meter } from './parts';
import { route, setParams, toInstance } from './route';
import { paletteVersion } from './theme';
import type { Instance, ScoreEvent } from './types';
import { useKeys } from './keys';
import { clock, percent, riskLevel, riskWords, score, scoreLevel, span, type Level } from './words';

const SPANS: Record<string, number> = { '5m': 300, '1h': 3600, '6h': 21_600, '24h': 86_400 };
const SORTS: [Sort, string][] = [['risk', 'Risk'], ['score', 'Score'], ['name', 'Name']];
/** From this many instances on there is a map of all. */
const MAP_FROM = 30;
/** So many instances make the list of them worth asking for less often. */
const MANY = 500;

/** The id without its host: what names the instance under its host's heading. */
function shortName({ id, host }: Instance): [string, string] {
  const path = id.startsWith(`${host}/`) ? id.slice(host.length + 1) : id;
  const cut = path.lastIndexOf('/') + 1;
  return [path.slice(0, cut), path.slice(cut)];
}

const noteOf = (view: Instance) =>
  view.twin_of ? `twin of ${view.twin_of}` : view.kind === 'host' ? view.kind : `${view.kind} · ${view.workload}`;

const levelOf = ({ alive, score: value, failure_probability: p }: Instance): Level => {
  if (!alive) return 'none';
  const both: Level[] = [scoreLevel(value), riskLevel(p)];
  return both.includes('hot') ? 'hot' : both.includes('warm') ? 'warm' : 'calm';
};

/** How far learning is, for people who wonder whether to trust a score. */
function Learning(props: { view: Instance }) {
  const word = () => {
    const { alive, learning: { phase, progress } } = props.view;
    if (!alive) return 'gone';
    return phase === 'learned' ? 'learned' : `${phase === 'gathering' ? 'gathering' : 'provisional'} ${Math.floor(progress * 100)} %`;
  };
  return <span title={props.view.learning.message}>{word()}<Show when={word() !== 'learned' && word() !== 'gone'}>
    <Meter share={props.view.learning.progress} /></Show></span>;
}

function InstanceRow(props: { row: Row; inner: boolean; tick: () => number; by: By }) {
  let canvas!: HTMLCanvasElement;
  const view = () => (props.tick(), { ...props.row.view });
  const names = () => shortName(props.row.view);
  const words = () => {
    const now = view();
    if (!now.alive) return `last seen ${span(silence(now))} ago`;
    return silence(now) > 30 ? `silent for ${span(silence(now))}`
      // The list is some seconds older than the probability beside these words.
      : now.failure_probability < 0.01 ? '' : riskWords(now.top_risk, props.row.quantiles);
  };
  onMount(() => {
    const seen = new ResizeObserver(() => drawStrip(canvas, props.row.strip, nowUs(), props.by));
    seen.observe(canvas);
    onCleanup(() => seen.disconnect());
  });
  createEffect(() => {
    paletteVersion();
    props.tick();
    drawStrip(canvas, props.row.strip, nowUs(), props.by);
  });
  return <>
    <span class="name" role="cell">
      <a class="id" href={toInstance(props.row.view.id)} title={props.row.view.id}>
        <Show when={names()[0]}><span class="path">{names()[0]}</span></Show><b>{names()[1]}</b></a>
      <small class="id">{noteOf(props.row.view)}</small>
    </span>
    <span class="strip" role="cell"><canvas ref={canvas} aria-hidden="true" /></span>
    <span class="score num" role="cell" data-level={view().alive ? scoreLevel(view().score) : 'none'}>
      {score(view().alive ? view().score : null)}</span>
    <span class="risk num" role="cell" data-level={view().alive ? riskLevel(view().failure_probability) : 'none'}>
      {view().alive ? percent(view().failure_probability) : '–'}</span>
    <span class="words" role="cell" classList={{ alarm: view().alive && (view().top_risk?.probability ?? 0) >= AT_RISK }}>
      {words()}</span>
    <span class="learning" role="cell"><Learning view={view()} /></span>
  </>;
}

/** Every instance as a square; where the trouble sits is seen before anything is read. */
function FleetMap(props: { rows: Row[]; by: By; tick: () => number }) {
  let canvas!: HTMLCanvasElement;
  const [width, setWidth] = createSignal(0);
  const [hint, setHint] = createSignal<Row | null>(null);
  const side = () => (props.rows.length > 2000 ? 8 : props.rows.length > 400 ? 11 : 15);
  const across = () => Math.max(1, Math.floor(width() / side()));
  const height = () => Math.ceil(props.rows.length / across()) * side();
  onMount(() => {
    const seen = new ResizeObserver(() => setWidth(canvas.clientWidth));
    seen.observe(canvas);
    onCleanup(() => seen.disconnect());
  });
  createEffect(() => {
    props.tick();
    paletteVersion();
    width();
    height();
    queueMicrotask(() => drawFleet(canvas, props.rows.map((row) => row.value(props.by)), side(), props.by));
  });
  const at = (event: PointerEvent | MouseEvent) =>
    props.rows[Math.floor(event.offsetY / side()) * across() + Math.floor(event.offsetX / side())] ?? null;
  return (
    <div class="map">
      <canvas ref={canvas} style={{ height: `${height()}px` }} role="img"
        aria-label={`Map of ${props.rows.length} instances; the list below has the same, most urgent first`}
        onPointerMove={(event) => setHint(at(event))} onPointerLeave={() => setHint(null)}
        onClick={(event) => { const row = at(event); if (row) location.hash = toInstance(row.view.id); }} />
      <p class="small dim" aria-hidden="true">
        <Show when={hint()} fallback="Each square is an instance, by host; red needs somebody now.">{(row) => <>
          <b>{row().view.id}</b> · score {score(row().view.score)} · fails within 1 h: {percent(row().view.failure_probability)}
        </>}</Show></p>
    </div>
  );
}

function Axis(props: { seconds: number; tick: () => number }) {
  const parts = () => (props.tick(), [props.seconds, props.seconds / 2, 0].map((ago) => clock(nowUs() - ago * 1e6, props.seconds <= 600)));
  return <span class="times"><For each={parts()}>{(time) => <span>{time.slice(-8)}</span>}</For></span>;
}

export function Fleet() {
  const rows = new Map<string, Row>();
  const pick = <T extends string>(key: string, all: readonly string[], usual: T) => {
    const value = route().params.get(key);
    return (value && all.includes(value) ? value : usual) as T;
  };
  const q = () => route().params.get('q') ?? '';
  const sort = createMemo(() => pick<Sort>('sort', ['risk', 'score', 'name'], 'risk'));
  const show = createMemo(() => pick<Shown>('show', Object.keys(SHOWS), 'all'));
  const by = createMemo(() => pick<By>('by', ['score', 'risk'], 'score'));
  const range = createMemo(() => pick<string>('range', Object.keys(SPANS), '5m'));
  const seconds = () => SPANS[range()];
  const cellUs = () => (seconds() * 1e6) / CELLS;

  const [tick, setTick] = createSignal(0);
  const [loaded, setLoaded] = createSignal(false);
  const [layout, setLayout] = createSignal(0);
  const [selected, setSelected] = createSignal(-1);
  let touchedAt = 0, dirty = false;
  let search!: HTMLInputElement, body!: HTMLDivElement;

  const words = createMemo(() => q().toLowerCase().split(/\s+/).filter(Boolean));
  const items = createMemo<Item[]>(() => {
    layout();
    return arrange([...rows.values()].filter((row) => matches(row.view, show(), words())), sort());
  });
  const all = createMemo<Row[]>(() => (layout(), arrange(rows.values(), 'name').flatMap(({ row }) => (row?.view.alive ? row : []))));
  const counts = createMemo(() => {
    tick();
    layout();
    const views = [...rows.values()].map(({ view }) => view);
    return { ...Object.fromEntries(Object.entries(SHOWS).map(([key, [, test]]) => [key, views.filter(test).length])),
      gone: views.filter(({ alive }) => !alive).length } as Record<string, number>;
  });

  // A narrow screen writes a row on two lines.
  const narrow = matchMedia('(max-width: 820px)');
  const [height, setHeight] = createSignal(narrow.matches ? 64 : 38);
  const onNarrow = () => setHeight(narrow.matches ? 64 : 38);
  narrow.addEventListener('change', onNarrow);
  const [scroll, setScroll] = createSignal({ top: 0, view: innerHeight });
  const onScroll = () => setScroll({ top: -(body?.getBoundingClientRect().top ?? 0), view: innerHeight });
  addEventListener('scroll', onScroll, { passive: true });
  // Whatever moves the table without scrolling: the map above it, fonts, another width.
  const moved = new ResizeObserver(onScroll);
  moved.observe(document.body);
  createEffect(() => { items(); queueMicrotask(onScroll); });
  const visible = createMemo(() => {
    const { top, view } = scroll();
    const from = Math.max(0, Math.floor(top / height()) - 5);
    const to = Math.min(items().length, Math.ceil((top + view) / height()) + 5);
    return items().slice(from, to).map((item, i) => ({ item, index: from + i }));
  });
  // Rows are kept while they stay in sight, so that links keep their focus.
  const kept = createMemo<{ item: Item; index: () => number; set: (i: number) => void }[]>((old) => {
    const known = new Map(old.map((one) => [one.item.row ?? one.item.host, one]));
    return visible().map(({ item, index }) => {
      const same = known.get(item.row ?? item.host);
      if (same) {
        same.set(index);
        return same;
      }
      const [at, set] = createSignal(index);
      return { item, index: at, set };
    });
  }, []);

  // The past of all strips, asked for at once whenever another is looked at.
  let asked = 0;
  const [back, setBack] = createSignal(0);
  // Nothing is heard while the page is hidden.
  const onBack = () => { if (!document.hidden) setBack((n) => n + 1); };
  document.addEventListener('visibilitychange', onBack);
  createEffect(on([cellUs, by, loaded, back], () => {
    const own = asked += 1;
    const us = cellUs();
    for (const row of rows.values()) if (row.strip.cellUs !== us) row.strip = new Strip(us);
    if (!loaded()) return;
    // What fails here is told by the list, and strips then start with what arrives live.
    fill(rows, by(), us, () => own !== asked, () => { dirty = true; }).catch(() => {});
  }));

  const refresh = every(() => (rows.size > MANY ? 20_000 : 5000), async () => {
    const { instances } = await get<{ instances: Instance[] }>('instances');
    const known = new Set(instances.map(({ id }) => id));
    const before = rows.size;
    for (const id of rows.keys()) if (!known.has(id)) rows.delete(id);
    for (const view of instances) {
      const row = rows.get(view.id);
      if (row) row.update(view);
      else rows.set(view.id, new Row(view, cellUs()));
    }
    setLoaded(true);
    // Rows must not jump away from under a pointer or a focus that is being moved.
    if (Date.now() - touchedAt > 4000 || before === 0) setLayout((n) => n + 1);
    setTick((n) => n + 1);
    const endangered = [...rows.values()].filter(({ view }) => view.alive && (view.top_risk?.probability ?? 0) >= AT_RISK);
    for (const row of endangered.slice(0, 8)) await row.spread();
    if (endangered.length) setTick((n) => n + 1);
  });
  // Many instances learn or leave at once; one refresh serves them all.
  let sooner: ReturnType<typeof setTimeout> | undefined;
  const soon = () => {
    sooner ??= setTimeout(() => { sooner = undefined; refresh(); }, 700);
  };
  listen('', {
    score: (event: ScoreEvent) => {
      rows.get(event.instance)?.hear(event);
      dirty = true;
    },
    appeared: soon, vanished: soon, learned: soon,
  });
  const pulse = setInterval(() => {
    if (!dirty || document.hidden) return;
    dirty = false;
    setTick((n) => n + 1);
  }, 1000);
  onCleanup(() => {
    clearInterval(pulse);
    clearTimeout(sooner);
    moved.disconnect();
    removeEventListener('scroll', onScroll);
    document.removeEventListener('visibilitychange', onBack);
    narrow.removeEventListener('change', onNarrow);
  });

  function move(step: number) {
    touchedAt = Date.now();
    const list = items();
    let to = selected();
    do to += step; while (list[to] && !list[to].row);
    if (!list[to]) return;
    setSelected(to);
    const top = body.getBoundingClientRect().top + scrollY + to * height();
    if (top < scrollY + 60 || top > scrollY + innerHeight - 80) scrollTo(0, top - innerHeight / 2);
    onScroll();
    queueMicrotask(() => body.querySelector<HTMLElement>(`[data-index="${to}"] a`)?.focus({ preventScroll: true }));
  }
  useKeys({
    '/': ['filter', () => search.focus()],
    j: ['next instance', () => move(1)], k: ['previous instance', () => move(-1)],
    c: ['colour by score or risk', () => setParams({ by: by() === 'score' ? 'risk' : undefined })],
    Escape: ['clear the filter', () => { search.blur(); setParams({ q: undefined, show: undefined }); }],
  });
  const touched = () => { touchedAt = Date.now(); };
  const level = (key: string): Level =>
    !counts()[key] ? 'none' : key === 'anomalous' ? 'hot' : key === 'risk' ? 'warm' : 'none';

  return <>
    <h1 class="hidden">Fleet</h1>
    <div class="stats">
      <For each={Object.entries(SHOWS)}>{([key, [label]]) => (
        <button class="stat" data-level={level(key)} aria-pressed={show() === key}
          title={key === 'risk' ? `${percent(AT_RISK)} or more within the hour` : key === 'learning' ? 'Scores of these are provisional' : undefined}
          onClick={() => setParams({ show: show() === key || key === 'all' ? undefined : key })}>
          <b>{loaded() ? counts()[key] : '–'}</b> <span>{label}{key === 'all' && counts().gone ? `, ${counts().gone} of them gone` : ''}</span>
        </button>
      )}</For>
    </div>
    <div class="bar">
      <input type="search" ref={search} placeholder="Filter by name, kind, workload, label, failure" value={q()}
        aria-label="Filter instances" spellcheck={false} onInput={(event) => setParams({ q: event.target.value || undefined })} />
      <Choice legend="Sort" options={SORTS} value={sort()} onChange={(to) => setParams({ sort: to === 'risk' ? undefined : to })} />
      <Choice legend="Colour" options={[['score', 'Score'], ['risk', 'Risk']]} value={by()}
        onChange={(to) => setParams({ by: to === 'score' ? undefined : to })} />
      <Choice legend="Time" options={Object.keys(SPANS).map((key) => [key, key])} value={range()}
        onChange={(to) => setParams({ range: to === '5m' ? undefined : to })} />
    </div>
    <Show when={all().length >= MAP_FROM}><FleetMap rows={all()} by={by()} tick={tick} /></Show>
    <Show when={items().length}>
      <div class="fleet" role="table" aria-label="Instances by host" aria-rowcount={items().length}>
        <div class="head" role="row">
          <span role="columnheader" class="name">Instance</span>
          <span role="columnheader" class="strip">
            <span class="hidden">{by() === 'score' ? 'Score' : 'Risk'} by time</span><Axis seconds={seconds()} tick={tick} /></span>
          <span role="columnheader" class="score num" title="How surprising the newest sample is. Above 1 is anomalous.">Score</span>
          <span role="columnheader" class="risk num" title="Probability of failing within the hour, by any mode.">Within 1 h</span>
          <span role="columnheader" class="words">Most likely failure</span>
          <span role="columnheader" class="learning">Learning</span>
        </div>
        <div class="rows" ref={body} style={{ height: `${items().length * height()}px` }} onPointerMove={touched}>
          <For each={kept()}>{({ item, index }) => (
            <div role="row" aria-rowindex={index() + 1} data-index={index()} class="row"
              classList={{ host: !item.row, machine: item.row?.view.kind === 'host', gone: (tick(), item.row?.view.alive === false) }}
              data-level={(tick(), item.row ? levelOf(item.row.view) : 'none')}
              style={{ transform: `translateY(${index() * height()}px)`, height: `${height()}px` }}>
              {item.row ? <InstanceRow row={item.row} inner={item.inner} tick={tick} by={by()} />
                : <b class="id" role="cell">{item.host}</b>}
            </div>
          )}</For>
        </div>
      </div>
    </Show>
    <Show when={!loaded()}><div class="empty">Asking for the instances …</div></Show>
    <Show when={loaded() && rows.size === 0 && items().length === 0}>
      <Empty title="No instance yet">
        <p>Machines, containers and services appear here by themselves, a few seconds after their first telemetry.
          Learning begins at once, and the first provisional scores follow within a minute.</p>
        <p>If this page stays empty, see what <code>foretwin run</code> prints: it names every source that it cannot read.</p>
      </Empty>
    </Show>
    <Show when={loaded() && rows.size > 0 && items().length === 0}>
      <Empty title={`No instance${show() === 'all' ? '' : ` that is ${SHOWS[show()][0]}`}${q() ? ` matches “${q()}”` : ''}`}>
        <button onClick={() => setParams({ q: undefined, show: undefined })}>Show all instances</button>
      </Empty>
    </Show>
  </>;
}
