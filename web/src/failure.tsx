// What may fail, and when: always as a distribution, and always beside how far such statements came true before.

import { createMemo, For, Show } from 'solid-js';
import { get, live } from './api';
import { Meter, MetricName, Panel } from './parts';
import type { Subject } from './instance';
import type { Calibration, Risk } from './types';
import { clock, number, percent, quantity, riskLevel, ruler, sentence, span, words } from './words';

const SHAPES: Record<string, string> = {
  flat: 'level', plateau: 'rose and levels off', linear: 'changes evenly', accelerating: 'changes faster and faster',
  step: 'jumped and stays', sawtooth: 'rises and is collected', unknown: 'too little seen to tell its shape',
};
const PERIODS_S: [number, string][] = [[86400, 'day'], [3600, 'hour'], [60, 'minute'], [1, 'second']];
/** Ends of the logarithmic axis of time, s. */
const AXIS_S = [10, 604_800];
const TICKS_S = [60, 600, 7200, 86_400];
/** From this probability at the farthest horizon on a risk is told in full. */
const SERIOUS = 0.01;
/** Statements from which on a calibration means something. */
const ENOUGH = 100;

/** Share of the axis at so many seconds, 0 to 1. */
function axisAt(seconds: number): number {
  const [from, to] = AXIS_S.map(Math.log);
  return Math.min(1, Math.max(0, (Math.log(Math.max(seconds, 1)) - from) / (to - from)));
}

const chance = (risk: Risk) => risk.within.at(-1)?.[1] ?? 0;
const hourly = (risk: Risk) => risk.within.find(([seconds]) => seconds >= 3600)?.[1] ?? chance(risk);
export const serious = (risks: Risk[] | undefined) => (risks ?? []).filter((risk) => chance(risk) >= SERIOUS);

/** When: 10 to 90 % of the futures as a bar on a logarithmic axis, and beside it those in which it never comes. */
function TimeBar(props: { risk: Risk }) {
  const time = () => props.risk.time_to_failure;
  const text = () => {
    const { p10, p50, p90 } = time();
    const hour = (at: number) => (at === p50 ? ` (${clock(Date.now() * 1000 + at * 1e6, at < 600)})` : '');
    const parts = ([[p10, '10 % by'], [p50, 'half by'], [p90, '90 % by']] as [number | null, string][])
      .flatMap(([at, label]) => (at == null ? [] : `${label} ${span(at)}${hour(at)}`));
    return parts.join(' · ') || 'Less than one future in ten fails this way.';
  };
  const pos = (seconds: number) => `${axisAt(seconds) * 100}%`;
  return <>
    <div class="when" role="img" aria-label={`${text()}; never: ${percent(props.risk.never)}`}>
      <div class="axis">
        <For each={TICKS_S}>{(seconds) => <i class="tick" style={{ left: pos(seconds) }}>{span(seconds)}</i>}</For>
        <Show when={time().p10 != null}>
          <i class="bar" classList={{ open: time().p90 == null }} style={{ left: pos(time().p10!),
            width: `${Math.max(1, (axisAt(time().p90 ?? Infinity) - axisAt(time().p10!)) * 100)}%` }} />
        </Show>
        <Show when={time().p50 != null}><i class="middle" style={{ left: pos(time().p50!) }} /></Show>
      </div>
      <span class="never"><b>{percent(props.risk.never)}</b> never <Meter share={props.risk.never} level="calm" /></span>
    </div>
    <p class="small">{text()}</p>
  </>;
}

export function Horizons(props: { cells: [number, number][] }) {
  return (
    <dl class="horizons">
      <For each={props.cells}>{([seconds, p]) => (
        <div data-level={riskLevel(p)}><dt>within {span(seconds)}</dt><dd>{percent(p)}</dd></div>
      )}</For>
    </dl>
  );
}

/** "12 ± 1.8 MiB per minute", per a time that fits what was seen. */
function speed({ metric, trend: { rate, rate_sd: spread, shape, span_s: seen } }: Risk, unit: string): string {
  if (shape === 'unknown') return '';
  const [period, name] = PERIODS_S.find(([seconds]) => seconds * 5 <= seen) ?? PERIODS_S.at(-1)!;
  const { by, suffix } = ruler(metric, unit, Math.max(Math.abs(rate), spread) * period);
  return `, ${number(rate * period * by)} ± ${number(spread * period * by, 2)} ${suffix} per ${name}`;
}

