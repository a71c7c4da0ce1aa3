// The overview of an instance: what is unusual and likely in a line each, then score, risk and metrics by time.

import { batch, createEffect, createMemo, createSignal, For, on, Show } from 'solid-js';
import { ApiError, at, every, get, live, nowUs } from './api';
import { CauseList } from './causes';
import { ForecastTable, waysLine } from './forecast';
import { useKeys } from './keys';
import { Meter, MetricName, Panel } from './parts';
import { anomalousSpans, Plot, type Mark } from './plot';
import { Ranking } from './ranking';
import { route, setParams } from './route';
import { RangePicker, useRange, zoom } from './time';
import { RiskSummary } from './failure';
import { VerdictLine } from './twin';
import type { Subject } from './instance';
import { getAlerts } from './alerts';
import type { Contribution, Forecasts, Line, ScoreEvent, Series, Twin, Window } from './types';
import { clock, count, expectation, percent, quantity, ruler, score, sentence, words } from './words';

export const SCORE = 'foretwin.anomaly.score';
export const FAILURE = 'foretwin.failure.probability{horizon=1h}';
const USUAL = [
  /cpu\.(utili[sz]ation|busy)/, /memory\.unreclaimable/, /memory\.(usage|utili[sz]ation)/,
  /pressure.*(cpu|memory)/, /disk\.(io|operation)|io\.bytes/, /network\.io/,
];
const MOST_MARKS = 40;
/** Up to this range single frames are seen, s, and charts grow with each, at most so often, ms. */
const FINE_S = 900;
const LEAST_MS = 45;

/** A window with newer samples behind its own, moved on to end at `to`. */
function joined(before: Window, newer: Series[], to: number): Window {
  const from = before.from_us + Math.max(0, to - before.to_us);
  const series = before.series.map((old) => {
    const more = newer.find(({ metric }) => metric === old.metric);
    const last = old.at_us.at(-1) ?? 0;
    const first = more ? more.at_us.findIndex((time) => time > last) : -1;
    if (!more || first < 0) return old;
    const drop = Math.max(0, old.at_us.findIndex((time) => time >= from));
    const join = <T,>(a: T[], b: T[]) => a.slice(drop).concat(b.slice(first));
    return { ...old, at_us: join(old.at_us, more.at_us), observed: join(old.observed, more.observed),
      expected: join(old.expected, more.expected), scale: join(old.scale, more.scale) };
  });
  return { from_us: from, to_us: Math.max(to, before.to_us), series };
}

/** The metrics to begin with: what makes the score, what runs against a limit, and the usual suspects. */
function defaults({ view, metrics }: Subject): string[] {
  const moving = metrics.filter(({ role }) => role !== 'limit');
  const usual = USUAL.flatMap((pattern) => moving.find(({ key }) => pattern.test(key)) ?? []);
  const surprising = (view.judgement?.contributions ?? []).slice(0, 3).map(({ metric }) => metric);
  const known = new Set(metrics.map(({ key }) => key));
  const danger = view.top_risk?.metric ?? '';
  const first = (view.top_risk?.probability ?? 0) >= 0.1 ? [danger] : [];
  return [...new Set([...first, ...surprising, danger, ...usual.map(({ key }) => key)])]
    .filter((key) => known.has(key)).slice(0, 6);
}

function Unusual(props: { subject: Subject; onPick: (key: string) => void }) {
  const parts = () => props.subject.view.judgement?.contributions ?? [];
  const value = () => props.subject.view.score;
  const lead = () => ((value() ?? 0) > 1 ? `The score of ${score(value())} is made of:`
    : `Nothing: the score of ${score(value())} is below 1. Its largest parts:`);
  const row = (part: Contribution) => {
    const size = () => Math.max(Math.abs(part.observed ?? 0), Math.abs(part.expected?.mean ?? 0));
    const scale = () => ruler(part.metric, props.subject.unitOf(part.metric), size());
    return (
      <li><button class="plain" title="Show its chart" onClick={() => props.onPick(part.metric)}><MetricName key={part.metric} /></button>
        <div><Meter share={part.share} level={(value() ?? 0) > 1 ? 'hot' : 'none'} /> {percent(part.share)} · <b>{quantity(scale(), part.observed)}</b>
          {' '}<span class="dim">{expectation(scale(), part.expected?.mean, part.expected?.scale)}</span></div></li>
    );
  };
  return (
    <Panel title="What is unusual">
      <Show when={parts().length} fallback={<p class="dim">{props.subject.view.judgement
        ? 'Nothing: every metric is as expected.' : 'Not known before the first score.'}</p>}>
        <p>{lead()}</p>
        <ul class="parts"><For each={parts()}>{row}</For></ul>
      </Show>
    </Panel>
  );
}

