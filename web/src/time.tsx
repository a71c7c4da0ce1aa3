// Which stretch of time is looked at: relative to now or absolute, kept in the address.

import { createMemo, createSignal, Show } from 'solid-js';
import { nowUs } from './api';
import { Choice } from './parts';
import { route, setParams } from './route';
import { clock, span } from './words';

/** Relative ranges with their seconds and how often their charts are refreshed, in ms. */
const RANGES: Record<string, [number, number]> = {
  '5m': [300, 2000], '15m': [900, 3000], '1h': [3600, 8000], '6h': [21_600, 30_000], '24h': [86_400, 60_000],
  '7d': [604_800, 120_000],
};
export const RANGE_KEYS = Object.keys(RANGES);
const USUAL = '15m';
const SIZES: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** Part of a relative range that forecasts are shown for, ahead of now. */
const AHEAD = 1 / 3;

export interface Range {
  /** Text of a relative range, null of an absolute one. */
  relative: string | null;
  seconds: number;
  /** For the API. */
  from: string;
  to: string;
  refreshMs: number;
  aheadS: number;
}

function relativeSeconds(text: string): number | null {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([smhd])$/.exec(text) ?? [];
  const seconds = Number(digits) * SIZES[unit];
  return seconds > 0 && seconds <= 400 * 86_400 ? seconds : null;
}

function parse(params: URLSearchParams): Range {
  const [from, to] = [Number(params.get('from')), Number(params.get('to'))];
  if (from > 0 && to > from) {
    return { relative: null, seconds: to - from, from: String(from), to: String(to), refreshMs: 600_000, aheadS: 0 };
  }
  const asked = params.get('range') ?? USUAL;
  const seconds = relativeSeconds(asked);
  const relative = seconds ? asked : USUAL;
  const length = seconds ?? RANGES[USUAL][0];
  const refreshMs = RANGES[relative]?.[1] ?? Math.max(2000, Math.min(120_000, length * 2));
  return { relative, seconds: length, from: `-${length}s`, to: 'now', refreshMs, aheadS: length * AHEAD };
}

/** The range that the address says. */
export const useRange = () => createMemo(() => parse(route().params), undefined, {
  equals: (a, b) => a.from === b.from && a.to === b.to,
});

export const setRelative = (key: string) =>
  setParams({ range: key === USUAL ? undefined : key, from: undefined, to: undefined });

/** An absolute range in µs, as a step that "back" undoes. */
export const zoom = (from: number, to: number) =>
  setParams({ range: undefined, from: (from / 1e6).toFixed(3), to: (to / 1e6).toFixed(3) }, true);

const local = (us: number) => {
  const date = new Date(us / 1000 - new Date().getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
};

function Custom(props: { range: Range }) {
  let details!: HTMLDetailsElement;
  const [from, setFrom] = createSignal('');
  const [to, setTo] = createSignal('');
  const [last, setLast] = createSignal('');
  const [wrong, setWrong] = createSignal('');
  const open = () => {
    const end = props.range.relative ? nowUs() : Number(props.range.to) * 1e6;
    setTo(local(end));
    setFrom(local(end - props.range.seconds * 1e6));
    setLast(props.range.relative ?? '');
  };
  const close = () => {
    details.open = false;
    setWrong('');
  };
  function absolute() {
    const [a, b] = [Date.parse(from()) * 1000, Date.parse(to()) * 1000];
    if (!(a < b)) return setWrong('The beginning must lie before the end.');
    zoom(a, b);
    close();
  }
  function relative() {
    const text = last().trim();
    if (!relativeSeconds(text)) return setWrong('Write a number and s, m, h or d, such as 90m.');
    setRelative(text);
    close();
  }
  return (
    <details class="picker" ref={details} onToggle={() => details.open && open()}>
      <summary>{props.range.relative && RANGES[props.range.relative] ? 'Other …' : props.range.relative
        ? `last ${span(props.range.seconds)}`
        : `${clock(Number(props.range.from) * 1e6)} – ${clock(Number(props.range.to) * 1e6)}`}</summary>
      <div class="pop form">
        <form onSubmit={(event) => { event.preventDefault(); absolute(); }}>
          <label>From <input type="datetime-local" step="1" value={from()} onInput={(e) => setFrom(e.target.value)} /></label>
          <label>To <input type="datetime-local" step="1" value={to()} onInput={(e) => setTo(e.target.value)} /></label>
          <button>Show</button>
        </form>
        <form onSubmit={(event) => { event.preventDefault(); relative(); }}>
          <label>The last <input type="text" size="8" placeholder="90m" value={last()} onInput={(e) => setLast(e.target.value)} /></label>
          <button>Show</button>
        </form>
        <p class="small warn" role="alert">{wrong()}</p>
      </div>
    </details>
  );
}

export function RangePicker(props: { range: Range }) {
  const wider = () => {
    const { from, to, seconds } = props.range;
    zoom((Number(from) - seconds / 2) * 1e6, Math.min(nowUs(), (Number(to) + seconds / 2) * 1e6));
  };
  return (
    <div class="ranges">
      <Choice legend="Range" quiet options={RANGE_KEYS.map((key) => [key, key])}
        value={props.range.relative ?? ''} onChange={setRelative} />
      <Custom range={props.range} />
      <Show when={!props.range.relative}>
        <button onClick={wider}>Wider</button>
        <button onClick={() => setRelative(USUAL)}>Back to live</button>
      </Show>
    </div>
  );
}
