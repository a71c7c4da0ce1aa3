// Which way of expecting each charted metric is used at which distance, and what it beat on held-out data.

import { For, Show } from 'solid-js';
import { Panel, Table } from './parts';
import type { Choice, Forecasts, Method, MetricForecast } from './types';
import { number, span } from './words';

const WAYS: Record<string, string> = {
  last: 'last value', level: 'slow average', seasonal_naive: 'as a period before', seasonal: 'usual at this time',
  linear: 'its own past', joint: 'the past of all', lstm: 'LSTM', closed_loop: 'step by step',
};
/** Others that are told. */
const OTHERS = 4;

/** A way in words: "usual at this time (1 d)". */
function wayWords(method: Method): string {
  if (typeof method === 'string') return WAYS[method] ?? method;
  const [[name, { period_s: period }]] = Object.entries(method);
  return `${WAYS[name] ?? name} (${span(period)})`;
}

/** Neighbouring distances with one way, each as the choices that it is made of. */
function stretches(choices: Choice[]): Choice[][] {
  const found: Choice[][] = [];
  for (const choice of choices) {
    const last = found.at(-1);
    if (last && wayWords(last[0].method) === wayWords(choice.method)) last.push(choice);
    else found.push([choice]);
  }
  return found;
}

/** The ways of one metric in a line: "Forecast by its own past to 1 min, LSTM to 10 min". */
export function waysLine({ held, choices }: MetricForecast): string {
  if (held) return 'Forecast to stay: it never moved while learning, or is set by somebody.';
  if (!choices.length) return '';
  return `Forecast by ${stretches(choices).map((some) => `${wayWords(some[0].method)} to ${span(some.at(-1)!.lead_s)}`).join(', ')}.`;
}

function Rows(props: { forecast: MetricForecast }) {
  return <For each={stretches(props.forecast.choices)}>{(some, i) => {
    const { lead_s: to, method, rms, beaten } = some.at(-1)!;
    const others = beaten.slice(0, OTHERS).map((one) => `${wayWords(one.method)} ${number(one.rms, 2)}`).join(', ');
    return (
      <tr><Show when={i() === 0} fallback={<td />}><th class="id" scope="row">{props.forecast.metric}</th></Show>
        <td>{some.length > 1 ? `${span(some[0].lead_s)} – ${span(to)}` : span(to)}</td>
        <td><b>{wayWords(method)}</b></td><td class="num">{number(rms, 2)} σ</td><td class="dim">{others}</td></tr>
    );
  }}</For>;
}

export function ForecastTable(props: { forecasts: Forecasts | null; past: boolean }) {
  const told = () => props.forecasts?.by.map(({ message, reach_s: reach }) => `${message}; reaches ${span(reach)}`) ?? [];
  const rows = () => props.forecasts?.metrics.filter(({ choices }) => choices.length) ?? [];
  return (
    <Panel title="Forecast" class="gap">
      <p>{told().length ? `Made ${told().join('. Made ')}.` : props.past ? 'A stretch of the past is shown; go back to live for what comes.'
        : 'None: nothing is sent now, or too little was seen.'}</p>
      <Show when={rows().length}>
        <details><summary>How each charted metric is forecast, and what that beat</summary>
          <Table caption="Ways of forecasting" heads={['Metric', 'Ahead', 'Expected by', '#Error', 'Others came to']}>
            <For each={rows()}>{(forecast) => <Rows forecast={forecast} />}</For>
          </Table>
          <p class="small dim">Errors are root mean squares on held-out data at the farthest distance of the row, in standard
            deviations of the metric. All ways are averaged; the one that is named weighs most of late.</p>
        </details>
      </Show>
    </Panel>
  );
}
