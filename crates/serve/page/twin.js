// Production and its twin side by side: who departs from what is usual, and so where the trouble is.

import { Chart } from './chart.js';
import { clock, h, meter, number, percent, score, scoreLevel, sentence, setText, span, swap, words } from './words.js';

const SCORE = 'foretwin.anomaly.score';
/** Costs of the twin that are charted, and what people call them. */
const COSTS = [
  ['foretwin.probe.wake.lag{stat=p90}', 'Wake-up lag, p90'],
  ['foretwin.probe.disk.sync{stat=p90}', 'Disk sync, p90'],
  ['foretwin.probe.tcp.round_trip{stat=p90}', 'Network round trip, p90'],
];
/** And what of production stands beside them, for groups and for machines. */
const BESIDE = [
  [/^(container|system)\.pressure\.time\{pressure\.kind=some,pressure\.resource=cpu\}$/, 'Waits for a processor'],
  [/^(container|system)\.pressure\.time\{pressure\.kind=some,pressure\.resource=io\}$/, 'Waits for a disk'],
  [/^(container|system)\.cpu\.busy$/, 'Processor time'],
];
const MEANING = {
  healthy: 'Neither production nor its twin departs from what is usual.',
  workload: 'More, or something else, is asked of the instance; the machine underneath is as it was.',
  instance: 'The instance itself: a bug, a leak, its own limit or configuration. The machine underneath is as it was.',
  infrastructure: 'The machine underneath: known work costs the twin more, too.',
  both: 'The instance and the machine underneath.',
  twin_fault: 'The twin misbehaves alone: nothing else speaks for trouble.',
  undetermined: 'There may be trouble, and what is known does not tell where.',
  no_contrast: 'Nothing is compared.',
};
const LEVELS = { healthy: 'calm', no_contrast: 'none', undetermined: 'none', twin_fault: 'warm' };
const FAR = 3;

const link = (id) => h('a.id', { href: `#/i/${encodeURIComponent(id)}` }, id);
const levelOf = ({ class: name }) => LEVELS[name] ?? 'hot';

function verdictLine({ class: name, probability, consumer, self_inflicted: own, since_us: since }) {
  return h('p.verdict', { 'data-level': levelOf({ class: name }) }, h('b', null, sentence(name)),
    h('span.share', null, meter(probability, levelOf({ class: name }), ''), ` ${percent(probability)}`),
    own && h('span.tag', null, 'self-inflicted'), consumer && [' by ', link(consumer)],
    since && h('span.dim', null, ` since ${clock(since)}`));
}

/** The largest shift against the reference, or the champion while there is none. */
function drifted(drift) {
  const all = drift.flatMap(({ reference, champion }) => reference ?? champion ?? []);
  const far = all.sort((a, b) => b.shift - a.shift)[0];
  if (!far) return h('dd.dim', null, 'not known yet');
  return h('dd', { 'data-level': far.shift >= FAR ? 'warm' : 'none' }, `${number(far.shift, 2)} σ`,
    far.metric && h('span.dim', null, ` ${far.metric}`));
}

function side(title, name, facts, chart) {
  return h('div', null, h('h3', null, title, ' ', name), h('dl.facts', null, facts), chart);
}

export function openTwin(app, id, cursor) {
  const at = `twins/${encodeURIComponent(id)}`;
  const [verdict, sides, said] = [h('div'), h('div.halves'), h('p.small', { role: 'status' })];
  const panel = h('section.panel.twin', { 'aria-label': 'Twin', hidden: true },
    h('h2', null, 'Production and its twin'), verdict, sides, said);
  const own = new Map([[SCORE, new Chart(cursor, { key: SCORE, form: 'score', title: 'Production: anomaly score' })]]);
  const others = new Map([[SCORE, new Chart(cursor, { key: SCORE, form: 'score', title: 'Twin: anomaly score' })],
    ...COSTS.map(([key, title]) => [key, new Chart(cursor, { key, title })])]);
  let view = null;

  async function wish(level) {
    try {
      view = await app.post(`${at}/replay`, { level });
      setText(said, level ? 'A replay was asked for; it begins once there is a profile and room in the budget.' : '');
      show();
    } catch (error) {
      setText(said, error.message);
    }
  }

  function show() {
    const { verdict: told, verdict_counters_only: without, probes, fidelity, replay, profile, ahead } = view;
    panel.hidden = !probes && told.class === 'no_contrast';
    const learns = told.evidence[0]?.statement.startsWith('learning');
    swap(verdict, verdictLine(told), h('p.dim', null, learns ? 'No verdict yet.' : MEANING[told.class] ?? ''),
      h('ul', null, told.evidence.map(({ statement }) => h('li', null, statement))),
      h('p.small.dim', null, `Without the twin, from the kernel's counters alone: ${words(without.class)} `
        + `(${percent(without.probability)}).`),
      ahead && ahead.time_to_failure.p50 != null && h('p', null, 'If the twin goes on drifting, latency breaks in about ',
        h('b', null, span(ahead.time_to_failure.p50)), '.'));
    const replayFact = replay ? `${words(replay.state)} as ${replay.achieved}`
      : profile ? `none; profile ${profile.version} is ready` : 'none; no profile yet';
    const button = h('button', { onclick: () => wish(replay ? null : 'process') }, replay ? 'Stop replay' : 'Replay');
    const scoreFact = (value) => h('dd', { 'data-level': scoreLevel(value) }, score(value));
    swap(sides,
      side('Production', h('span.id', null, id), [
        h('dt', null, 'Anomaly score'), scoreFact(view.score), h('dt', null, 'Drift'), drifted(view.drift),
        h('dt', null, 'Replay'), h('dd', null, replayFact, ' ', button),
      ], [...own.values()].map(({ figure }) => figure)),
      side('Twin', probes ? link(probes) : 'none', [
        h('dt', null, 'Runs as'), h('dd', null, fidelity ?? 'nothing'),
        h('dt', null, 'Anomaly score'), scoreFact(view.twin_score), h('dt', null, 'Drift'), drifted(view.twin_drift),
      ], probes && [...others.values()].map(({ figure }) => figure)));
  }

  async function refresh() {
    view = await app.get(at);
    show();
    if (panel.hidden) return;
    const window = (instance, keys) => app.get(`instances/${encodeURIComponent(instance)}/window?${
      new URLSearchParams(keys.map((key) => ['metric', key]))}&from=-15m&to=now&points=300`);
    const known = own.size > 1 ? [] : (await app.get(`instances/${encodeURIComponent(id)}/metrics`)).metrics;
    for (const [pattern, title] of known.length ? BESIDE : []) {
      const key = known.find((metric) => pattern.test(metric.key))?.key;
      if (key) own.set(key, new Chart(cursor, { key, title }));
    }
    if (known.length) show();
    const fill = async (instance, charts) => {
      const answer = await window(instance, [...charts.keys()]);
      for (const [key, chart] of charts) {
        chart.set(answer.series.find(({ metric }) => metric === key),
          { from: answer.from_us, to: answer.to_us, spans: [], note: 'Nothing yet.' });
      }
    };
    await Promise.all([fill(id, own), view.probes && fill(view.probes, others)]);
  }

  const poll = app.every(5000, refresh);
  return {
    panel,
    now: () => poll.now(),
    stop() {
      poll.stop();
      for (const chart of [...own.values(), ...others.values()]) chart.close();
    },
  };
}
