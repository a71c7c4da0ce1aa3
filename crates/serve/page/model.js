// The models of an instance: which version judges, what its expectations are made of, and the way to another one.

import { clock, h, number, setText, span, swap, words } from './words.js';

/** Deviations, or multiples of the usual surprise, from which a drift is called one. */
const FAR = 3;

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const count = (n, noun) => `${n} ${noun}${n === 1 ? '' : 's'}`;
/** A tagged value of the API: a name, or a name with details. */
const nameOf = (value) => (typeof value === 'string' ? value : Object.keys(value ?? {})[0] ?? '?');

/** By how much an error changed, 0.9 → "−10 %". */
function change(ratio) {
  const size = Math.abs(ratio - 1) * 100;
  return size < 0.05 ? '±0 %' : `${ratio < 1 ? '−' : '+'}${number(size, size < 10 ? 2 : 3)} %`;
}

/** Whose weights the LSTM has, and what the others were worth. */
function whose({ shared, own, cohort }) {
  if (shared) return `, by weights learned from its workload${own == null ? '' : ` (its own: ${change(own)})`}`;
  return cohort == null ? '' : `, by weights of its own (its workload's: ${change(cohort)})`;
}

/** What the LSTM does here, and what it was worth. */
function lstmWords({ gain, corrected, features, provenance }) {
  const modelled = features.filter(({ duty }) => nameOf(duty) === 'modelled').length;
  const least = provenance.config?.lstm_min_rows;
  const ratio = gain.shared ? gain.cohort : gain.own;
  if (corrected) {
    const worth = ratio == null ? '' : `: held-out squared error ${change(ratio)} over all metrics`;
    return `Linear + LSTM for ${corrected} of ${count(modelled, 'metric')}${worth}`
      + `${whose(gain)}.`;
  }
  const why = gain.own != null || gain.cohort != null ? 'an LSTM was tried, and helped none'
    : least ? `an LSTM is tried from ${least} frames on` : 'no LSTM was tried';
  return `Linear for all of ${count(modelled, 'metric')}: ${why}.`;
}

function trialItem({ what, before, after, kept, of, epochs }) {
  return h('li', null, capital(what), ': error ', number(before), ' → ', number(after), ' ',
    h('b', null, `(${change(after / before)})`), `, kept for ${kept} of ${count(of, 'metric')}`,
    epochs > 0 && `, ${count(epochs, 'epoch')}`);
}

/** How far the instance is from where one of its models saw it. */
function driftWords(name, of) {
  if (!of) return h('span.dim', null, `${name}: not known yet`);
  return h('span', { 'data-level': of.shift >= FAR ? 'warm' : 'none' }, `${name} (version ${of.model_version}): `,
    h('b', null, `${number(of.shift, 2)} σ`), of.metric && h('span.dim', null, ` ${of.metric}`));
}

function driftLine(drift) {
  if (!drift) return h('dd.dim', null, 'Not known: nothing is sent now.');
  const { champion, reference, surprise } = drift;
  return h('dd', null, driftWords('from the champion', champion), ' · ', driftWords('from the reference', reference),
    surprise != null && h('span', { 'data-level': surprise >= FAR ? 'warm' : 'none' },
      ` · surprise ${number(surprise, 2)} × the usual`));
}

function facts(version, drift) {
  const { rows, step_s: step, phase, reason, provenance, cycle, trials } = version;
  const long = (provenance.to_us - provenance.from_us) / 1e6;
  const repeats = cycle && `every ${span(cycle.period_s)}, in ${count(cycle.metrics.length, 'metric')}`;
  return h('dl.facts', null,
    h('dt', null, 'Trained'), h('dd', null, `${clock(version.trained_at)}, on ${count(rows, 'frame')} of ${span(long)}`,
      ` (one in ${number(step, 2)} s); ${phase}; ${reason}`),
    h('dt', null, 'Expectation'), h('dd', null, lstmWords(version)),
    h('dt', null, 'Tried on held-out data'),
    h('dd', null, trials.length ? h('ul', null, trials.map(trialItem)) : 'nothing yet'),
    h('dt', null, 'Repeats'), h('dd', null, repeats || 'nothing found that does'),
    h('dt', { title: 'The largest slow mean of a metric, in standard deviations of its training window' }, 'Drift'),
    driftLine(drift));
}

/** What is expected of each metric: how its samples become numbers, and which parts predict them. */
function metricRows({ features, cycle }) {
  const cyclic = new Set(cycle?.metrics);
  const order = ({ duty, corrected }) => (corrected ? 0 : nameOf(duty) === 'modelled' ? 1 : 2);
  const sorted = [...features].sort((a, b) => order(a) - order(b));
  return sorted.map(({ metric, transform, duty, corrected }) => {
    const modelled = nameOf(duty) === 'modelled';
    const parts = ['linear', corrected && '+ LSTM', cyclic.has(metric) && '+ cycle'].filter(Boolean).join(' ');
    return h('tr', null, h('th.id', { scope: 'row' }, metric), h('td', null, words(nameOf(transform))),
      modelled ? h('td', null, corrected ? h('b', null, parts) : parts)
        : h('td.dim', null, `none: ${words(nameOf(duty))}`));
  });
}