function RiskCard(props: { risk: Risk; unit: string; brief?: boolean }) {
  const scale = () => ruler(props.risk.metric, props.unit, Math.max(Math.abs(props.risk.used), Math.abs(props.risk.limit)));
  const share = () => props.risk.used / props.risk.limit;
  const level = () => riskLevel(hourly(props.risk));
  return (
    <article class="risk" data-level={level()}>
      <h3>{sentence(props.risk.mode)} <MetricName key={props.risk.metric} /></h3>
      <p><Meter share={share()} level={level()} label={`${percent(share())} used`} />
        {' '}{number(props.risk.used * scale().by)} of {quantity(scale(), props.risk.limit)} used ({Math.round(share() * 100)} %)</p>
      <Show when={!props.brief}><Horizons cells={props.risk.within} /></Show>
      <TimeBar risk={props.risk} />
      <p class="small dim">Trend: {SHAPES[props.risk.trend.shape] ?? props.risk.trend.shape}{speed(props.risk, props.unit)}, seen
        over {span(props.risk.trend.span_s)}. Confidence {percent(props.risk.confidence)}.</p>
    </article>
  );
}

function quietLine(all: Risk[]): string {
  const loud = new Set(serious(all).map(({ mode }) => mode));
  const quiet = [...new Set(all.filter(({ mode }) => !loud.has(mode)).map(({ mode }) => words(mode)))].join(', ');
  if (quiet) return `Watched, with no sign of danger: ${quiet}.`;
  return all.length ? '' : 'Nothing of this instance runs against a known limit.';
}

/** How far statements of this horizon came true, in a tag. */
export function calibrationWords(of: Calibration | undefined): { text: string; level: 'none' | 'calm' | 'warm' } {
  if (!of || of.statements < ENOUGH) {
    return { text: `not tested yet: ${of?.statements ?? 0} statements are old enough to be judged`, level: 'none' };
  }
  const error = of.calibration_error ?? 0;
  const base = of.came === 0 ? 'nothing failed yet' : `${of.came} came true`;
  const text = `off by ${number(error * 100, 2)} points on average over ${of.statements} statements, ${base}`;
  return { text, level: error <= 0.05 ? 'calm' : 'warm' };
}

function CalibrationBadge(props: { id: string }) {
  const [asked] = live(() => get<{ reliability: Calibration[] }>(`reliability?instance=${encodeURIComponent(props.id)}`), 60_000, [400, 404]);
  const told = () => calibrationWords(asked.data?.reliability.find(({ horizon_s }) => horizon_s === 3600));
  return <a class="tag" data-level={told().level} href="#/predictions" title="Within one hour, of this instance, in the last seven days">
    {asked.data || asked.error ? told().text : 'asking how well it was calibrated …'}</a>;
}

/** Survival by mode from what is stated at the horizons and by the quantiles: [seconds, still working]. */
function curve({ within, time_to_failure: { p10, p50, p90 } }: Risk): [number, number][] {
  const points: [number, number][] = within.map(([seconds, p]) => [seconds, 1 - p]);
  for (const [at, left] of [[p10, 0.9], [p50, 0.5], [p90, 0.1]] as [number | null, number][]) if (at != null) points.push([at, left]);
  points.sort((a, b) => a[0] - b[0]);
  let least = 1;
  return [[AXIS_S[0], 1], ...points.map(([at, left]): [number, number] => [at, least = Math.min(least, left)])];
}

/** What a curve says at a time between its points. */
function leftAt(points: [number, number][], seconds: number): number {
  const after = points.findIndex(([at]) => at >= seconds);
  if (after <= 0) return points.at(after)![1];
  const [[t0, v0], [t1, v1]] = [points[after - 1], points[after]];
  return v0 + ((v1 - v0) * (axisAt(seconds) - axisAt(t0))) / (axisAt(t1) - axisAt(t0) || 1);
}

/** By any mode: as stated at the horizons, and between them as if the modes knew nothing of each other, within what is stated. */
function together(modes: [number, number][][], stated: [number, number][]): [number, number][] {
  const times = [...new Set([AXIS_S[0], ...modes.flat().map(([at]) => at)])].filter((at) => !stated.some(([known]) => known === at));
  const between = times.map((at): [number, number] => {
    const most = stated.findLast(([known]) => known < at)?.[1] ?? 1;
    const least = stated.find(([known]) => known > at)?.[1] ?? 0;
    return [at, Math.max(least, Math.min(most, modes.reduce((left, mode) => left * leftAt(mode, at), 1)))];
  });
  return [...between, ...stated].sort((a, b) => a[0] - b[0]);
}

