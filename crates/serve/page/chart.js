// Lines over time on canvases: observed against expected and its band, with one crosshair for all.

import { clock, expectation, h, percent, quantity, ruler, score, setText } from './words.js';

const GUTTER = 58;
const FOOT = 18;
const STEPS_S = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400];

let palette = null;
const redraws = new Set();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  palette = null;
  for (const redraw of redraws) redraw();
});

function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ['line', 'text', 'dim', 'accent', 'band', 'warm', 'hot', 'hot-soft'];
  palette ??= Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return palette;
}

/** Fits the canvas to its box and the screen's pixels; null while it has no size. */
function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  return { pen, width, height };
}

/** The newest scores of one instance in a cell: `points` are [time in µs, score], `from` to `to` the span. */
export function drawSpark(canvas, points, from, to) {
  const box = surface(canvas);
  if (!box) return;
  const { pen, width, height } = box;
  const paint = colours();
  const top = Math.max(1.25, ...points.map(([, value]) => value ?? 0));
  const x = (at) => ((at - from) / (to - from)) * (width - 2);
  const y = (value) => height - 1.5 - (value / top) * (height - 4);
  pen.strokeStyle = paint.line;
  pen.beginPath();
  pen.moveTo(0, y(1));
  pen.lineTo(width, y(1));
  pen.stroke();
  pen.lineWidth = 1.3;
  for (let i = 1; i < points.length; i += 1) {
    const [[t0, v0], [t1, v1]] = [points[i - 1], points[i]];
    if (v0 == null || v1 == null || t1 - t0 > 15e6) continue;
    pen.strokeStyle = Math.max(v0, v1) > 1 ? paint.hot : paint.accent;
    pen.beginPath();
    pen.moveTo(x(t0), y(v0));
    pen.lineTo(x(t1), y(v1));
    pen.stroke();
  }
}

/** The moment that the reader points at, shared by all charts of a view. */
export class Cursor {
  at = null;
  #charts = new Set();
  #pending = false;

  add(chart) {
    this.#charts.add(chart);
  }

  remove(chart) {
    this.#charts.delete(chart);
  }

  set(at) {
    this.at = at;
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      for (const chart of this.#charts) chart.draw();
    });
  }
}

/** Times at which the score was above 1, as [from, to] in µs. */
export function anomalousSpans(series) {
  const spans = [];
  const { at_us: at, observed } = series;
  const step = usualStep(at);
  for (let i = 0; i < at.length; i += 1) {
    if (!(observed[i] > 1)) continue;
    const last = spans.at(-1);
    if (last && at[i] - last[1] <= step * 1.5) last[1] = at[i] + step / 2;
    else spans.push([at[i] - step / 2, at[i] + step / 2]);
  }
  return spans;
}

function usualStep(at) {
  if (at.length < 2) return 1e6;
  const gaps = at.slice(1).map((time, i) => time - at[i]).sort((a, b) => a - b);
  return gaps[gaps.length >> 1];
}

/** The index whose time is closest to `at`. */
function nearest(times, at) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < at) low = middle + 1;
    else high = middle;
  }
  return low > 0 && at - times[low - 1] < times[low] - at ? low - 1 : low;
}

/** Lowest and highest value to show. A band much wider than the data must not flatten the data. */
function extent({ observed, expected, scale }, ahead) {
  const seen = observed.filter((value) => value != null);
  const means = [...expected, ...(ahead?.p50 ?? [])].filter((value) => value != null);
  let low = Math.min(...seen, ...means), high = Math.max(...seen, ...means);
  if (!Number.isFinite(low)) return null;
  const room = Math.max(high - low, Math.abs(high) * 0.02) * 1.5;
  const [floor, ceiling] = [low - room, high + room];
  expected.forEach((mean, i) => {
    if (mean == null || scale[i] == null) return;
    low = Math.min(low, Math.max(floor, mean - 3 * scale[i]));
    high = Math.max(high, Math.min(ceiling, mean + 3 * scale[i]));
  });
  ahead?.p10.forEach((p10, i) => {
    if (p10 == null) return;
    low = Math.min(low, Math.max(floor, p10));
    high = Math.max(high, Math.min(ceiling, ahead.p90[i]));
  });
  if (Math.min(...seen) >= 0) low = Math.max(low, 0);
  if (low > 0 && low < high * 0.6) low = 0;
  if (high - low < Math.abs(high) * 1e-6 || high === low) [low, high] = [Math.min(0, low), high > 0 ? high * 1.5 : 1];
  return [low, high + (high - low) * 0.06];
}

