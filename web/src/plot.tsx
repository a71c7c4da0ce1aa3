// One series over time: observed against expected and its band, with what comes, in a uPlot.

import uPlot from 'uplot';
import { createEffect, createMemo, createSignal, on, onCleanup, onMount, Show, type JSX } from 'solid-js';
import { colours, paletteVersion } from './theme';
import type { MetricForecast, Series } from './types';
import { clock, expectation, percent, quantity, ruler, score, type Ruler } from './words';

export type Form = 'metric' | 'score' | 'probability';
/** Something that happened, in µs. */
export interface Mark { at: number; text: string; level: 'dim' | 'warm' | 'hot' }

export interface PlotProps {
  id: string;
  title: JSX.Element;
  form?: Form;
  series: Series | undefined;
  ahead?: MetricForecast | null;
  /** Span shown, in µs. */
  from: number;
  to: number;
  /** Times at which the score was above 1. */
  spans?: [number, number][];
  marks?: Mark[];
  badge?: string;
  note?: string;
  foot?: string;
  height?: number;
  onZoom?: (from: number, to: number) => void;
  onRemove?: () => void;
}

type Column = (number | null)[];
const GUTTER = 58;
const SYNC = 'foretwin';

/** Usual distance of neighbouring samples, µs. */
export function usualStep(at: number[]): number {
  if (at.length < 2) return 1e6;
  // A few dozen of them tell; this runs at every update of every chart.
  const stride = Math.max(1, Math.floor(at.length / 40));
  const gaps: number[] = [];
  for (let i = 1; i < at.length; i += stride) gaps.push(at[i] - at[i - 1]);
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}

/** Times at which the score was above 1, as [from, to] in µs. */
export function anomalousSpans(series: Series | undefined): [number, number][] {
  const spans: [number, number][] = [];
  if (!series) return spans;
  const { at_us: at, observed } = series;
  const step = usualStep(at);
  for (let i = 0; i < at.length; i += 1) {
    if (!((observed[i] ?? 0) > 1)) continue;
    const last = spans.at(-1);
    if (last && at[i] - last[1] <= step * 1.5) last[1] = at[i] + step / 2;
    else spans.push([at[i] - step / 2, at[i] + step / 2]);
  }
  return spans;
}

/** Lowest and highest value to show. A band much wider than the data must not flatten the data. */
function extent(series: Series, ahead?: MetricForecast | null): [number, number] | null {
  const { observed, expected, scale } = series;
  let low = Infinity, high = -Infinity, least = Infinity;
  const take = (value: number | null) => {
    if (value == null) return;
    low = Math.min(low, value);
    high = Math.max(high, value);
  };
  observed.forEach(take);
  least = low;
  expected.forEach(take);
  ahead?.p50.forEach(take);
  if (!Number.isFinite(low)) return null;
  const room = Math.max(high - low, Math.abs(high) * 0.02) * 1.5;
  const [floor, ceiling] = [low - room, high + room];
  const widen = (from: number, to: number) => {
    low = Math.min(low, Math.max(floor, from));
    high = Math.max(high, Math.min(ceiling, to));
  };
  expected.forEach((mean, i) => {
    const by = scale[i];
    if (mean != null && by != null) widen(mean - 3 * by, mean + 3 * by);
  });
  ahead?.p10.forEach((p10, i) => p10 != null && widen(p10, ahead?.p90[i] ?? p10));
  if (least >= 0) low = Math.max(low, 0);
  if (low > 0 && low < high * 0.6) low = 0;
  if (high === low || high - low < Math.abs(high) * 1e-6) [low, high] = [Math.min(0, low), high > 0 ? high * 1.5 : 1];
  return [low, high + (high - low) * 0.06];
}

/** Round values between the bounds in the ruler's units. */
function splits(low: number, high: number, by: number, most: number): number[] {
  const rough = ((high - low) * by) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const found: number[] = [];
  for (let i = Math.ceil((low * by) / step - 1e-9); i * step <= high * by; i += 1) found.push((i * step) / by);
  return found;
}

