// The fleet: every instance under its host, with its live score and what is likely to fail.

import { drawSpark } from './chart.js';
import { choice, h, meter, percent, riskLevel, riskWords, score, scoreLevel, setText, span } from './words.js';

const STRIP_US = 300e6;
const AT_RISK = 0.1;
const ROWS_AT_ONCE = 300;
const SORTS = { risk: 'Risk', score: 'Score', name: 'Name' };
const SHOWS = {
  all: ['instances', () => true],
  anomalous: ['anomalous', (i) => i.alive && i.score > 1],
  risk: ['at risk', (i) => i.alive && i.failure_probability >= AT_RISK],
  learning: ['learning', (i) => i.alive && i.learning.phase !== 'learned'],
};
const COLUMNS = [
  ['Instance', 'name'], ['Kind', 'kind'], ['Learning', 'learning'], ['Score, last 5 min', 'strip'],
  ['Score', 'score num', 'How surprising the newest sample is. Above 1 is anomalous.'],
  ['Within 1 h', 'risk num', 'Probability of failing within the hour, by any mode.'],
  ['Most likely failure', 'words'],
];

/** The id without its host: what names the instance under its host's heading. */
function shortName({ id, host }) {
  const path = id.startsWith(`${host}/`) ? id.slice(host.length + 1) : id;
  const cut = path.lastIndexOf('/') + 1;
  return [path.slice(0, cut), path.slice(cut)];
}

/** How far learning is, for people who wonder whether to trust a score. */
function learningCell({ learning, alive }) {
  if (!alive) return ['gone'];
  if (learning.phase === 'learned') return ['learned'];
  const share = `${Math.floor(learning.progress * 100)} %`;
  const word = learning.phase === 'gathering' ? 'gathering' : 'provisional';
  return [`${word} ${share}`, meter(learning.progress, 'none', share)];
}

/** A table row of one instance, changed in place. */
class Row {
  history = [];
  seeded = false;
  cells = Object.fromEntries(COLUMNS.map(([, kind]) => [kind.split(' ')[0], h('td', { class: kind })]));
  element = h('tr', null, Object.values(this.cells));
  canvas = h('canvas', { 'aria-hidden': 'true' });

  constructor(view) {
    const [path, name] = shortName(view);
    const machine = view.kind === 'host';
    this.link = h('a.id', { href: `#/i/${encodeURIComponent(view.id)}`, title: view.id },
      path && h('span.path', null, path), h('b', null, name));
    this.element.classList.toggle('machine', machine);
    const note = view.twin_of ? `twin of ${view.twin_of}` : machine ? '' : view.workload;
    this.cells.name.append(this.link, h('small.id', null, note));
    this.cells.strip.append(this.canvas);
    this.update(view);
  }

  update(view) {
    this.view = view;
    const at = view.judgement?.at_us;
    if (at) this.remember(at, view.score);
    this.cells.learning.replaceChildren(...learningCell(view));
    this.cells.learning.title = view.learning.message;
    setText(this.cells.kind, view.kind);
    this.element.classList.toggle('gone', !view.alive);
    this.element.classList.toggle('unsure', view.learning.phase !== 'learned');
  }

  remember(at, value) {
    if (at <= (this.history.at(-1)?.[0] ?? 0)) return;
    this.history.push([at, value]);
    while (this.history[0][0] < at - STRIP_US) this.history.shift();
  }

  /** Older points in front of what was already seen live. */
  seed(series) {
    const first = this.history[0]?.[0] ?? Infinity;
    const older = series.at_us.map((at, i) => [at, series.observed[i]]).filter(([at]) => at < first);
    this.history.unshift(...older);
  }