const [WIDTH, HEIGHT, LEFT, FOOT] = [640, 210, 44, 24];
const x = (seconds: number) => LEFT + axisAt(seconds) * (WIDTH - LEFT - 10);
const y = (left: number) => 8 + (1 - left) * (HEIGHT - FOOT - 8);

function Survival(props: { risks: Risk[]; any: [number, number][] }) {
  const line = (points: [number, number][]) =>
    points.filter(([at]) => at <= AXIS_S[1]).map(([at, left]) => `${x(at).toFixed(1)},${y(left).toFixed(1)}`).join(' ');
  const all = () => together(props.risks.map(curve), props.any.map(([at, p]) => [at, 1 - p]));
  return <>
    <svg class="survival" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img"
      aria-label={`Probability of still working: ${props.any.map(([at, p]) => `${percent(1 - p)} at ${span(at)}`).join(', ')}`}>
      <For each={[0, 0.25, 0.5, 0.75, 1]}>{(left) => <>
        <line class="grid" x1={LEFT} x2={WIDTH - 10} y1={y(left)} y2={y(left)} />
        <text x={LEFT - 6} y={y(left) + 4} text-anchor="end">{left * 100} %</text></>}</For>
      <For each={[60, 600, 3600, 21_600, 86_400]}>{(seconds) => <>
        <line class="grid" x1={x(seconds)} x2={x(seconds)} y1={y(1)} y2={y(0)} />
        <text x={x(seconds)} y={HEIGHT - 6} text-anchor="middle">{span(seconds)}</text></>}</For>
      <For each={props.risks}>{(risk, i) => <polyline class={`mode m${i() % 5}`} points={line(curve(risk))} />}</For>
      <polyline class="any" points={line(all())} />
    </svg>
    <ul class="legend">
      <li class="any">by any mode</li>
      <For each={props.risks}>{(risk, i) => <li class={`m${i() % 5}`}>{words(risk.mode)} <span class="path">{risk.metric}</span></li>}</For>
    </ul>
  </>;
}

/** For the overview: what is in danger, in short. */
export function RiskSummary(props: { subject: Subject }) {
  const found = createMemo(() => serious(props.subject.prediction?.risks));
  return (
    <Panel title="What may fail" side={<a href={`#/i/${encodeURIComponent(props.subject.id)}?tab=failure`}>Distribution</a>}>
      <Show when={props.subject.prediction} fallback={<p class="dim">{props.subject.refused ?? 'Asking …'}</p>}>{(prediction) => <>
        <Show when={prediction().probabilities.length}>
          <p>By any mode, <span class="dim">confidence {percent(prediction().confidence)}:</span></p>
          <Horizons cells={prediction().probabilities.map((p) => [p.horizon_s, p.probability])} />
        </Show>
        <For each={found().slice(0, 3)}>{(risk) => <RiskCard risk={risk} unit={props.subject.unitOf(risk.metric)} brief />}</For>
        <p class="dim small">{quietLine(prediction().risks)}</p>
      </>}</Show>
    </Panel>
  );
}

export function Failure(props: { subject: Subject }) {
  const found = createMemo(() => serious(props.subject.prediction?.risks));
  const any = (): [number, number][] => props.subject.prediction?.probabilities.map((p) => [p.horizon_s, p.probability]) ?? [];
  return (
    <div class="panels">
      <Panel title="Probability of still working" side={<CalibrationBadge id={props.subject.id} />}>
        <Show when={props.subject.prediction} fallback={<p class="dim">{props.subject.refused ?? 'Asking …'}</p>}>
          <Horizons cells={any()} />
          <Survival risks={found()} any={any()} />
          <Show when={props.subject.prediction?.calibration}>{(of) => <p class="small">{of().abstains
            ? `Recorded failures do not move these numbers yet: ${of().abstains}.`
            : `Leaning on ${of().failures} recorded failures, learned ${clock(of().learned_us)}.`}</p>}</Show>
          <p class="small dim">Points between the stated horizons are joined by lines. What lies beyond the axis is not drawn:
            a future in which nothing fails has no end.</p>
        </Show>
      </Panel>
      <Panel title="Time to failure, by mode">
        <For each={found()} fallback={<p class="dim">Nothing is likely to fail within a day.</p>}>{(risk) =>
          <RiskCard risk={risk} unit={props.subject.unitOf(risk.metric)} />}</For>
        <p class="dim small">{quietLine(props.subject.prediction?.risks ?? [])}</p>
      </Panel>
    </div>
  );
}