/** What happened to the instance, in the order of time: models, verdicts, alerts. */
function useEvents(subject: Subject) {
  const [models] = live(() => get<{ lines: Line[] }>(`models/${encodeURIComponent(subject.id)}`), 30_000);
  const [twin] = live(() => get<Twin>(`twins/${encodeURIComponent(subject.id)}`), 6000);
  const [alerts] = live(() => getAlerts(`?instance=${encodeURIComponent(subject.id)}`), 15_000, [400, 404]);
  const marks = createMemo(() => {
    const found: Mark[] = [];
    for (const { at_us, what, version, reason } of models.data?.lines[0]?.changes ?? []) {
      if (what !== 'added') found.push({ at: at_us, text: `model ${version} ${words(what)}: ${reason}`, level: 'dim' });
    }
    const verdict = twin.data?.verdict;
    if (verdict?.since_us) found.push({ at: verdict.since_us, text: `verdict: ${words(verdict.class)}`, level: 'hot' });
    for (const alert of alerts.data?.alerts ?? []) {
      found.push({ at: alert.opened_us, text: `alert: ${alert.title}`, level: 'hot' });
      if (alert.resolved_us) found.push({ at: alert.resolved_us, text: `resolved: ${alert.title}`, level: 'warm' });
    }
    return found.sort((a, b) => a.at - b.at);
  });
  return { marks, twin };
}

function Picker(props: { subject: Subject; chosen: string[]; choose: (key: string, on: boolean) => void; bind: (open: () => void) => void }) {
  let details!: HTMLDetailsElement, find!: HTMLInputElement;
  const [text, setText] = createSignal('');
  const [open, setOpen] = createSignal(false);
  props.bind(() => { details.open = !details.open; });
  const fitting = createMemo(() => {
    if (!open()) return [];
    const asked = text().toLowerCase().split(/\s+/);
    return props.subject.metrics.filter(({ key, role }) => asked.every((word) => `${key} ${role}`.toLowerCase().includes(word))).slice(0, 300);
  });
  return (
    <details class="picker" ref={details} onToggle={() => { setOpen(details.open); if (details.open) find.focus(); }}>
      <summary>Metrics ({props.chosen.length} of {props.subject.metrics.length})</summary>
      <div class="pop">
        <input type="search" ref={find} placeholder="Find a metric" aria-label="Find a metric" spellcheck={false}
          onInput={(event) => setText(event.target.value)} />
        <div class="options">
          <For each={fitting()} fallback={<p class="dim">No metric of this instance has such a name.</p>}>{(metric) => (
            <label><input type="checkbox" checked={props.chosen.includes(metric.key)}
              onChange={(event) => props.choose(metric.key, event.target.checked)} />
            <MetricName key={metric.key} /><span class="dim">{metric.role}</span></label>
          )}</For>
        </div>
      </div>
    </details>
  );
}

/** What was heard of a series of scores or probabilities. */
function scored(series: Series, heard: ScoreEvent[]): Series {
  const nothing = heard.map(() => null);
  return { ...series, at_us: heard.map(({ at_us }) => at_us), expected: nothing, scale: nothing,
    observed: heard.map((event) => (series.metric === SCORE ? event.score : event.failure_probability)) };
}