  draw(nowUs) {
    const { view, cells } = this;
    const level = view.alive ? scoreLevel(view.score) : 'none';
    this.element.dataset.level = level;
    setText(cells.score, score(view.alive ? view.score : null));
    cells.score.dataset.level = level;
    const gone = !view.alive;
    setText(cells.risk, gone ? '–' : percent(view.failure_probability));
    cells.risk.dataset.level = gone ? 'none' : riskLevel(view.failure_probability);
    const silent = (nowUs - view.last_seen_us) / 1e6;
    const words = riskWords(view.top_risk, this.quantiles);
    setText(cells.words, gone ? `last seen ${span(silent)} ago`
      : silent > 30 ? `silent for ${span(silent)}` : words);
    cells.words.classList.toggle('alarm', !gone && view.top_risk?.probability >= AT_RISK);
    if (this.visible) drawSpark(this.canvas, this.history, nowUs - STRIP_US, nowUs);
  }
}

const byName = (a, b) => a.id.localeCompare(b.id, undefined, { numeric: true });

/** Compares views for a sort order; the living come first, names decide ties. */
function order(sort) {
  const value = {
    risk: (i) => [Math.round(i.failure_probability * 50), i.score ?? -1],
    score: (i) => [i.score ?? -1],
    name: () => [],
  }[sort];
  return (a, b) => {
    if (a.alive !== b.alive && sort !== 'name') return b.alive - a.alive;
    const [x, y] = [value(a), value(b)];
    const at = x.findIndex((part, i) => part !== y[i]);
    return at < 0 ? byName(a, b) : y[at] - x[at];
  };
}

