// History of scores and probabilities in few cells, and how cells are painted.

import { colours } from './theme';

export type By = 'score' | 'risk';
/** Cells of a strip, whatever its span. */
export const CELLS = 75;

/** The largest score and probability of each cell of time, for the newest `CELLS` cells. */
export class Strip {
  readonly #cell = new Float64Array(CELLS).fill(-1);
  readonly #score = new Float32Array(CELLS);
  readonly #risk = new Float32Array(CELLS);

  constructor(readonly cellUs: number) {}

  add(at: number, score: number | null, risk: number | null) {
    const cell = Math.floor(at / this.cellUs);
    const i = cell % CELLS;
    if (this.#cell[i] > cell) return;
    if (this.#cell[i] < cell) {
      this.#cell[i] = cell;
      this.#score[i] = this.#risk[i] = NaN;
    }
    if (score != null && !(this.#score[i] >= score)) this.#score[i] = score;
    if (risk != null && !(this.#risk[i] >= risk)) this.#risk[i] = risk;
  }

  /** Value of the cell that is `back` cells before the one of `now`; NaN if unknown. */
  value(now: number, back: number, by: By): number {
    const cell = Math.floor(now / this.cellUs) - back;
    const i = cell % CELLS;
    return this.#cell[i] === cell ? (by === 'score' ? this.#score : this.#risk)[i] : NaN;
  }
}

/** Colour and opacity of a value: what is usual stays faint, what needs an eye does not. */
export function shade(value: number, by: By): [string, number] {
  const paint = colours();
  if (Number.isNaN(value)) return [paint.line, 0.35];
  if (by === 'risk') {
    if (value >= 0.5) return [paint.hot, 0.6 + 0.4 * value];
    return value >= 0.1 ? [paint.warm, 0.5 + value] : [paint.accent, 0.1 + 2 * value];
  }
  if (value > 1) return [paint.hot, Math.min(1, 0.55 + 0.15 * value)];
  return value > 0.7 ? [paint.warm, 0.75] : [paint.accent, 0.08 + 0.5 * value];
}

/** Fits the canvas to its box and the screen's pixels; null while it has no size. */
export function surface(canvas: HTMLCanvasElement) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (!width || !height) return null;
  const ratio = devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const pen = canvas.getContext('2d')!;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

/** One instance by time. */
export function drawStrip(canvas: HTMLCanvasElement, strip: Strip, now: number, by: By) {
  const box = surface(canvas);
  if (!box) return;
  const { pen, width, height } = box;
  const cell = width / CELLS;
  for (let back = 0; back < CELLS; back += 1) {
    const [colour, alpha] = shade(strip.value(now, back, by), by);
    pen.fillStyle = colour;
    pen.globalAlpha = alpha;
    const x = Math.round(width - (back + 1) * cell);
    pen.fillRect(x, 1, Math.round(width - back * cell) - x - (cell > 3 ? 0.5 : 0), height - 2);
  }
  pen.globalAlpha = 1;
}

/** The whole fleet at one moment: a square for each instance. */
export function drawFleet(canvas: HTMLCanvasElement, values: number[], side: number, by: By) {
  const box = surface(canvas);
  if (!box) return;
  const across = Math.max(1, Math.floor(box.width / side));
  values.forEach((value, i) => {
    const [colour, alpha] = shade(value, by);
    box.pen.fillStyle = colour;
    box.pen.globalAlpha = alpha;
    box.pen.fillRect((i % across) * side, Math.floor(i / across) * side, side - 1, side - 1);
  });
  box.pen.globalAlpha = 1;
}