export function Charts(props: { subject: Subject; latest: ScoreEvent | null }) {
  const { subject } = props;
  const path = at(subject.id);
  const range = useRange();
  const [own, setOwn] = createSignal<Window | null>(null);
  const [rest, setRest] = createSignal<Window | null>(null);
  const [forecasts, setForecasts] = createSignal<Forecasts | null>(null);
  const [usual, setUsual] = createSignal<string[]>([]);
  const { marks, twin } = useEvents(subject);
  let grid!: HTMLDivElement;
  let openPicker = () => {};

  const picked = () => route().params.getAll('metric');
  createEffect(() => { if (!usual().length && subject.metrics.length) setUsual(defaults(subject)); });
  const chosen = createMemo(() => (picked().length ? picked() : usual()), [], { equals: (a, b) => a.join('\n') === b.join('\n') });
  // What this machine does not tell, a file of the kernel that is not there for instance, is no chart to begin with.
  createEffect(on(rest, (window) => {
    const seen = (key: string) => window?.series.find(({ metric }) => metric === key)?.observed.filter((value) => value != null).length ?? 0;
    if (picked().length || !usual().some((key) => seen(key) >= 5) || usual().every(seen)) return;
    setUsual(usual().filter(seen));
  }));
  const choose = (key: string, on: boolean) =>
    setParams({ metric: [...chosen().filter((other) => other !== key), ...(on ? [key] : [])] });
  const show = (key: string) => {
    if (!chosen().includes(key)) choose(key, true);
    setTimeout(() => grid.querySelector(`[data-metric="${CSS.escape(key)}"]`)?.scrollIntoView({ block: 'center' }));
  };
  useKeys({ m: ['choose metrics', () => openPicker()] });

  const windowOf = (keys: string[], from: string, to: string, points: number) => get<Window>(
    `${path}/window?${new URLSearchParams([...keys.map((key) => ['metric', key]), ['from', from], ['to', to], ['points', String(points)]])}`);

  // What grows with each frame needs to be asked for as a whole only now and then.
  const plot = every(() => range().refreshMs * (range().seconds <= FINE_S && props.latest ? 5 : 1), async () => {
    const { from, to } = range();
    const points = Math.min(600, Math.max(120, Math.round((grid?.clientWidth || 600) / 2)));
    const known = new Set(subject.metrics.map(({ key }) => key));
    const keys = chosen().filter((key) => known.has(key));
    const [scores, values] = await Promise.all([
      windowOf([SCORE, FAILURE], from, to, points).catch((error) => {
        // Before the first score there is no such series.
        if (error instanceof ApiError && error.status >= 400 && error.status !== 401) return null;
        throw error;
      }),
      keys.length ? windowOf(keys, from, to, points) : null,
    ]);
    if (from !== range().from || to !== range().to) return;
    batch(() => {
      setOwn(scores);
      setRest(values);
      heard = [];
    });
  });
  const foresee = every(() => Math.max(15_000, range().refreshMs * 2), async () => {
    const { aheadS } = range();
    const keys = chosen().filter((key) => !key.startsWith('foretwin.') && subject.metrics.some((metric) => metric.key === key));
    if (!keys.length || !aheadS) return void setForecasts(null);
    const query = new URLSearchParams(keys.map((key) => ['metric', key]));
    try {
      setForecasts(await get<Forecasts>(`${path}/forecasts?${query}&horizon=${Math.min(604_800, Math.round(aheadS))}s&points=90`));
    } catch (error) {
      if (!(error instanceof ApiError) || !error.status || error.status === 401) throw error;
      setForecasts(null);
    }
  });
  createEffect(on([range, chosen, () => subject.metrics.length], () => { plot(); foresee(); }, { defer: true }));
  // A frame that was just scored is shown at once, where the range is short enough for one to be seen.
  let growing = false, grownAt = 0, heard: ScoreEvent[] = [];
  createEffect(on(() => props.latest, (event) => {
    if (!event || !range().relative || range().seconds > FINE_S || document.hidden) return;
    heard.push(event);
    void grow();
  }, { defer: true }));
  /** Adds what the charts do not have yet, and fetches only that; all charts change at once. */
  async function grow() {
    const [scores, values] = [own(), rest()];
    if (growing || !scores || Date.now() - grownAt < LEAST_MS) return;
    growing = true;
    grownAt = Date.now();
    try {
      const last = Math.max(0, ...values?.series.map(({ at_us }) => at_us.at(-1) ?? 0) ?? []);
      const more = values && await windowOf(values.series.map(({ metric }) => metric), ((last || values.to_us) / 1e6).toFixed(6), 'now', 600);
      if (own() !== scores || rest() !== values) return;
      const to = more?.to_us ?? heard.at(-1)!.at_us;
      batch(() => {
        setOwn(joined(scores, scores.series.map((series) => scored(series, heard)), to));
        if (values && more) setRest(joined(values, more.series, to));
      });
      heard = [];
    } catch {
      // The next full refresh tells what is wrong.
    } finally {
      growing = false;
    }
  }

  const seriesOf = (window: Window | null, key: string) => window?.series.find(({ metric }) => metric === key);
  const bounds = createMemo(() => {
    const answer = rest() ?? own();
    const ahead = forecasts()?.metrics.length ? range().aheadS * 1e6 : 0;
    const to = answer?.to_us ?? nowUs();
    return { from: answer?.from_us ?? to - range().seconds * 1e6, to: to + ahead };
  });
  const spans = createMemo(() => anomalousSpans(seriesOf(own(), SCORE)), [], { equals: (a, b) => a.join() === b.join() });
  const shown = createMemo(() => marks().filter(({ at: time }) => time >= bounds().from && time <= bounds().to).slice(-MOST_MARKS));
  const forecastOf = (key: string) => forecasts()?.metrics.find(({ metric }) => metric === key);
  /** The contrast's verdict; that it speaks of no trouble is no news beside a cause. */
  const telling = () => {
    const verdict = twin.data?.verdict;
    const silent = verdict?.class === 'no_contrast' || (verdict?.class === 'healthy' && subject.prediction?.root_causes.length);
    return !silent && verdict;
  };
  const badge = (key: string) => {
    const share = (subject.view.score ?? 0) > 1
      ? subject.view.judgement?.contributions.find(({ metric }) => metric === key)?.share : null;
    return share ? `${percent(share)} of the score` : '';
  };
  const frame = { get from() { return bounds().from; }, get to() { return bounds().to; } };
  return <>
    <div class="panels">
      <RiskSummary subject={subject} />
      <Panel title="Why, and what to do" side={<a href={`#/i/${encodeURIComponent(subject.id)}?tab=causes`}>All evidence</a>}>
        <Show when={telling()}>{(verdict) => <VerdictLine verdict={verdict()} />}</Show>
        <CauseList subject={subject} onPick={show} short />
      </Panel>
      <Unusual subject={subject} onPick={show} />
    </div>
    <div class="bar sticky">
      <RangePicker range={range()} />
      <Picker subject={subject} chosen={chosen()} choose={choose} bind={(open) => { openPicker = open; }} />
      <span class="dim small hint">Drag across a chart to zoom and rank.</span>
    </div>
    <Show when={!range().relative}>
      <Ranking subject={subject} from={range().from} to={range().to} onPick={show} />
    </Show>
    <div class="strips">
      <Plot id={SCORE} form="score" title="Anomaly score" series={seriesOf(own(), SCORE)} from={frame.from} to={frame.to} height={100}
        spans={spans()} marks={shown()} note="No score in this range." onZoom={zoom} />
      <Plot id={FAILURE} form="probability" title="Probability of failing within the hour" series={seriesOf(own(), FAILURE)}
        from={frame.from} to={frame.to} height={100} marks={shown()} note="No prediction in this range." onZoom={zoom} />
    </div>
    <Show when={shown().length}>
      <details class="events"><summary>{count(shown().length, 'event')} in this range, marked in the strips</summary>
        <ul><For each={shown().toReversed()}>{(mark) => <li data-level={mark.level}><time>{clock(mark.at)}</time> {sentence(mark.text)}</li>}</For></ul>
      </details>
    </Show>
    <div class="charts" ref={grid}>
      <For each={chosen()}>{(key) => (
        <div data-metric={key}><Plot id={key} title={<MetricName key={key} />} series={seriesOf(rest(), key)} ahead={forecastOf(key)}
          from={frame.from} to={frame.to} spans={spans()} badge={badge(key)} onZoom={zoom} onRemove={() => choose(key, false)}
          note={subject.metrics.length && !subject.metrics.some((metric) => metric.key === key)
            ? 'This instance has no such metric (any more).' : undefined}
          foot={forecastOf(key) ? waysLine(forecastOf(key)!) : ''} /></div>
      )}</For>
    </div>
    <ForecastTable forecasts={forecasts()} past={!range().aheadS} />
  </>;
}
