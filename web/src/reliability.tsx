// Predictions against outcomes: of what was said with 30 %, did 30 % come?

import { For, Show } from 'solid-js';
import { get, live } from './api';
import { calibrationWords } from './failure';
import { Choice, Panel, Table } from './parts';
import { route, setParams } from './route';
import type { Calibration } from './types';
import { number, percent, span } from './words';

const SIZE = 260;
const EDGE = 34;
const x = (p: number) => EDGE + p * (SIZE - EDGE - 18);
const y = (p: number) => SIZE - EDGE - p * (SIZE - EDGE - 18);
const FROM: [string, string][] = [['-1d', '1 d'], ['-7d', '7 d'], ['-30d', '30 d']];

function Diagram(props: { of: Calibration }) {
  const bins = () => props.of.bins.filter(({ statements }) => statements > 0);
  return (
    <svg class="diagram" viewBox={`0 0 ${SIZE} ${SIZE}`} role="img"
      aria-label={`Reliability: ${bins().map((bin) => `said ${percent(bin.said)}, came ${percent(bin.came)}`).join('; ') || 'no statements'}`}>
      <For each={[0, 0.5, 1]}>{(p) => <>
        <line class="grid" x1={x(0)} x2={x(1)} y1={y(p)} y2={y(p)} /><line class="grid" x1={x(p)} x2={x(p)} y1={y(0)} y2={y(1)} />
        <text x={EDGE - 4} y={y(p) + 4} text-anchor="end">{p * 100}</text><text x={x(p)} y={SIZE - EDGE + 14} text-anchor="middle">{p * 100}</text></>}</For>
      <line class="ideal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
      <For each={bins()}>{(bin) => <circle cx={x(bin.said)} cy={y(bin.came)} r={Math.min(10, 2.5 + Math.log10(bin.statements))}>
        <title>{`${bin.statements} statements: said ${percent(bin.said)}, came ${percent(bin.came)}`}</title></circle>}</For>
      <text x={x(0.5)} y={SIZE - 4} text-anchor="middle">said, %</text>
      <text x="10" y={y(0.5)} text-anchor="middle" transform={`rotate(-90 10 ${y(0.5)})`}>came, %</text>
    </svg>
  );
}

function Horizon(props: { of: Calibration }) {
  const told = () => calibrationWords(props.of);
  const gain = () => {
    const { brier, brier_of_base_rate: base } = props.of;
    return brier == null || !base ? null : 1 - brier / base;
  };
  return (
    <Panel title={`Within ${span(props.of.horizon_s)}`}>
      <p><span class="tag first" data-level={told().level}>{told().text}</span></p>
      <Show when={props.of.statements}>
        <Diagram of={props.of} />
        <dl class="facts"><dt>Statements</dt><dd>{props.of.statements}, of which {props.of.came} came</dd>
          <dt title="Mean squared distance of what was said from what came; smaller is better">Brier score</dt><dd>{props.of.brier == null ? '–' : number(props.of.brier)}
            <Show when={gain() != null}><span class="dim"> ({gain()! >= 0 ? `${percent(gain()!)} better` : `${percent(-gain()!)} worse`} than always saying the mean rate)</span></Show></dd></dl>
        <details><summary>In numbers</summary><Table caption={`Within ${span(props.of.horizon_s)}`} heads={['#Said', '#Came', '#Statements']}>
          <For each={props.of.bins.filter(({ statements }) => statements)}>{(bin) =>
            <tr><td class="num">{percent(bin.said)}</td><td class="num">{percent(bin.came)}</td><td class="num">{bin.statements}</td></tr>}</For></Table></details>
      </Show>
    </Panel>
  );
}

export function Predictions() {
  const from = () => { const asked = route().params.get('from'); return FROM.some(([key]) => key === asked) ? asked! : '-7d'; };
  const [asked, now] = live(() => get<{ reliability: Calibration[] }>(`reliability?from=${from()}`), 60_000);
  return <>
    <h1>Predictions against outcomes</h1>
    <div class="bar">
      <p class="dim grow">Every stored probability that is old enough is held against what was recorded. A dot on the diagonal was said as often as
        it came. Failures enter by detection, under “Records” of an instance, or by <code>POST /api/v1/failures</code>.</p>
      <Choice legend="Of the last" options={FROM} value={from()} onChange={(to) => { setParams({ from: to === '-7d' ? undefined : to }); now(); }} />
    </div>
    <Show when={asked.data} fallback={<p class="dim">Asking …</p>}>{(data) =>
      <div class="panels"><For each={data().reliability}>{(of) => <Horizon of={of} />}</For></div>}</Show>
  </>;
}