const EMPTY: Series = { metric: '', unit: '1', at_us: [], observed: [], expected: [], scale: [] };

/** Columns for uPlot: time in s, observed, expected, band, forecast and its band; gaps become holes. */
function columns(series: Series, ahead: MetricForecast | null | undefined, form: Form): uPlot.AlignedData {
  const { at_us: at, observed, expected, scale } = series;
  const gap = Math.max(usualStep(at) * 3.5, 2.5e6);
  const times: number[] = [];
  const out: Column[] = form === 'metric' ? [[], [], [], [], [], [], []] : [[]];
  const row = (time: number, ...values: (number | null)[]) => {
    times.push(time / 1e6);
    out.forEach((column, i) => column.push(values[i] ?? null));
  };
  at.forEach((time, i) => {
    if (i && time - at[i - 1] > gap) row(at[i - 1] + 1, null);
    const [mean, by] = form === 'metric' ? [expected[i], scale[i]] : [null, null];
    const known = mean != null && by != null;
    row(time, observed[i], mean, known ? mean - 3 * by : null, known ? mean + 3 * by : null);
  });
  const last = at.at(-1) ?? 0;
  ahead?.at_us.forEach((time, i) => {
    if (time > last) row(time, null, null, null, null, ahead.p50[i], ahead.p10[i], ahead.p90[i]);
  });
  return [times, ...out];
}

/** A line's colour that changes at the threshold. */
function thresholdStroke(u: uPlot): CanvasGradient | string {
  const paint = colours();
  const { top, height } = u.bbox;
  const at = (u.valToPos(1, 'y', true) - top) / height;
  if (!Number.isFinite(at) || at <= 0 || at >= 1) return paint.accent;
  const gradient = u.ctx.createLinearGradient(0, top, 0, top + height);
  for (const [offset, colour] of [[0, paint.hot], [at, paint.hot], [at, paint.accent], [1, paint.accent]] as const) {
    gradient.addColorStop(offset, colour);
  }
  return gradient;
}

