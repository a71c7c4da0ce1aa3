// One instance: what may fail and why, how surprising it is, and its metrics against their expectation.

import { Chart, Cursor, anomalousSpans } from './chart.js';
import { forecastPanel, waysLine } from './forecast.js';
import { openModels } from './model.js';
import { openTwin } from './twin.js';
import {
  choice, clock, expectation, h, meter, number, percent, quantity, riskLevel, riskWords, ruler, score, scoreLevel,
  sentence, seriesUnit, setText, span, swap, words,
} from './words.js';

/** Range: how it is asked for, and how often its charts are refreshed, in ms. */
const RANGES = { '5m': 2000, '15m': 3000, '1h': 8000, '6h': 30_000, '24h': 60_000 };
/** Part of the range that forecasts are shown for, ahead of now. */
const AHEAD = 1 / 3;
const RANGES_S = { '5m': 300, '15m': 900, '1h': 3600, '6h': 21_600, '24h': 86_400 };
const SCORE = 'foretwin.anomaly.score';
const FAILURE = 'foretwin.failure.probability{horizon=1h}';
const USUAL = [
  /cpu\.utili[sz]ation/, /cpu\.(time|usage)/, /memory\.unreclaimable/, /memory\.(usage|utili[sz]ation)/,
  /pressure.*(cpu|memory)/, /disk\.(io|operation)|io\.bytes/, /network\.io/,
];
const SHAPES = {
  flat: 'level', plateau: 'rose and levels off', linear: 'changes evenly', accelerating: 'changes faster and faster',
  step: 'jumped and stays', sawtooth: 'rises and is collected', unknown: 'too little seen to tell its shape',
};
const PERIODS_S = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];
const AXIS_S = [10, 604800];
const AXIS_TICKS_S = [60, 600, 7200, 86400];

/** The metrics to begin with: what makes the score, what runs against a limit, and the usual suspects. */
function defaults(view, metrics) {
  const moving = metrics.filter(({ role }) => role !== 'limit');
  const usual = USUAL.flatMap((pattern) => moving.find(({ key }) => pattern.test(key)) ?? []);
  const surprising = (view.judgement?.contributions ?? []).slice(0, 3).map(({ metric }) => metric);
  const keys = [...surprising, view.top_risk?.metric, ...usual.map(({ key }) => key)];
  const known = new Set(metrics.map(({ key }) => key));
  return [...new Set(keys)].filter((key) => known.has(key)).slice(0, 6);
}

const link = (id) => h('a.id', { href: `#/i/${encodeURIComponent(id)}` }, id);

