// The instances of a fleet as they change: kept outside the view's signals, since thousands report every second.

import { at, get, LONG_MS, nowUs } from './api';
import { CELLS, Strip, type By } from './heat';
import type { FleetHistory, Instance, Quantiles, Risk, ScoreEvent } from './types';

export const AT_RISK = 0.1;
export type Sort = 'risk' | 'score' | 'name';
export const SHOWS = {
  all: ['instances', () => true],
  anomalous: ['anomalous', (i: Instance) => i.alive && (i.score ?? 0) > 1],
  risk: ['at risk', (i: Instance) => i.alive && i.failure_probability >= AT_RISK],
  learning: ['learning', (i: Instance) => i.alive && i.learning.phase !== 'learned'],
} as const satisfies Record<string, [string, (i: Instance) => boolean]>;
export type Show = keyof typeof SHOWS;

/** One instance with its recent history. */
export class Row {
  strip: Strip;
  quantiles: Quantiles | null = null;
  spreadAt = 0;

  constructor(public view: Instance, cellUs: number) {
    this.strip = new Strip(cellUs);
    this.update(view);
  }

  update(view: Instance) {
    this.view = view;
    if (view.judgement) this.strip.add(view.judgement.at_us, view.score, view.failure_probability);
  }

  hear({ at_us, score, failure_probability }: ScoreEvent) {
    Object.assign(this.view, { score, failure_probability, last_seen_us: at_us });
    this.strip.add(at_us, score, failure_probability);
  }

  value(by: By): number {
    if (!this.view.alive) return NaN;
    return by === 'score' ? this.view.score ?? NaN : this.view.failure_probability;
  }

  /** The spread of the time to failure of who is in danger. */
  async spread() {
    if (Date.now() - this.spreadAt < 15_000) return;
    this.spreadAt = Date.now();
    const { risks } = await get<{ risks: Risk[] }>(`${at(this.view.id)}/risks`);
    const { mode, metric } = this.view.top_risk ?? {};
    this.quantiles = risks.find((risk) => risk.mode === mode && risk.metric === metric)?.time_to_failure ?? null;
  }
}

/** Fills the strips with what is stored, a thousand instances or so at once. `stale` ends it. */
export async function fill(rows: Map<string, Row>, by: By, cellUs: number, stale: () => boolean, filled: () => void) {
  for (let cursor: string | null = ''; cursor != null;) {
    // Exactly the cells of a strip: they begin at multiples of their length here and there.
    const from = (Math.floor(nowUs() / cellUs) - CELLS + 1) * cellUs;
    const query = new URLSearchParams({ metric: by, from: String(from / 1e6), step: String(cellUs / 1e6), ...(cursor && { cursor }) });
    const page: FleetHistory = await get<FleetHistory>(`fleet/history?${query}`, LONG_MS);
    if (stale()) return;
    page.instances.forEach((id, i) => {
      const strip = rows.get(id)?.strip;
      if (strip?.cellUs !== cellUs) return;
      page.values[i].forEach((value, cell) => strip.add(page.from_us + cell * page.step_us, by === 'score' ? value : null, by === 'risk' ? value : null));
    });
    filled();
    cursor = page.next_cursor;
  }
}

// One collator for all: with `localeCompare` and options, sorting 5,000 names took seconds.
const { compare: byText } = new Intl.Collator(undefined, { numeric: true });
export const byName = (a: Instance, b: Instance) => byText(a.id, b.id);

/** Compares instances for a sort order; the living come first, names decide ties. */
export function order(sort: Sort) {
  const value = {
    risk: (i: Instance) => [Math.round(i.failure_probability * 50), i.score ?? -1],
    score: (i: Instance) => [i.score ?? -1],
    name: () => [] as number[],
  }[sort];
  return (a: Instance, b: Instance) => {
    if (a.alive !== b.alive && sort !== 'name') return Number(b.alive) - Number(a.alive);
    const [x, y] = [value(a), value(b)];
    const differs = x.findIndex((part, i) => part !== y[i]);
    return differs < 0 ? byName(a, b) : y[differs] - x[differs];
  };
}

/** Whether every word of the filter is somewhere in what is known of the instance. */
export function matches(view: Instance, show: Show, words: string[]): boolean {
  if (!SHOWS[show][1](view)) return false;
  if (!words.length) return true;
  const all = [view.id, view.kind, view.workload, view.host, view.learning.phase, view.twin_of ? 'twin' : '',
    view.top_risk?.mode.replaceAll('_', ' '), ...Object.entries(view.labels ?? {}).map((label) => label.join('='))]
    .join(' ').toLowerCase();
  return words.every((word) => all.includes(word));
}

export type Item = { host: string; row?: undefined } | { host?: undefined; row: Row; inner: boolean };

/** Hosts in order of their most urgent instance, each with its own row first; a flat list for a virtual table. */
export function arrange(rows: Iterable<Row>, sort: Sort): Item[] {
  const compare = order(sort);
  const byHost = Map.groupBy(rows, (row) => row.view.host);
  const groups = [...byHost].map(([host, members]) => {
    members.sort((a, b) => compare(a.view, b.view));
    const lead = members[0].view;
    members.sort((a, b) => Number(b.view.kind === 'host') - Number(a.view.kind === 'host'));
    return { host, members, lead };
  });
  groups.sort((a, b) => (sort === 'name' ? byText(a.host, b.host)
    : compare(a.lead, b.lead)));
  return groups.flatMap(({ host, members }) => {
    const items: Item[] = members.map((row) => ({ row, inner: row.view.kind !== 'host' }));
    if (members[0].view.kind !== 'host') items.unshift({ host });
    return items;
  });
}

/** Seconds since the instance was last heard. */
export const silence = (view: Instance) => (nowUs() - view.last_seen_us) / 1e6;
