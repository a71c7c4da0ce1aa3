// Numbers, units, times and risks in an operator's words.

import type { Metric, Quantiles, TopRisk } from './types';

/** A few digits that count, whatever the size. */
export function number(value: number, digits = 3): string {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 1);
  return value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}

export const score = (value: number | null | undefined) =>
  value == null ? '–' : value >= 1000 ? '> 999' : value.toFixed(value >= 100 ? 0 : 2);

/** A probability; never a certainty, for nothing here is certain. */
export function percent(p: number | null | undefined): string {
  if (p == null) return '–';
  if (p < 0.001) return '< 0.1 %';
  if (p > 0.99) return '> 99 %';
  return p < 0.0995 ? `${(p * 100).toFixed(1)} %` : `${Math.round(p * 100)} %`;
}

/** A difference of probabilities in percentage points, with its sign. */
export const points = (change: number) =>
  Math.abs(change) < 0.0005 ? '±0' : `${change < 0 ? '−' : '+'}${number(Math.abs(change) * 100, 2)}`;

const SPANS: [string, number][] = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];
const spanUnit = (seconds: number) => SPANS.find(([, size]) => seconds >= size * 0.995) ?? SPANS[3];
const inUnit = (seconds: number, size: number) =>
  String(+(seconds / size).toFixed(seconds / size < 9.95 && size > 1 ? 1 : 0));

/** 150 → "2.5 min". */
export function span(seconds: number): string {
  const [unit, size] = spanUnit(seconds);
  return `${inUnit(seconds, size)} ${unit}`;
}

/** "1–4 min", "50 s – 2 min", "over 1 min". */
export function between(from: number, to: number | null): string {
  if (to == null) return `over ${span(from)}`;
  const [low, high] = [spanUnit(from), spanUnit(to)];
  return low === high ? `${inUnit(from, low[1])}–${span(to)}` : `${span(from)} – ${span(to)}`;
}

const TIME: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false };
const WITH_SECONDS = new Intl.DateTimeFormat('en-GB', TIME);
const WITHOUT = new Intl.DateTimeFormat('en-GB', { ...TIME, second: undefined });
const DAY = new Intl.DateTimeFormat('en-CA');

/** A moment by this browser's clock and zone; the date only if it is not today. */
export function clock(us: number, seconds = true): string {
  const date = new Date(us / 1000);
  const time = (seconds ? WITH_SECONDS : WITHOUT).format(date);
  return date.toDateString() === new Date().toDateString() ? time : `${DAY.format(date)} ${time}`;
}

export const words = (name: string) =>
  name.replaceAll('_', ' ').replace(/\b(cpu|pid)\b/g, (word) => word.toUpperCase());
export const sentence = (name: string) => name.charAt(0).toUpperCase() + words(name).slice(1);
export const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;

/** By how much an error changed, 0.9 → "−10 %". */
export function change(ratio: number): string {
  const size = Math.abs(ratio - 1) * 100;
  return size < 0.05 ? '±0 %' : `${ratio < 1 ? '−' : '+'}${number(size, size < 10 ? 2 : 3)} %`;
}

export type Level = 'none' | 'calm' | 'warm' | 'hot';

/** Colour follows meaning: score above 1 is anomalous; a probability is serious from one half. */
export const scoreLevel = (value: number | null | undefined): Level =>
  value == null ? 'none' : value > 1 ? 'hot' : value > 0.7 ? 'warm' : 'calm';
export const riskLevel = (p: number): Level => (p >= 0.5 ? 'hot' : p >= 0.1 ? 'warm' : 'calm');

/** "memory exhaustion in about 2 min (1–4 min)"; never a time without its spread or probability. */
export function riskWords(top: TopRisk | null, quantiles?: Quantiles | null): string {
  if (!top || top.probability < 0.01) return '';
  if (top.p50_s == null) return `${words(top.mode)} possible`;
  const spread = quantiles?.p10 == null ? ''
    : ` (${between(quantiles.p10, quantiles.p90).replaceAll(' ', '\u00a0').replace('–', '\u2060–\u2060')})`;
  return `${words(top.mode)} in about ${span(top.p50_s)}${spread}`;
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'];
const SECONDS: Record<string, number> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1 };

/** How values are written: times `by`, then the suffix. */
export interface Ruler { by: number; suffix: string }

/** The unit of a metric's series: counters are shown as rates. */
export const seriesUnit = (metric: Metric) => (metric.kind === 'counter' ? `${metric.unit}/s` : metric.unit);

function prefix(names: string[], base: number, size: number): Ruler {
  const step = Math.min(names.length - 1, Math.max(0, Math.floor(Math.log(size || 1) / Math.log(base) + 1e-9)));
  return { by: base ** -step, suffix: names[step] };
}

/** Seconds of work per second: cores of CPU, or a share of the time. */
function perSecond(factor: number, key: string, size: number): Ruler {
  const cpu = /\bcpu\.(time|usage|busy)/.test(key);
  if (cpu && size * factor >= 1) return { by: factor, suffix: 'cores' };
  return { by: factor * 100, suffix: cpu ? '% of a core' : '% of time' };
}

function duration(factor: number, size: number): Ruler {
  const seconds = size * factor;
  const [suffix, unit] = seconds >= 1 || seconds === 0 ? spanUnit(seconds)
    : ([['ms', 1e-3], ['µs', 1e-6], ['ns', 1e-9]] as [string, number][]).find(([, of]) => seconds >= of) ?? ['ns', 1e-9];
  return { by: factor / unit, suffix };
}

/** How values of about this size are written. `key` is the metric's, `unit` UCUM. */
export function ruler(key: string, unit: string, size: number): Ruler {
  size = Math.abs(size) || 0;
  const rate = unit.endsWith('/s') ? '/s' : '';
  const base = rate ? unit.slice(0, -2) : unit;
  if (Object.hasOwn(SECONDS, base)) return rate ? perSecond(SECONDS[base], key, size) : duration(SECONDS[base], size);
  if (base === 'By') {
    const { by, suffix } = prefix(BINARY, 1024, size);
    return { by, suffix: suffix + rate };
  }
  if (base === '1' && !rate && /utili[sz]ation|ratio|probability|pressure|share|fraction/.test(key)) {
    return { by: 100, suffix: '%' };
  }
  const { by, suffix } = prefix(DECIMAL, 1000, size);
  const noun = base === '1' ? '' : base.replace(/[{}]/g, '');
  return { by, suffix: [suffix, noun + rate].filter(Boolean).join(' ') };
}

/** One value as a ruler says. */
export const quantity = ({ by, suffix }: Ruler, value: number | null | undefined) =>
  value == null ? '–' : `${number(value * by)} ${suffix}`.trim();

/** "expected 400 ± 18 MiB": the mean and the band of three scales around it. */
export function expectation({ by, suffix }: Ruler, mean?: number | null, scale?: number | null): string {
  if (mean == null) return '';
  const spread = scale == null ? '' : ` ± ${number(3 * scale * by, 2)}`;
  return `expected ${number(mean * by)}${spread} ${suffix}`.trim();
}