/** A metric's name with its attributes set apart. */
function metricName(key) {
  const [name, attributes] = key.split(/(\{.*)/s);
  return h('span.id', null, name, attributes && h('span.path', null, attributes));
}

const axisAt = (seconds) => {
  const [from, to] = AXIS_S.map(Math.log);
  return Math.min(100, Math.max(0, ((Math.log(Math.max(seconds, 1)) - from) / (to - from)) * 100));
};

/** When: 10 to 90 % of the futures that fail as a bar on a logarithmic axis, and beside it those that never do. */
function timeBar({ time_to_failure: { p10, p50, p90 }, never }) {
  const axis = h('div.axis', null, AXIS_TICKS_S.map((seconds) => {
    const tick = h('i.tick', null, span(seconds));
    tick.style.left = `${axisAt(seconds)}%`;
    return tick;
  }));
  const parts = [[p10, '10 % by'], [p50, 'half by'], [p90, '90 % by']].filter(([at]) => at != null);
  if (p10 != null) {
    const bar = h('i.bar', { class: p90 == null ? 'bar open' : 'bar' });
    bar.style.left = `${axisAt(p10)}%`;
    bar.style.width = `${Math.max(1, axisAt(p90 ?? Infinity) - axisAt(p10))}%`;
    axis.append(bar);
  }
  if (p50 != null) {
    const middle = h('i.middle');
    middle.style.left = `${axisAt(p50)}%`;
    axis.append(middle);
  }
  const hour = (at) => (at === p50 ? ` (${clock(Date.now() * 1000 + p50 * 1e6, p50 < 600)})` : '');
  const text = parts.map(([at, label]) => `${label} ${span(at)}${hour(at)}`).join(' · ');
  const what = text || 'Less than one future in ten fails this way.';
  return [
    h('div.when', { role: 'img', 'aria-label': `${what}; never: ${percent(never)}` }, axis,
      h('span.never', null, h('b', null, percent(never)), ' never', meter(never, 'calm', ''))),
    h('p.small', null, what),
  ];
}

function horizons(cells) {
  return h('dl.horizons', null, cells.map(([seconds, probability]) =>
    h('div', { 'data-level': riskLevel(probability) },
      h('dt', null, `within ${span(seconds)}`), h('dd', null, percent(probability)))));
}

/** "12 ± 1.8 MiB per minute", per a time that fits what was seen. */
function speed({ metric, trend: { rate, rate_sd: spread, shape, span_s: seen } }, unit) {
  if (shape === 'unknown') return '';
  const [period, name] = PERIODS_S.find(([seconds]) => seconds * 5 <= seen) ?? PERIODS_S.at(-1);
  const { by, suffix } = ruler(metric, unit, Math.max(Math.abs(rate), spread) * period);
  return `, ${number(rate * period * by)} ± ${number(spread * period * by, 2)} ${suffix} per ${name}`;
}

function riskCard(risk, unitOf) {
  const unit = unitOf(risk.metric);
  const scale = ruler(risk.metric, unit, Math.max(Math.abs(risk.used), Math.abs(risk.limit)));
  const [used, limit] = [number(risk.used * scale.by), quantity(scale, risk.limit)];
  const share = risk.used / risk.limit;
  const { shape, span_s: seen } = risk.trend;
  const nearest = risk.within.find(([seconds]) => seconds >= 3600)?.[1] ?? risk.within.at(-1)?.[1] ?? 0;
  return h('article.risk', { 'data-level': riskLevel(nearest) },
    h('h3', null, sentence(risk.mode), ' ', metricName(risk.metric)),
    h('p', null, meter(share, riskLevel(nearest), `${percent(share)} used`),
      ` ${used} of ${limit} used (${Math.round(share * 100)} %)`),
    horizons(risk.within), timeBar(risk),
    h('p.small.dim', null, `Trend: ${SHAPES[shape] ?? shape}${speed(risk, unit)}, seen over ${span(seen)}. `,
      `Confidence ${percent(risk.confidence)}.`));
}

const KEYS = [['1 – 5', 'range'], ['m', 'metrics'], ['← →', 'walk along a chart'], ['Esc', 'fleet']];

export function openInstance(root, app, { path, id, params }) {
  const at = `instances/${encodeURIComponent(id)}`;
  const cursor = new Cursor();
  const charts = new Map();
  let range = params.get('range') in RANGES ? params.get('range') : '15m';
  let chosen = params.getAll('metric');
  let picked = chosen.length > 0;
  let view = null, metrics = [], prediction = null, forecasts = null;
  const metricOf = (key) => metrics.find((metric) => metric.key === key);
  const unitOf = (key) => (metricOf(key) ? seriesUnit(metricOf(key)) : '1');

  const [who, figures] = [h('div.who'), h('div.figures')];
  const head = h('header.instance', null, who, figures);
  const learning = h('div.progress', { hidden: true });
  const [risks, causes, unusual] = ['What may fail', 'Why, and what to do', 'What is unusual'].map((title) => {
    const content = h('div', null, h('p.dim', null, 'Asking …'));
    return { content, panel: h('section.panel', null, h('h2', null, title), content) };
  });
  const strips = [
    new Chart(cursor, { key: SCORE, form: 'score', title: 'Anomaly score' }),
    new Chart(cursor, { key: FAILURE, form: 'probability', title: 'Probability of failing within the hour' }),
  ];
  const find = h('input', {
    type: 'search', placeholder: 'Find a metric', 'aria-label': 'Find a metric', spellcheck: 'false', oninput: list,
  });
  const options = h('div.options');
  const summary = h('summary', null, 'Metrics');
  const picker = h('details.picker', null, summary, h('div.pop', null, find, options));
  picker.addEventListener('toggle', () => picker.open && (list(), find.focus()));
  root.addEventListener('pointerdown', onOutside);
  const grid = h('div.charts');
  const ranges = choice('Range', Object.keys(RANGES).map((key) => [key, key]), range, (to) => {
    range = to;
    forecasts = null;
    remember();
    plot.now();
    foresee.now();
  });
  const models = openModels(app, id);
  const twin = openTwin(app, id, cursor);
  const foreseen = forecastPanel();
  root.append(head, learning, h('div.panels', null, risks.panel, causes.panel, unusual.panel), twin.panel,
    h('div.bar.sticky', null, ranges, picker), h('div.strips', null, strips.map(({ figure }) => figure)), grid,
    foreseen.panel, models.panel);

  function onOutside({ target }) {
    if (!picker.contains(target)) picker.open = false;
  }

  function showModels() {
    models.panel.scrollIntoView();
    models.panel.focus({ preventScroll: true });
  }

  function remember() {
    const kept = new URLSearchParams();
    if (picked) for (const key of chosen) kept.append('metric', key);
    if (range !== '15m') kept.set('range', range);
    app.remember(path, kept);
  }

  function choose(key, on) {
    picked = true;
    chosen = chosen.filter((other) => other !== key);
    if (on) chosen.push(key);
    remember();
    layCharts();
    plot.now();
    foresee.now();
  }

  function layCharts() {
    for (const [key, chart] of charts) {
      if (chosen.includes(key)) continue;
      chart.close();
      charts.delete(key);
    }
    for (const key of chosen) {
      if (charts.has(key)) continue;
      const chart = new Chart(cursor, { key, title: metricName(key), onRemove: () => choose(key, false) });
      charts.set(key, chart);
      grid.append(chart.figure);
    }
    setText(summary, `Metrics (${chosen.length} of ${metrics.length})`);
    badges();
  }

  /** Marks the charts of metrics that make the score. */
  function badges() {
    const parts = view?.judgement?.contributions ?? [];
    for (const [key, chart] of charts) {
      const share = view?.score > 1 ? parts.find(({ metric }) => metric === key)?.share : null;
      setText(chart.badge, share ? `${percent(share)} of the score` : '');
    }
  }

  function list() {
    const asked = find.value.toLowerCase().split(/\s+/);
    const fits = ({ key, role }) => asked.every((word) => `${key} ${role}`.toLowerCase().includes(word));
    const fitting = metrics.filter(fits);
    options.replaceChildren(...fitting.slice(0, 300).map((metric) => h('label', null,
      h('input', {
        type: 'checkbox', checked: chosen.includes(metric.key),
        onchange: (event) => choose(metric.key, event.target.checked),
      }),
      metricName(metric.key), h('span.dim', null, metric.role))));
    if (!fitting.length) options.append(h('p.dim', null, 'No metric of this instance has such a name.'));
  }

  function showHead() {
    const { kind, host, parent, workload, labels, criticality, alive, first_seen_us: first, last_seen_us: last } = view;
    const name = id.split('/').at(-1) || id;
    const silent = (app.nowUs() - last) / 1e6;
    const state = !alive ? `gone, last seen ${span(silent)} ago` : silent > 30 ? `silent for ${span(silent)}` : 'alive';
    const facts = [
      ['id', id], ['workload', workload], ['host', host],
      parent && ['inside', link(parent)], view.twin_of && ['twin of', link(view.twin_of)],
      ['criticality', criticality], ['seen since', clock(first, false)],
      ['model', h('button.plain', { onclick: showModels },
        view.learning.model_version ? `version ${view.learning.model_version}` : 'none yet')],
      ...Object.entries(labels ?? {}),
    ].filter(Boolean);
    swap(who,
      h('h1.id', null, name, ' ', h('span.tag', null, kind),
        h('span.tag', { 'data-level': alive && silent <= 30 ? 'none' : 'warm' }, state)),
      h('dl', null, facts.map(([label, value]) =>
        h('div', null, h('dt', null, label), h('dd.id', null, value)))));
    swap(figures,
      figure('anomaly score', score(view.score), scoreLevel(view.score),
        view.score > 1 ? 'anomalous: above 1' : 'anomalous above 1'),
      figure('fails within the hour', percent(view.failure_probability), riskLevel(view.failure_probability),
        riskWords(view.top_risk) || 'nothing in sight'));
  }

  const figure = (label, value, level, note) =>
    h('div.figure', { 'data-level': level }, h('span', null, label), h('b', null, value), h('small', null, note));

  function showLearning() {
    const { phase, progress, message } = view.learning;
    learning.hidden = phase === 'learned';
    const meaning = phase === 'gathering' ? 'There is no score yet: too little was seen to expect anything.'
      : 'Scores are provisional: they come from a model of the first minutes and mean little yet.';
    swap(learning, meter(progress, 'none', percent(progress)), h('b', null, message), ` ${meaning}`);
  }

  function showUnusual() {
    const parts = view.judgement?.contributions ?? [];
    if (!parts.length) {
      const why = view.judgement ? 'Nothing: every metric is as expected.' : 'Not known before the first score.';
      swap(unusual.content, h('p.dim', null, why));
      return;
    }
    const lead = view.score > 1 ? `The score of ${score(view.score)} is made of:`
      : `Nothing: the score of ${score(view.score)} is below 1. Its largest parts:`;
    swap(unusual.content, h('p', null, lead), h('ul.parts', null, parts.map((part) => {
      const size = Math.max(Math.abs(part.observed ?? 0), Math.abs(part.expected?.mean ?? 0));
      const scale = ruler(part.metric, unitOf(part.metric), size);
      return h('li', null, adder(part.metric), h('div', null, meter(part.share, view.score > 1 ? 'hot' : 'none', ''),
        ` ${percent(part.share)} · `, h('b', null, quantity(scale, part.observed)), ' ',
        h('span.dim', null, expectation(scale, part.expected ?? {}))));
    })));
  }

  /** A metric's name that shows its chart. */
  function adder(key) {
    const show = () => {
      if (!chosen.includes(key)) choose(key, true);
      charts.get(key)?.figure.scrollIntoView({ block: 'center' });
    };
    return h('button.plain', { onclick: show, title: 'Show its chart' }, metricName(key));
  }

  async function refreshView() {
    try {
      view = await app.get(at);
    } catch (error) {
      if (error.status === 404) showMissing();
      throw error;
    }
    showHead();
    showLearning();
    showUnusual();
    badges();
  }

  function showMissing() {
    if (view) return;
    root.replaceChildren(h('div.empty', null,
      h('h2', null, 'No such instance'), h('p.id', null, id),
      h('p', null, 'It may have been renamed, or left longer ago than its history is kept.'),
      h('a', { href: '#/' }, 'Back to the fleet')));
    close();
  }

  async function refreshMetrics() {
    if (!view) await refreshView();
    ({ metrics } = await app.get(`${at}/metrics`));
    if (!picked) chosen = defaults(view, metrics);
    layCharts();
    showUnusual();
    if (prediction) showRisks();
    plot.now();
    foresee.now();
  }

  async function refreshPrediction() {
    try {
      prediction = await app.post('twin/predict', { instance: id, horizon: 3600 });
    } catch (error) {
      if (!error.status) throw error;
      showCauses(null, `No diagnosis: ${error.message}`);
      prediction = await app.get(`${at}/risks`);
    }
    showRisks();
    if (prediction.root_causes) showCauses(prediction);
  }

  function showRisks() {
    const { risks: all, probabilities, confidence } = prediction;
    const chance = (risk) => risk.within.at(-1)?.[1] ?? 0;
    const [serious, quiet] = [all.filter((risk) => chance(risk) >= 0.01), all.filter((risk) => chance(risk) < 0.01)];
    const modes = [...new Set(quiet.map(({ mode }) => words(mode)))].join(', ');
    swap(risks.content,
      ...(probabilities ? [h('p', null, 'By any mode, ', h('span.dim', null, `confidence ${percent(confidence)}:`)),
        horizons(probabilities.map((p) => [p.horizon_s, p.probability]))] : []),
      ...serious.map((risk) => riskCard(risk, unitOf)),
      h('p.dim.small', null, quiet.length ? `Watched, with no sign of danger: ${modes}.`
        : serious.length ? '' : 'Nothing of this instance runs against a known limit.'));
  }

  function showCauses(prediction, failure) {
    const found = prediction?.root_causes ?? [];
    const actions = prediction?.recommended_actions ?? [];
    const none = failure ?? (prediction.failure_probability >= 0.1 ? 'Something may fail, but no cause stands out yet.'
      : 'No cause is sought while nothing is wrong.');
    swap(causes.content,
      ...(found.length ? found.map(causeItem) : [h('p.dim', null, none)]),
      ...(actions.length ? [h('h3', null, 'Recommended'), h('ol.actions', null, actions.map((action) =>
        h('li', null, h('b', null, sentence(action.action)), h('div', null, action.description),
          action.expected_effect && h('div.dim', null, `Expected: ${action.expected_effect}`))))] : []));
  }

  function causeItem({ class: name, place, probability, evidence }) {
    return h('article.cause', null,
      h('h3', null, sentence(name), place !== id && [' in ', link(place)],
        h('span.share', null, meter(probability, 'none', ''), ` ${percent(probability)}`)),
      h('ul', null, evidence.map(({ metric, statement }) =>
        h('li', null, statement, ' ', metric && adder(metric)))));
  }

  async function refreshForecasts() {
    const [asked, keys] = [range, chosen.filter((key) => metricOf(key) && !key.startsWith('foretwin.'))];
    if (!keys.length) return;
    const query = new URLSearchParams(keys.map((key) => ['metric', key]));
    const horizon = Math.round(RANGES_S[asked] * AHEAD);
    try {
      const answer = await app.get(`${at}/forecasts?${query}&horizon=${horizon}s&points=90`);
      if (asked !== range) return;
      forecasts = answer;
    } catch (error) {
      if (!error.status) throw error;
      forecasts = null;
    }
    foreseen.show(forecasts);
    for (const [key, chart] of charts) {
      const own = forecasts?.metrics.find(({ metric }) => metric === key);
      setText(chart.way, own ? waysLine(own) : '');
    }
    plot.now();
  }

  async function refreshCharts() {
    const asked = range;
    const points = Math.min(600, Math.max(120, Math.round(root.clientWidth)));
    const window = (keys) => {
      const query = new URLSearchParams(keys.map((key) => ['metric', key]));
      return app.get(`${at}/window?${query}&from=-${asked}&to=now&points=${points}`);
    };
    const keys = chosen.filter(metricOf);
    const [own, rest] = await Promise.all([
      window([SCORE, FAILURE]).catch((error) => {
        if (!error.status) throw error;
        return null;
      }),
      keys.length ? window(keys) : null,
    ]);
    if (asked !== range) return;
    const answer = rest ?? own;
    if (!answer) return;
    const ahead = forecasts?.metrics.length ? RANGES_S[asked] * AHEAD * 1e6 : 0;
    const plotted = { from: answer.from_us, to: answer.to_us + ahead };
    const seriesOf = (from, key) => from?.series.find(({ metric }) => metric === key);
    const scores = seriesOf(own, SCORE);
    const spans = scores ? anomalousSpans(scores) : [];
    strips[0].set(scores, { ...plotted, spans, note: 'No score in this range.' });
    strips[1].set(seriesOf(own, FAILURE), { ...plotted, spans: [], note: 'No prediction in this range.' });
    for (const [key, chart] of charts) {
      const unknown = metrics.length && !metricOf(key) ? 'This instance has no such metric (any more).' : undefined;
      const own = forecasts?.metrics.find(({ metric }) => metric === key);
      chart.set(seriesOf(rest, key), { ...plotted, spans, note: unknown, ahead: own });
    }
  }

  app.listen(`?instance=${encodeURIComponent(id)}`, {
    score({ instance, at_us, score: value, failure_probability }) {
      if (!view || instance !== id) return;
      Object.assign(view, { score: value, failure_probability, last_seen_us: at_us, alive: true });
      showHead();
    },
    learned: () => [look, predict, models, foresee].forEach((poll) => poll.now()),
    verdict: () => twin.now(),
    vanished: () => look.now(),
  });
  const look = app.every(5000, refreshView);
  const plot = app.every(() => RANGES[range], refreshCharts);
  const learn = app.every(60_000, refreshMetrics);
  const predict = app.every(10_000, refreshPrediction);
  const foresee = app.every(15_000, refreshForecasts);

  function close() {
    root.removeEventListener('pointerdown', onOutside);
    for (const poll of [look, plot, learn, predict, foresee, models, twin]) poll.stop();
    for (const chart of [...strips, ...charts.values()]) chart.close();
  }

  return {
    keys: KEYS,
    onKey(event, typing) {
      if (event.key === 'Escape') {
        if (picker.open) {
          picker.open = false;
          summary.focus();
        } else if (!typing) location.hash = '#/';
      }
      if (typing) return;
      const radio = ranges.querySelectorAll('input')[Number(event.key) - 1];
      radio?.click();
      if (event.key === 'm') {
        event.preventDefault();
        picker.open = !picker.open;
      }
    },
    close,
  };
}