export function Plot(props: PlotProps) {
  let box!: HTMLDivElement;
  let plot: uPlot | undefined;
  const form = () => props.form ?? 'metric';
  const data = () => props.series ?? EMPTY;
  const empty = () => !data().observed.some((value) => value != null);
  const [index, setIndex] = createSignal<number | null>(null);
  const [moment, setMoment] = createSignal<number | null>(null);
  let by: Ruler = { by: 1, suffix: '' };
  const [unit, setUnit] = createSignal('');
  const [table, setTable] = createSignal<uPlot.AlignedData>([[]]);

  function bounds(): [number, number] {
    if (form() === 'probability') return [0, 1.05];
    const found = extent(data(), props.ahead);
    return form() === 'score' ? [0, Math.max(1.4, found?.[1] ?? 0)] : found ?? [0, 1];
  }

  let shown: [number, number] = [0, 1];
  function rule() {
    const [low, high] = shown = bounds();
    if (form() === 'probability') by = { by: 100, suffix: '%' };
    else if (form() === 'metric') by = ruler(props.id, data().unit, Math.max(-low, high));
    setUnit(form() === 'score' ? 'threshold 1' : by.suffix);
  }

  function background(u: uPlot) {
    const paint = colours();
    const { ctx, bbox: { left, top, width, height } } = u;
    const x = (us: number) => u.valToPos(us / 1e6, 'x', true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    ctx.fillStyle = paint['hot-soft'];
    for (const [from, to] of props.spans ?? []) ctx.fillRect(x(from), top, Math.max(2, x(to) - x(from)), height);
    const line = (at: number, colour: string, dash: number[]) => {
      ctx.strokeStyle = colour;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(Math.round(at) + 0.5, top);
      ctx.lineTo(Math.round(at) + 0.5, top + height);
      ctx.stroke();
    };
    ctx.lineWidth = devicePixelRatio;
    for (const { at, level } of props.marks ?? []) line(x(at), paint[level], [4, 3]);
    if (props.ahead?.at_us.length) line(x(props.ahead.at_us[0]), paint.dim, []);
    if (form() === 'score') {
      ctx.strokeStyle = paint.hot;
      ctx.setLineDash([2, 3]);
      const y = u.valToPos(1, 'y', true);
      ctx.beginPath();
      ctx.moveTo(left, y);
      ctx.lineTo(left + width, y);
      ctx.stroke();
    }
    ctx.restore();
  }

  function options(): uPlot.Options {
    const paint = colours();
    const plain = { width: 1, points: { show: false }, spanGaps: false };
    const edge = { ...plain, width: 0, stroke: 'transparent' };
    const axis = { stroke: paint.dim, font: '11px system-ui, sans-serif', ticks: { show: false },
      grid: { stroke: paint.line, width: 1 } };
    return {
      width: box.clientWidth || 400, height: props.height ?? 150, legend: { show: false }, padding: [6, 8, 0, 0],
      cursor: {
        y: false, sync: { key: SYNC, setSeries: false, scales: ['x', null] }, points: { size: 6 },
        drag: { x: !!props.onZoom, y: false, setScale: false }, bind: { dblclick: () => () => null },
      },
      scales: {
        x: { time: true, range: () => [props.from / 1e6, props.to / 1e6] },
        y: { range: () => shown },
      },
      axes: [
        { ...axis, size: 22, space: 64, grid: { show: false },
          values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at * 1e6, step < 60).slice(step < 60 ? -8 : -5)) },
        { ...axis, size: GUTTER, gap: 4, values: (_, ticks) => labels(ticks, by),
          splits: (_, __, low, high) => splits(low, high, by.by, (props.height ?? 150) > 110 ? 4 : 2) },
      ],
      series: [
        {},
        { ...plain, width: 1.5, stroke: form() === 'score' ? thresholdStroke : paint.accent,
          fill: form() === 'metric' ? undefined : paint.band },
        ...(form() !== 'metric' ? [] : [
          { ...plain, stroke: paint.dim, dash: [4, 3] }, edge, edge,
          { ...plain, width: 1.5, stroke: paint.accent, dash: [2, 3] }, edge, edge,
        ]),
      ],
      bands: form() !== 'metric' ? [] : [{ series: [4, 3], fill: paint.band }, { series: [7, 6], fill: paint.band }],
      hooks: {
        drawClear: [background],
        setCursor: [(u) => {
          setIndex(u.cursor.idx ?? null);
          setMoment(u.cursor.left != null && u.cursor.left >= 0 ? u.posToVal(u.cursor.left, 'x') * 1e6 : null);
        }],
        setSelect: [(u) => {
          const { left, width } = u.select;
          if (width < 8 || !props.onZoom) return;
          const [from, to] = [u.posToVal(left, 'x') * 1e6, u.posToVal(left + width, 'x') * 1e6];
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          props.onZoom(from, to);
        }],
      },
    };
  }

  function build() {
    plot?.destroy();
    rule();
    plot = new uPlot(options(), table(), box);
  }

  onMount(() => {
    setTable(columns(data(), props.ahead, form()));
    build();
    const seen = new ResizeObserver(() => plot?.setSize({ width: box.clientWidth, height: props.height ?? 150 }));
    seen.observe(box);
    onCleanup(() => {
      seen.disconnect();
      plot?.destroy();
    });
  });
  createEffect(on(() => [props.series, props.ahead, props.from, props.to, props.spans, props.marks], () => {
    rule();
    setTable(columns(data(), props.ahead, form()));
    plot?.setData(table());
  }, { defer: true }));
  createEffect(on(paletteVersion, build, { defer: true }));

  // The axis has one ruler; what is read has that of its own size, for a small value among large ones is not 0.0000292 k.
  const fitting = (...values: (number | null | undefined)[]) =>
    ruler(props.id, data().unit, Math.max(...values.map((value) => Math.abs(value ?? 0))));
  const write = (value: number | null | undefined, by: Ruler) => {
    if (value == null) return '–';
    if (form() === 'score') return score(value);
    return form() === 'probability' ? percent(value) : quantity(by, value);
  };
  /** What stands above the plot: values at the crosshair, or the latest. */
  const readout = createMemo(() => {
    const [at, observed, expected, low, , p50, p10, p90] = table() as unknown as [number[], ...Column[]];
    unit();
    const pointed = index();
    const i = pointed ?? data().at_us.length - 1;
    if (!observed || i < 0) return null;
    if (pointed != null && p50?.[i] != null) {
      const own = fitting(p10[i], p90[i]);
      return { time: at[i] * 1e6, value: write(p50[i], own), more: `forecast, eight in ten ${write(p10[i], own)} to ${write(p90[i], own)}` };
    }
    const k = pointed ?? observed.findLastIndex((value) => value != null);
    const mean = expected?.[k];
    const scale = mean != null && low[k] != null ? (mean - low[k]) / 3 : null;
    const own = fitting(observed[k], mean);
    const close = props.marks?.find((mark) => moment() != null && Math.abs(mark.at - moment()!) < (props.to - props.from) / 120);
    return {
      time: pointed == null ? null : at[k] * 1e6, value: write(observed[k], own),
      more: [mean != null ? expectation(own, mean, scale) : '', close?.text].filter(Boolean).join(' · '),
    };
  });

  /** Arrow keys walk from sample to sample. */
  function onKey(event: KeyboardEvent) {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    const times = table()[0];
    if (!step || !plot || !times.length) return;
    event.preventDefault();
    const from = index() ?? times.length;
    const to = Math.min(times.length - 1, Math.max(0, from + step));
    point(plot, plot.valToPos(times[to], 'x'));
  }

  return (
    <figure class={`chart ${form()}`}>
      <figcaption>
        <div class="title">{props.title} <span class="dim">{unit()}</span> <Show when={props.badge}>
          <span class="part">{props.badge}</span></Show></div>
        <div class="readout">
          <Show when={readout()}>{(now) => <>
            <Show when={now().time}>{(time) => <time>{clock(time())}</time>}</Show>
            <b class="observed">{now().value}</b><span>{now().more}</span>
          </>}</Show>
        </div>
        <Show when={props.onRemove}>
          <button class="x" onClick={() => props.onRemove!()} aria-label={`Remove ${props.id}`} title="Remove">×</button>
        </Show>
      </figcaption>
      <div class="plot" tabindex="0" role="img" onKeyDown={onKey}
        onBlur={() => plot && point(plot, -10)}
        aria-label={`${props.id}: ${readout()?.value ?? 'no value'} ${readout()?.more ?? ''}`}>
        <div ref={box} />
        <Show when={empty()}><p class="note">{props.note ?? 'No samples in this range.'}</p></Show>
      </div>
      <Show when={props.foot != null}><p class="way">{props.foot}</p></Show>
    </figure>
  );
}

/** Moves the crosshair of all charts; the third parameter publishes, and is missing from the library's types. */
function point(plot: uPlot, left: number) {
  (plot.setCursor as (at: { left: number; top: number }, fire: boolean, publish: boolean) => void)({ left, top: left < 0 ? left : 20 }, true, true);
}

/** Ticks in the ruler's units, all with as many digits as their distance needs. */
function labels(ticks: number[], { by }: Ruler): string[] {
  const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) * by : Math.abs(ticks[0] ?? 1) * by;
  const digits = Math.min(6, Math.max(0, -Math.floor(Math.log10(step || 1) + 1e-9)));
  return ticks.map((tick) => (tick * by).toFixed(digits));
}
