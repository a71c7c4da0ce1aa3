// Which way of expecting each charted metric is used at which distance, and what it beat on held-out data.

import { h, number, span, swap } from './words.js';

const WAYS = {
  last: 'last value', level: 'slow average', seasonal_naive: 'as a period before', seasonal: 'usual at this time',
  linear: 'its own past', joint: 'the past of all', lstm: 'LSTM', closed_loop: 'step by step',
};
const HEADS = ['Metric', 'Ahead', 'Expected by', 'Error', 'Others came to'];
/** Others that are told. */
const OTHERS = 4;

/** A way in words: "usual at this time (1 d)". */
function wayWords(method) {
  if (typeof method === 'string') return WAYS[method] ?? method;
  const [[name, { period_s: period }]] = Object.entries(method);
  return `${WAYS[name] ?? name} (${span(period)})`;
}

/** Neighbouring distances with one way, each as the choices that it is made of. */
function stretches(choices) {
  const found = [];
  for (const choice of choices) {
    const last = found.at(-1);
    if (last && wayWords(last[0].method) === wayWords(choice.method)) last.push(choice);
    else found.push([choice]);
  }
  return found;
}

/** The ways of one metric in a line: "Forecast by its own past to 1 min, LSTM to 10 min". */
export function waysLine({ held, choices }) {
  if (held) return 'Forecast to stay: it never moved while learning, or is set by somebody.';
  if (!choices.length) return '';
  const parts = stretches(choices).map((some) => `${wayWords(some[0].method)} to ${span(some.at(-1).lead_s)}`);
  return `Forecast by ${parts.join(', ')}.`;
}

function rows({ metric, choices }) {
  return stretches(choices).map((some, i) => {
    const { lead_s: to, method, rms, beaten } = some.at(-1);
    const ahead = some.length > 1 ? `${span(some[0].lead_s)} – ${span(to)}` : span(to);
    const others = beaten.slice(0, OTHERS).map((one) => `${wayWords(one.method)} ${number(one.rms, 2)}`);
    return h('tr', null, i ? h('td') : h('th.id', { scope: 'row' }, metric), h('td', null, ahead),
      h('td', null, h('b', null, wayWords(method))), h('td.num', null, `${number(rms, 2)} σ`),
      h('td.dim', null, others.join(', ')));
  });
}

/** The panel: `show` takes an answer of the API, or null. */
export function forecastPanel() {
  const lead = h('p', null, 'Asking …');
  const table = h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': 'Ways of forecasting' });
  const panel = h('section.panel.models', { 'aria-label': 'Forecast' }, h('h2', null, 'Forecast'), lead, table);
  function show(answer) {
    const told = answer?.by.map(({ message, reach_s: reach }) => `${message}; reaches ${span(reach)}`) ?? [];
    swap(lead, told.length ? `Made ${told.join('. Made ')}.` : 'None: nothing is sent now.');
    const all = (answer?.metrics ?? []).flatMap(rows);
    swap(table, ...(all.length ? [h('table.plain', null, h('caption.hidden', null, 'Ways of forecasting'),
      h('thead', null, h('tr', null, HEADS.map((head) => h('th', { scope: 'col' }, head)))), h('tbody', null, all)),
    h('p.small.dim', null, 'Errors are root mean squares on held-out data at the farthest distance of the row, in '
      + 'standard deviations of the metric. The way with the least absolute error is used; a richer one must be 1 % better.')]
      : []));
  }
  return { panel, show };
}