const table = (caption, heads, rows) => h('table.plain', null, h('caption.hidden', null, caption),
  h('thead', null, h('tr', null, heads.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', null, rows));

/** The panel of an instance's models. */
export function openModels(app, id) {
  const at = `models/${encodeURIComponent(id)}`;
  const title = h('h2', null, 'Model');
  const [lead, about, versions] = [h('p', null, 'Asking …'), h('div'), h('div.scroll')];
  const said = h('p.small', { role: 'status' });
  const summary = h('summary', null, 'What is expected of each metric');
  const recipe = h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Metrics and their expectations' });
  const details = h('details.recipe', { hidden: true }, summary, recipe);
  const panel = h('section.panel.models', { tabindex: -1, 'aria-label': 'Model' }, title, lead,
    h('div.halves', null, h('div', null, about, details), h('div', null, versions, said)));
  let line = null, version = null;

  /** Asks for the reason, which is also the way out, and then for the change. */
  async function ask(question, path) {
    const reason = prompt(`${question}\nWhy? (is kept beside the change)`, '');
    if (reason == null) return;
    try {
      const body = reason.trim() ? { reason: reason.trim() } : {};
      const { to } = await app.post(`${at}/${path}?schema=${line.schema}`, body);
      setText(said, `Version ${to} judges from the next frame on.`);
    } catch (error) {
      setText(said, `Nothing has changed: ${error.message}`);
    }
    poll.now();
  }

  const promote = (to) => ask(`Let version ${to} judge from the next frame on?`, `${to}/promote`);
  const rollBack = () => ask(`Roll back from version ${line.champion} to version ${line.rollback_to}?`, 'rollback');

  function versionRow(entry) {
    const of = entry.version;
    const roles = ['champion', 'reference'].filter((role) => line[role] === of);
    if (line.judging === of && line.champion !== of) roles.push('judging');
    if (line.challengers.includes(of)) roles.push('challenger');
    if (entry.pinned) roles.push('pinned');
    return h('tr', null, h('th.num', { scope: 'row' }, of), h('td', null, clock(entry.trained_at)),
      h('td.num', null, entry.rows), h('td.num', null, entry.corrected || '–'),
      h('td', null, roles.map((role) => [h('span.tag', null, role), ' '])), h('td.why', null, entry.reason),
      h('td', null, line.champion !== of
        && h('button', { onclick: () => promote(of), 'aria-label': `Promote version ${of}` }, 'Promote')));
  }

  function showVersions() {
    swap(versions, table('Versions', ['Version', 'Trained', 'Frames', 'LSTM for', 'Role', 'Why', ''],
      [...line.versions].reverse().map(versionRow)));
  }

  function showLead(others) {
    const { judging, champion, rollback_to: back, judged_for_all: leader } = line;
    const judge = leader ? `Version ${judging} of ${leader} judges, made for its whole workload.`
      : judging == null && champion == null ? 'No version judges: none is the champion.'
      : judging == null ? `Nothing is judged now; version ${champion} will.`
      : judging === champion ? `Version ${judging} judges.`
        : `Version ${judging} judges; the champion is ${champion ?? 'none'}.`;
    swap(lead, h('b', null, judge), ' ',
      back != null && h('button', { onclick: rollBack }, `Roll back to version ${back}`),
      others > 0 && h('span.dim', null, `Other lists of metrics that it sends or sent, with models too: ${others}.`));
  }

  async function refresh() {
    const [{ lines }, { drift }] = await Promise.all([
      app.get(at), app.get(`instances/${encodeURIComponent(id)}/drift`),
    ]);
    [line = null] = lines;
    if (!line) {
      swap(lead, h('span.dim', null, 'None yet: the first is made after half a minute of telemetry.'));
      return;
    }
    showLead(lines.length - 1);
    showVersions();
    const kept = (number) => line.versions.some((entry) => entry.version === number);
    const main = kept(line.judging) ? line.judging : line.champion;
    if (main == null) return;
    if (version?.version !== main || version.schema !== line.schema) {
      version = await app.get(`${at}/${main}?schema=${line.schema}`);
      swap(recipe, table('Metrics', ['Metric', 'Becomes', 'Expectation'], metricRows(version)));
      details.hidden = false;
    }
    swap(about, facts(version, drift.find(({ schema }) => schema === line.schema)));
  }

  const poll = app.every(15_000, refresh);
  return { panel, now: poll.now, stop: poll.stop };
}