export function openFleet(root, app, { params }) {
  const rows = new Map();
  const bodies = new Map();
  const state = {
    q: params.get('q') ?? '',
    sort: params.get('sort') in SORTS ? params.get('sort') : 'risk',
    show: params.get('show') in SHOWS ? params.get('show') : 'all',
    all: false,
  };
  let loaded = false, touchedAt = 0, dirty = false;

  const search = h('input', {
    type: 'search', placeholder: 'Filter by name, kind, workload, label, failure', value: state.q,
    'aria-label': 'Filter instances', spellcheck: 'false', oninput: () => set({ q: search.value }),
  });
  const stats = Object.fromEntries(Object.entries(SHOWS).map(([key, [label]]) => {
    const value = h('b', null, '–');
    const button = h('button.stat', { onclick: () => set({ show: state.show === key ? 'all' : key }) },
      value, h('span', null, label));
    return [key, { button, value }];
  }));
  stats.risk.button.title = `${percent(AT_RISK)} or more within the hour`;
  stats.learning.button.title = 'Scores of these are provisional';
  const table = h('table.fleet', { hidden: true },
    h('caption.hidden', null, 'Instances by host'),
    h('thead', null, h('tr', null, COLUMNS.map(([label, kind, title]) =>
      h('th', { class: kind, scope: 'col', title }, label)))));
  const message = h('div.empty', null, 'Asking for the instances …');
  root.append(
    h('h1.hidden', null, 'Fleet'),
    h('div.stats', null, Object.values(stats).map(({ button }) => button)),
    h('div.bar', null, search, choice('Sort by', Object.entries(SORTS), state.sort, (sort) => set({ sort }))),
    table, message);

  function set(change) {
    Object.assign(state, change);
    const kept = new URLSearchParams();
    if (state.q) kept.set('q', state.q);
    if (state.sort !== 'risk') kept.set('sort', state.sort);
    if (state.show !== 'all') kept.set('show', state.show);
    app.remember('/', kept);
    arrange();
  }

  function matches(view) {
    const text = [view.id, view.kind, view.workload, view.host, view.learning.phase, view.twin_of ? 'twin' : '',
      view.top_risk?.mode.replaceAll('_', ' '), ...Object.entries(view.labels ?? {}).map((l) => l.join('='))];
    const all = text.join(' ').toLowerCase();
    return SHOWS[state.show][1](view) && state.q.toLowerCase().split(/\s+/).every((word) => all.includes(word));
  }

  /** Hosts in order of their most urgent instance, each with its own row first. */
  function groups() {
    const compare = order(state.sort);
    const byHost = new Map();
    for (const row of rows.values()) {
      if (!matches(row.view)) continue;
      const { host } = row.view;
      if (!byHost.has(host)) byHost.set(host, []);
      byHost.get(host).push(row);
    }
    const sorted = [...byHost].map(([host, members]) => {
      members.sort((a, b) => compare(a.view, b.view));
      const lead = members[0].view;
      members.sort((a, b) => (b.view.kind === 'host') - (a.view.kind === 'host'));
      return { host, members, lead };
    });
    return sorted.sort((a, b) => (state.sort === 'name' ? a.host.localeCompare(b.host, undefined, { numeric: true })
      : compare(a.lead, b.lead)));
  }

  function arrange() {
    const focused = document.activeElement;
    let left = state.all ? Infinity : ROWS_AT_ONCE;
    let matched = 0;
    const wanted = [];
    for (const { host, members } of groups()) {
      matched += members.length;
      if (left <= 0) continue;
      const kept = members.slice(0, left).map((row) => row.element);
      left -= kept.length;
      if (members[0].view.kind !== 'host') kept.unshift(heading(host));
      wanted.push(body(host, kept));
    }
    const now = [...table.tBodies];
    if (now.length !== wanted.length || wanted.some((part, i) => part !== now[i])) {
      now.forEach((part) => part.remove());
      table.append(...wanted);
    }
    if (table.contains(focused)) focused.focus({ preventScroll: true });
    explain(matched);
    draw();
  }

  const headings = new Map();
  function heading(host) {
    if (!headings.has(host)) {
      headings.set(host, h('tr.host', null, h('th.id', { colspan: COLUMNS.length, scope: 'rowgroup' }, host)));
    }
    return headings.get(host);
  }

  function body(host, elements) {
    if (!bodies.has(host)) bodies.set(host, h('tbody'));
    const element = bodies.get(host);
    const now = [...element.children];
    if (now.length !== elements.length || elements.some((row, i) => row !== now[i])) {
      element.replaceChildren(...elements);
    }
    return element;
  }

  /** Says why there is nothing, or less than everything, to see. */
  function explain(matched) {
    if (!loaded) return;
    table.hidden = matched === 0;
    message.hidden = true;
    if (rows.size === 0) {
      say(h('h2', null, 'No instance yet'),
        h('p', null, 'Machines, containers and services appear here by themselves, a few seconds after their first ',
          'telemetry. Learning begins at once, and the first provisional scores follow within a minute.'),
        h('p', null, 'If this page stays empty, see what ',
          h('code', null, 'foretwin run'), ' prints: it names every source that it cannot read.'));
    } else if (matched === 0) {
      const what = state.show === 'all' ? '' : ` that is ${SHOWS[state.show][0]}`;
      say(h('h2', null, `No instance${what}${state.q ? ` matches “${state.q}”` : ''}`),
        h('button', { onclick: clear }, 'Show all instances'));
    } else if (matched > ROWS_AT_ONCE && !state.all) {
      say(`${ROWS_AT_ONCE} of ${matched} instances are shown. `,
        h('button', { onclick: () => set({ all: true }) }, 'Show all'));
    }
  }

  function say(...parts) {
    message.replaceChildren(...parts);
    message.hidden = false;
  }

  function clear() {
    search.value = '';
    set({ q: '', show: 'all' });
  }

  function draw() {
    dirty = false;
    const now = app.nowUs();
    for (const row of rows.values()) if (row.element.isConnected) row.draw(now);
    const views = [...rows.values()].map(({ view }) => view);
    for (const [key, [, test]] of Object.entries(SHOWS)) {
      const count = views.filter(test).length;
      setText(stats[key].value, loaded ? String(count) : '–');
      stats[key].button.setAttribute('aria-pressed', String(state.show === key));
      stats[key].button.dataset.level = !count ? 'none' : { anomalous: 'hot', risk: 'warm' }[key] ?? 'none';
    }
  }

  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const row = rows.get(target.dataset.id);
      if (!row) continue;
      row.visible = isIntersecting;
      if (isIntersecting) {
        row.draw(app.nowUs());
        if (!row.seeded) waiting.add(row);
      }
    }
    seed();
  }, { rootMargin: '200px' });

  const waiting = new Set();
  let asking = 0;
  /** Fetches the past few minutes of scores of rows in sight, a few at a time. */
  async function seed() {
    const [row] = waiting;
    if (!row || asking >= 3) return;
    waiting.delete(row);
    row.seeded = true;
    asking += 1;
    const query = 'metric=foretwin.anomaly.score&from=-5m&to=now&points=150';
    try {
      const window = await app.get(`instances/${encodeURIComponent(row.view.id)}/window?${query}`);
      if (window.series[0]) row.seed(window.series[0]);
      row.draw(app.nowUs());
    } catch {
      // The strip then starts with what arrives live.
    }
    asking -= 1;
    seed();
  }

  async function refresh() {
    const { instances } = await app.get('instances');
    const known = new Set(instances.map(({ id }) => id));
    for (const [id, row] of rows) {
      if (known.has(id)) continue;
      sight.unobserve(row.element);
      row.element.remove();
      rows.delete(id);
    }
    for (const view of instances) {
      const row = rows.get(view.id);
      if (row) row.update(view);
      else add(view);
    }
    loaded = true;
    // Rows must not jump away from under a pointer or a focus that is being moved.
    if (Date.now() - touchedAt > 4000 || !table.tBodies.length) arrange();
    else draw();
    await spreads();
  }

  function add(view) {
    const row = new Row(view);
    row.element.dataset.id = view.id;
    rows.set(view.id, row);
    sight.observe(row.element);
  }

  /** The spread of the time to failure of the few rows that are in danger. */
  async function spreads() {
    const endangered = [...rows.values()].filter(({ view }) => view.alive && view.top_risk?.probability >= AT_RISK);
    for (const row of endangered.slice(0, 8)) {
      if (Date.now() - (row.spreadAt ?? 0) < 15_000) continue;
      row.spreadAt = Date.now();
      const { risks } = await app.get(`instances/${encodeURIComponent(row.view.id)}/risks`);
      const { mode, metric } = row.view.top_risk ?? {};
      row.quantiles = risks.find((risk) => risk.mode === mode && risk.metric === metric)?.time_to_failure;
    }
    draw();
  }

  // Many instances learn or leave at once; one refresh serves them all.
  let sooner = null;
  function soon() {
    sooner ??= setTimeout(() => {
      sooner = null;
      poll.now();
    }, 700);
  }

  app.listen('', {
    score({ instance, at_us, score: value, failure_probability }) {
      const row = rows.get(instance);
      if (!row) return;
      Object.assign(row.view, { score: value, failure_probability, last_seen_us: at_us });
      row.remember(at_us, value);
      dirty = true;
    },
    appeared: soon,
    vanished: soon,
    learned: soon,
  });
  const poll = app.every(5000, refresh);
  const pulse = setInterval(() => dirty && !document.hidden && draw(), 1000);
  const touched = () => { touchedAt = Date.now(); };
  table.addEventListener('pointermove', touched);

  /** Moves the focus to the row `by` further. */
  function step(by) {
    touched();
    const links = [...table.querySelectorAll('tbody a')];
    const at = links.indexOf(document.activeElement);
    const to = at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by));
    links[to]?.focus();
  }

  return {
    keys: [['/', 'filter'], ['j', 'k', 'move'], ['Enter', 'open'], ['Esc', 'clear']].map((k) =>
      [k.slice(0, -1).join(' '), k.at(-1)]),
    onKey(event, typing) {
      if (event.key === 'Escape') return clear();
      if (typing && event.key === 'ArrowDown') step(0);
      if (typing) return;
      if (event.key === '/') {
        event.preventDefault();
        search.select();
      }
      if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1);
    },
    close() {
      poll.stop();
      clearInterval(pulse);
      clearTimeout(sooner);
      sight.disconnect();
    },
  };
}
