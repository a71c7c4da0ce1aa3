// Numbers, units, times and risks in an operator's words, and the one way in which text enters the page.

/** Makes an element. Children are text or nodes, never markup: names that come from data cannot become code. */
export function h(tag, attributes, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

/** Changes a text only if it differs, so that selections and screen readers are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the children that differ, so that reading, selecting and focus survive a refresh. */
export function swap(parent, ...children) {
  const next = [...h('div', null, children).childNodes];
  const stops = () => [...parent.querySelectorAll('a, button')];
  const focused = stops().indexOf(document.activeElement);
  const old = [...parent.childNodes];
  next.forEach((node, i) => {
    if (!old[i]) parent.append(node);
    else if (!old[i].isEqualNode(node)) old[i].replaceWith(node);
  });
  old.slice(next.length).forEach((node) => node.remove());
  if (focused >= 0 && !parent.contains(document.activeElement)) stops()[focused]?.focus({ preventScroll: true });
}

/** A group of radio buttons that look like one control. */
export function choice(legend, options, chosen, onChange) {
  const name = `choice-${legend}`;
  return h('fieldset.choice', null, h('legend', null, legend), options.map(([value, label]) =>
    h('label', null,
      h('input', { type: 'radio', name, value, checked: value === chosen, onchange: () => onChange(value) }),
      h('span', null, label))));
}

/** A bar with a filled share, 0 to 1. */
export function meter(share, level, label) {
  const fill = h('i');
  fill.style.width = `${Math.min(1, Math.max(0, share || 0)) * 100}%`;
  return h('span.meter', { 'data-level': level, role: 'img', 'aria-label': label }, fill);
}

/** A few digits that count, whatever the size. */
export function number(value, digits = 3) {
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size >= 1e6 || size < 1e-4) return value.toExponential(digits - 1);
  return value.toFixed(Math.max(0, digits - 1 - Math.floor(Math.log10(size))));
}

export const score = (value) => (value == null ? '–' : value >= 1000 ? '> 999' : value.toFixed(value >= 100 ? 0 : 2));

/** A probability; never a certainty, for nothing here is certain. */
export function percent(p) {
  if (p == null) return '–';
  if (p < 0.001) return '< 0.1 %';
  if (p > 0.99) return '> 99 %';
  return p < 0.0995 ? `${(p * 100).toFixed(1)} %` : `${Math.round(p * 100)} %`;
}

const SPANS = [['d', 86400], ['h', 3600], ['min', 60], ['s', 1]];

function spanUnit(seconds) {
  return SPANS.find(([, size]) => seconds >= size * 0.995) ?? SPANS[3];
}

const inUnit = (seconds, size) => String(+(seconds / size).toFixed(seconds / size < 9.95 && size > 1 ? 1 : 0));

/** 150 → "2.5 min". */
export function span(seconds) {
  const [unit, size] = spanUnit(seconds);
  return `${inUnit(seconds, size)} ${unit}`;
}

/** "1–4 min", "50 s – 2 min", "over 1 min". */
export function between(from, to) {
  if (to == null) return `over ${span(from)}`;
  const [low, high] = [spanUnit(from), spanUnit(to)];
  return low === high ? `${inUnit(from, low[1])}–${span(to)}` : `${span(from)} – ${span(to)}`;
}

const TIME = { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false };

/** A moment by this browser's clock and zone; the date only if it is not today. */
export function clock(us, withSeconds = true) {
  const date = new Date(us / 1000);
  const options = withSeconds ? TIME : { ...TIME, second: undefined };
  const time = date.toLocaleTimeString('en-GB', options);
  return date.toDateString() === new Date().toDateString()
    ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}

export const words = (name) => name.replaceAll('_', ' ').replace(/\b(cpu|pid)\b/g, (word) => word.toUpperCase());
export const sentence = (name) => name.charAt(0).toUpperCase() + words(name).slice(1);

/** Colour follows meaning: score above 1 is anomalous; a probability is serious from one half. */
export const scoreLevel = (value) => (value == null ? 'none' : value > 1 ? 'hot' : value > 0.7 ? 'warm' : 'calm');
export const riskLevel = (p) => (p >= 0.5 ? 'hot' : p >= 0.1 ? 'warm' : 'calm');

/** "memory exhaustion in about 2 min (1–4 min)"; never a time without its spread or probability. */
export function riskWords(top, quantiles) {
  if (!top || top.probability < 0.01) return '';
  if (top.p50_s == null) return `${words(top.mode)} possible`;
  // The spread stays on one line.
  const spread = quantiles?.p10 == null ? ''
    : ` (${between(quantiles.p10, quantiles.p90).replaceAll(' ', '\u00a0').replace('–', '\u2060–\u2060')})`;
  return `${words(top.mode)} in about ${span(top.p50_s)}${spread}`;
}

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const DECIMAL = ['', 'k', 'M', 'G', 'T', 'P'];
const SECONDS = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1 };

/** The unit of a metric's series: counters are shown as rates. */
export const seriesUnit = (metric) => (metric.kind === 'counter' ? `${metric.unit}/s` : metric.unit);

function prefix(names, base, size) {
  const step = Math.min(names.length - 1, Math.max(0, Math.floor(Math.log(size || 1) / Math.log(base) + 1e-9)));
  return { by: base ** -step, suffix: names[step] };
}

/** Seconds of work per second: cores of CPU, or a share of the time. */
function perSecond(factor, key, size) {
  const cpu = /\bcpu\.(time|usage)/.test(key);
  if (cpu && size * factor >= 1) return { by: factor, suffix: 'cores' };
  return { by: factor * 100, suffix: cpu ? '% of a core' : '% of time' };
}

function duration(factor, size) {
  const seconds = size * factor;
  const [suffix, unit] = seconds >= 1 || seconds === 0 ? spanUnit(seconds)
    : seconds >= 1e-3 ? ['ms', 1e-3] : seconds >= 1e-6 ? ['µs', 1e-6] : ['ns', 1e-9];
  return { by: factor / unit, suffix };
}

/** How values of about this size are written: times `by`, then the suffix. `key` is the metric's, `unit` UCUM. */
export function ruler(key, unit, size) {
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
export const quantity = ({ by, suffix }, value) => (value == null ? '–' : `${number(value * by)} ${suffix}`.trim());

/** "expected 400 ± 18 MiB": the mean and the band of three scales around it. */
export function expectation({ by, suffix }, { mean, scale }) {
  if (mean == null) return '';
  const spread = scale == null ? '' : ` ± ${number(3 * scale * by, 2)}`;
  return `expected ${number(mean * by)}${spread} ${suffix}`.trim();
}