/** Round values between the bounds, at most `count`. */
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const values = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high; i += 1) {
    values.push([i * step, (i * step).toFixed(digits)]);
  }
  return values;
}

const EMPTY = { at_us: [], observed: [], expected: [], scale: [] };

/**
 * One series in a figure. `form` is 'metric', 'score' (threshold at 1) or 'probability' (0 to 1).
 * `title` is a node; `onRemove` adds a button that calls it.
 */
export class Chart {
  #cursor;
  #form;
  #key;
  #data = { series: { ...EMPTY, unit: '1' }, from: 0, to: 1, spans: [], ahead: null };
  #canvas = h('canvas', { tabindex: 0, role: 'img' });
  #readout = h('div.readout');
  #unit = h('span.dim');
  #ruler = { by: 1, suffix: '' };
  #note = h('p.note', { hidden: true });
  #observer = new ResizeObserver(() => this.draw());
  #redraw = () => this.draw();

  constructor(cursor, { key, form = 'metric', title, onRemove }) {
    [this.#cursor, this.#key, this.#form] = [cursor, key, form];
    if (form === 'probability') this.#ruler = { by: 100, suffix: '%' };
    this.badge = h('span.part');
    this.way = h('p.way');
    this.figure = h(`figure.chart.${form}`, null,
      h('figcaption', null, h('div.title', null, title, ' ', this.#unit, ' ', this.badge), this.#readout,
        onRemove && h('button.x', { onclick: onRemove, 'aria-label': `Remove ${key}`, title: 'Remove' }, '×')),
      h('div.plot', null, this.#canvas, this.#note), form === 'metric' && this.way);
    this.#canvas.addEventListener('pointermove', (event) => cursor.set(this.#timeAt(event.offsetX)));
    this.#canvas.addEventListener('pointerleave', () => cursor.set(null));
    this.#canvas.addEventListener('blur', () => cursor.set(null));
    this.#canvas.addEventListener('keydown', (event) => this.#onKey(event));
    this.#observer.observe(this.#canvas);
    redraws.add(this.#redraw);
    cursor.add(this);
  }

  close() {
    this.#observer.disconnect();
    redraws.delete(this.#redraw);
    this.#cursor.remove(this);
    this.figure.remove();
  }

  /** `series` and the forecast `ahead` as the API gives them or null, times in µs, `spans` to shade. `note` explains
   *  emptiness. */
  set(series, { from, to, spans, note, ahead = null }) {
    this.#data = { series: series ?? { ...EMPTY, unit: '1' }, from, to, spans, ahead };
    const empty = !series?.observed.some((value) => value != null);
    this.#note.hidden = !empty;
    this.#note.textContent = empty ? note ?? 'No samples in this range.' : '';
    this.draw();
  }

  draw() {
    const box = surface(this.#canvas);
    if (!box) return;
    const { series } = this.#data;
    const bounds = this.#bounds();
    if (bounds && this.#form === 'metric') this.#ruler = ruler(this.#key, series.unit, Math.max(-bounds[0], bounds[1]));
    this.#showReadout();
    if (!bounds) return;
    const plot = { ...box, paint: colours(), right: box.width - 8, bottom: box.height - FOOT };
    const { from, to } = this.#data;
    plot.x = (at) => GUTTER + ((at - from) / (to - from)) * (plot.right - GUTTER);
    plot.y = (value) => plot.bottom - ((value - bounds[0]) / (bounds[1] - bounds[0])) * (plot.bottom - 6);
    this.#drawAxes(plot, bounds);
    plot.pen.save();
    plot.pen.beginPath();
    plot.pen.rect(GUTTER, 0, plot.right - GUTTER + 2, plot.bottom + 1);
    plot.pen.clip();
    this.#drawSpans(plot);
    this.#drawAhead(plot);
    if (this.#form === 'metric') this.#drawBand(plot, series);
    else this.#drawFill(plot, series);
    this.#drawObserved(plot, series);
    plot.pen.restore();
    this.#drawCursor(plot, series);
  }

  #bounds() {
    if (this.#form === 'probability') return [0, 1.05];
    const bounds = extent(this.#data.series, this.#data.ahead);
    return this.#form === 'score' ? [0, Math.max(1.4, bounds?.[1] ?? 0)] : bounds;
  }

  #drawAxes({ pen, paint, x, y, right, bottom }, [low, high]) {
    const { from, to } = this.#data;
    const { by } = this.#ruler;
    pen.font = '11px system-ui, sans-serif';
    pen.fillStyle = paint.dim;
    pen.strokeStyle = paint.line;
    pen.lineWidth = 1;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    for (const [value, label] of ticks(low * by, high * by, bottom > 90 ? 4 : 2)) {
      const at = Math.round(y(value / by)) + 0.5;
      pen.beginPath();
      pen.moveTo(GUTTER, at);
      pen.lineTo(right, at);
      pen.stroke();
      pen.fillText(label, GUTTER - 6, Math.max(at, 6));
    }
    const step = STEPS_S.find((s) => ((right - GUTTER) * s * 1e6) / (to - from) >= 64) ?? 86400;
    const zone = new Date(to / 1000).getTimezoneOffset() * 60e6;
    pen.textAlign = 'center';
    for (let at = Math.ceil((from - zone) / (step * 1e6)) * step * 1e6 + zone; at <= to; at += step * 1e6) {
      if (x(at) < GUTTER + 14 || x(at) > right - 14) continue;
      const time = clock(at, step < 60);
      pen.fillText(time.slice(-(step < 60 ? 8 : 5)), x(at), bottom + 11);
    }
  }

  #drawSpans({ pen, paint, x, bottom }) {
    pen.fillStyle = paint['hot-soft'];
    for (const [from, to] of this.#data.spans) {
      pen.fillRect(x(from), 0, Math.max(2, x(to) - x(from)), bottom);
    }
  }

  /** Index ranges without gaps in which all of `columns` have values. */
  #runs(times, ...columns) {
    const gap = Math.max(usualStep(times) * 3.5, 2.5e6);
    const runs = [];
    times.forEach((at, i) => {
      if (columns.some((column) => column[i] == null)) return;
      const last = runs.at(-1);
      if (last && last.at(-1) === i - 1 && at - times[i - 1] <= gap) last.push(i);
      else runs.push([i]);
    });
    return runs;
  }

  #drawBand({ pen, paint, x, y }, { at_us: at, expected, scale }) {
    pen.fillStyle = paint.band;
    for (const run of this.#runs(at, expected, scale)) {
      pen.beginPath();
      for (const i of run) pen.lineTo(x(at[i]), y(expected[i] + 3 * scale[i]));
      for (const i of run.toReversed()) pen.lineTo(x(at[i]), y(expected[i] - 3 * scale[i]));
      pen.fill();
    }
    pen.strokeStyle = paint.dim;
    pen.setLineDash([4, 3]);
    this.#stroke(pen, this.#runs(at, expected), (i) => [x(at[i]), y(expected[i])]);
    pen.setLineDash([]);
  }

  /** What comes: the middle of the futures, the band of eight in ten, and where now is. */
  #drawAhead({ pen, paint, x, y, bottom }) {
    const { ahead } = this.#data;
    if (!ahead?.at_us.length) return;
    const { at_us: at, p10, p50, p90 } = ahead;
    pen.fillStyle = paint.band;
    for (const run of this.#runs(at, p10, p90)) {
      pen.beginPath();
      for (const i of run) pen.lineTo(x(at[i]), y(p90[i]));
      for (const i of run.toReversed()) pen.lineTo(x(at[i]), y(p10[i]));
      pen.fill();
    }
    pen.strokeStyle = paint.accent;
    pen.setLineDash([2, 3]);
    this.#stroke(pen, this.#runs(at, p50), (i) => [x(at[i]), y(p50[i])]);
    pen.setLineDash([]);
    pen.strokeStyle = paint.dim;
    pen.beginPath();
    pen.moveTo(Math.round(x(at[0])) + 0.5, 0);
    pen.lineTo(Math.round(x(at[0])) + 0.5, bottom);
    pen.stroke();
  }

  /** The forecast at the crosshair, if that is beyond what was seen. */
  #future() {
    const { series: { at_us: at }, ahead } = this.#data;
    if (this.#cursor.at == null || !ahead?.at_us.length || this.#cursor.at <= (at.at(-1) ?? 0)) return null;
    const i = nearest(ahead.at_us, this.#cursor.at);
    return { at: ahead.at_us[i], p10: ahead.p10[i], p50: ahead.p50[i], p90: ahead.p90[i] };
  }

  #drawFill({ pen, paint, x, y }, { at_us: at, observed }) {
    pen.fillStyle = paint.band;
    for (const run of this.#runs(at, observed)) {
      pen.beginPath();
      pen.moveTo(x(at[run[0]]), y(0));
      for (const i of run) pen.lineTo(x(at[i]), y(observed[i]));
      pen.lineTo(x(at[run.at(-1)]), y(0));
      pen.fill();
    }
  }

  #drawObserved({ pen, paint, x, y, right }, { at_us: at, observed }) {
    const runs = this.#runs(at, observed);
    const point = (i) => [x(at[i]), y(observed[i])];
    pen.lineWidth = 1.5;
    pen.strokeStyle = paint.accent;
    this.#stroke(pen, runs, point);
    if (this.#form !== 'score') return;
    // The same line again in another colour, seen only above the threshold.
    const threshold = y(1);
    pen.save();
    pen.beginPath();
    pen.rect(GUTTER, 0, right - GUTTER + 2, threshold);
    pen.clip();
    pen.strokeStyle = paint.hot;
    this.#stroke(pen, runs, point);
    pen.restore();
    pen.lineWidth = 1;
    pen.strokeStyle = paint.hot;
    pen.setLineDash([2, 3]);
    pen.beginPath();
    pen.moveTo(GUTTER, threshold);
    pen.lineTo(right, threshold);
    pen.stroke();
    pen.setLineDash([]);
  }

  #stroke(pen, runs, point) {
    for (const run of runs) {
      pen.beginPath();
      for (const i of run) pen.lineTo(...point(i));
      // A lone sample would be invisible.
      if (run.length === 1) pen.lineTo(point(run[0])[0] + 1.5, point(run[0])[1]);
      pen.stroke();
    }
  }

  #drawCursor({ pen, paint, x, y, bottom }, { at_us: at, observed }) {
    if (this.#cursor.at == null || !at.length) return;
    const i = nearest(at, this.#cursor.at);
    pen.strokeStyle = paint.text;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(Math.round(x(this.#cursor.at)) + 0.5, 0);
    pen.lineTo(Math.round(x(this.#cursor.at)) + 0.5, bottom);
    pen.stroke();
    const future = this.#future();
    const [when, value] = future ? [future.at, future.p50] : [at[i], observed[i]];
    if (value == null) return;
    pen.fillStyle = paint.text;
    pen.beginPath();
    pen.arc(x(when), y(value), 3, 0, 7);
    pen.fill();
  }

  /** Values at the crosshair, or the latest. */
  #showReadout() {
    const { at_us: at, observed, expected, scale } = this.#data.series;
    const i = this.#cursor.at == null ? at.length - 1 : nearest(at, this.#cursor.at);
    if (i < 0) return this.#readout.replaceChildren();
    const write = (value) => {
      if (value == null) return '–';
      if (this.#form === 'score') return score(value);
      return this.#form === 'probability' ? percent(value) : quantity(this.#ruler, value);
    };
    const future = this.#future();
    const parts = [h('b.observed', null, write(future ? future.p50 : observed[i]))];
    if (future) {
      parts.push(h('span', null, `forecast, eight in ten ${write(future.p10)} to ${write(future.p90)}`));
    } else if (this.#form === 'metric' && expected[i] != null) {
      parts.push(h('span', null, expectation(this.#ruler, { mean: expected[i], scale: scale[i] })));
    }
    if (this.#cursor.at != null) parts.unshift(h('time', null, clock(future?.at ?? at[i])));
    this.#readout.replaceChildren(...parts);
    setText(this.#unit, this.#form === 'score' ? 'threshold 1' : this.#ruler.suffix);
    const label = `${this.#key}: ${parts.map((part) => part.textContent).join(', ')}`;
    this.#canvas.setAttribute('aria-label', label);
  }

  #timeAt(offset) {
    const { from, to } = this.#data;
    const share = (offset - GUTTER) / (this.#canvas.clientWidth - 8 - GUTTER);
    return from + Math.min(1, Math.max(0, share)) * (to - from);
  }

  /** Arrow keys walk from sample to sample. */
  #onKey(event) {
    const at = this.#data.series.at_us;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20 }[event.key];
    if (!by || !at.length) return;
    event.preventDefault();
    const from = this.#cursor.at == null ? at.length - 1 : nearest(at, this.#cursor.at);
    this.#cursor.set(at[Math.min(at.length - 1, Math.max(0, from + by))]);
  }
}
