// Production and its twin side by side: who departs from what is usual, and so where the trouble is.

import { createEffect, createSignal, For, on, Show } from 'solid-js';
import { at, every, get, live, post } from './api';
import { SCORE } from './charts';
import { InstanceLink, Panel, Share } from './parts';
import { Plot } from './plot';
import type { Subject } from './instance';
import { RangePicker, useRange, zoom } from './time';
import type { Drift, Metric, Twin, Verdict, Window } from './types';
import { between, clock, number, percent, score, scoreLevel, sentence, span, words, type Level } from './words';

/** Costs of the twin that are charted, and what people call them. */
const COSTS: [string, string][] = [
  ['foretwin.probe.wake.lag{stat=p90}', 'Wake-up lag, p90'],
  ['foretwin.probe.disk.sync{stat=p90}', 'Disk sync, p90'],
  ['foretwin.probe.tcp.round_trip{stat=p90}', 'Network round trip, p90'],
];
/** And what of production stands beside them, for groups and for machines. */
const BESIDE: [RegExp, string][] = [
  [/^(container|system)\.pressure\.time\{pressure\.kind=some,pressure\.resource=cpu\}$/, 'Waits for a processor'],
  [/^(container|system)\.pressure\.time\{pressure\.kind=some,pressure\.resource=io\}$/, 'Waits for a disk'],
  [/^(container|system)\.cpu\.busy$/, 'Processor time'],
];
const MEANING: Record<string, string> = {
  healthy: 'Neither production nor its twin departs from what is usual.',
  workload: 'More, or something else, is asked of the instance; the machine underneath is as it was.',
  instance: 'The instance itself: a bug, a leak, its own limit or configuration. The machine underneath is as it was.',
  infrastructure: 'The machine underneath: known work costs the twin more, too.',
  both: 'The instance and the machine underneath.',
  twin_fault: 'The twin misbehaves alone: nothing else speaks for trouble.',
  undetermined: 'There may be trouble, and what is known does not tell where.',
  no_contrast: 'Nothing is compared.',
};
const LEVELS: Record<string, Level> = { healthy: 'calm', no_contrast: 'none', undetermined: 'none', twin_fault: 'warm' };
/** Deviations from which a drift is called one. */
const FAR = 3;
const levelOf = (name: string): Level => LEVELS[name] ?? 'hot';
const learns = (verdict: Verdict) => !!verdict.evidence[0]?.statement.startsWith('learning');

export function VerdictLine(props: { verdict: Verdict }) {
  const level = () => levelOf(props.verdict.class);
  return (
    <p class="verdict" data-level={level()}><b>{learns(props.verdict) ? 'No verdict yet' : sentence(props.verdict.class)}</b>
      <Show when={!learns(props.verdict)} fallback={<span class="dim">{props.verdict.evidence[0]?.statement}</span>}>
        <Share value={props.verdict.probability} level={level()} />
        <Show when={props.verdict.self_inflicted}><span class="tag">self-inflicted</span></Show>
        <Show when={props.verdict.consumer}>{(by) => <> by <InstanceLink id={by()} /></>}</Show>
        <Show when={props.verdict.since_us}>{(since) => <span class="dim"> since {clock(since())}</span>}</Show>
      </Show></p>
  );
}

/** The largest shift against the reference, or the champion while there is none. */
function Drifted(props: { drift: Drift[] }) {
  const far = () => props.drift.flatMap(({ reference, champion }) => reference ?? champion ?? [])
    .reduce<{ shift: number; metric: string | null } | null>((most, one) => (most && most.shift >= one.shift ? most : one), null);
  return <Show when={far()} fallback={<dd class="dim">not known yet</dd>}>{(most) =>
    <dd data-level={most().shift >= FAR ? 'warm' : 'none'}>{number(most().shift, 2)} σ <span class="dim id">{most().metric}</span></dd>}</Show>;
}

function Sides(props: { subject: Subject; twin: Twin; said: string; wish: (level: string | null) => void }) {
  const replay = () => {
    const { replay: running, profile } = props.twin;
    if (running) return `${words(running.state)} as ${running.achieved}`;
    return profile ? `none; profile ${profile.version} is ready` : 'none; no profile yet';
  };
  const Score = (of: { value: number | null }) => <dd data-level={scoreLevel(of.value)}>{score(of.value)}</dd>;
  const range = useRange();
  const [windows, setWindows] = createSignal<{ own?: Window | null; twin?: Window | null }>({});
  const [own, setOwn] = createSignal<[string, string][]>([]);
  const ask = (id: string, keys: string[]) => get<Window>(`${at(id)}/window?${new URLSearchParams([
    ...keys.map((key) => ['metric', key]), ['from', range().from], ['to', range().to], ['points', '300']])}`).catch(() => null);
  const now = every(() => Math.max(4000, range().refreshMs), async () => {
    if (!own().length) {
      const { metrics } = await get<{ metrics: Metric[] }>(`${at(props.subject.id)}/metrics`);
      setOwn(BESIDE.flatMap(([pattern, title]): [string, string][] => {
        const key = metrics.find((metric) => pattern.test(metric.key))?.key;
        return key ? [[key, title]] : [];
      }));
    }
    const [mine, others] = await Promise.all([ask(props.subject.id, [SCORE, ...own().map(([key]) => key)]),
      props.twin.probes ? ask(props.twin.probes, [SCORE, ...COSTS.map(([key]) => key)]) : null]);
    setWindows({ own: mine, twin: others });
  });
  createEffect(on(range, now, { defer: true }));
  const chart = (window: Window | null | undefined, key: string, title: string, form: 'score' | 'metric') => (
    <Plot id={key} form={form} title={title} series={window?.series.find(({ metric }) => metric === key)} height={120}
      from={windows().own?.from_us ?? 0} to={windows().own?.to_us ?? 1e6} note="No samples in this range." onZoom={zoom} />
  );
  return <>
    <div class="bar"><RangePicker range={range()} />
      <button onClick={() => props.wish(props.twin.replay ? null : 'process')}>{props.twin.replay ? 'Stop replay' : 'Replay its work in the twin'}</button>
      <span class="small" role="status">{props.said}</span></div>
    <div class="halves">
      <div>
        <h3>Production <span class="id dim">{props.subject.id}</span></h3>
        <dl class="facts"><dt>Anomaly score</dt><Score value={props.twin.score} /><dt>Drift</dt><Drifted drift={props.twin.drift} />
          <dt>Replay</dt><dd>{replay()}</dd></dl>
        {chart(windows().own, SCORE, 'Production: anomaly score', 'score')}
        <For each={own()}>{([key, title]) => <div class="gap">{chart(windows().own, key, title, 'metric')}</div>}</For>
      </div>
      <div>
        <h3>Twin <Show when={props.twin.probes} fallback={<span class="dim">none</span>}>{(id) => <InstanceLink id={id()} />}</Show></h3>
        <dl class="facts"><dt>Anomaly score</dt><Score value={props.twin.twin_score} /><dt>Drift</dt><Drifted drift={props.twin.twin_drift} />
          <dt>Runs as</dt><dd>{props.twin.fidelity ?? 'nothing'}</dd></dl>
        <Show when={props.twin.probes}>
          {chart(windows().twin, SCORE, 'Twin: anomaly score', 'score')}
          <For each={COSTS}>{([key, title]) => <div class="gap">{chart(windows().twin, key, title, 'metric')}</div>}</For>
        </Show>
      </div>
    </div>
  </>;
}

export function TwinPanel(props: { subject: Subject }) {
  const path = `twins/${encodeURIComponent(props.subject.id)}`;
  const [twin, now] = live(() => get<Twin>(path), 5000);
  const [said, setSaid] = createSignal('');
  async function wish(level: string | null) {
    try {
      await post(`${path}/replay`, { level });
      setSaid(level ? 'Asked for; it begins once there is a profile and room in the budget.' : 'It ends.');
      now();
    } catch (error) {
      setSaid((error as Error).message);
    }
  }
  return (
    <Show when={twin.data} fallback={<p class="empty">{twin.error ? `No twin: ${twin.error.message}` : 'Asking …'}</p>}>{(data) => <>
      <Panel title="Verdict">
        <Show when={data().verdict && data().verdict!.class !== 'no_contrast'} fallback={
          <p class="dim">Nothing is compared for this instance: it has no twin, or it does too little work to tell.</p>}>
          <VerdictLine verdict={data().verdict!} />
          <p class="dim">{learns(data().verdict!) ? 'The contrast learns what is usual before it judges.' : MEANING[data().verdict!.class]}</p>
          <ul><For each={data().verdict!.evidence}>{({ statement }) => <li>{statement}</li>}</For></ul>
          <Show when={data().verdict_counters_only}>{(without) => <p class="small dim">Without the twin, from the kernel's counters
            alone: {words(without().class)} ({percent(without().probability)}).</p>}</Show>
          <Show when={data().ahead?.time_to_failure.p50}>{(half) => <p>If the twin goes on drifting, latency breaks in about <b>{span(half())}</b>
            {' '}({between(data().ahead!.time_to_failure.p10 ?? half(), data().ahead!.time_to_failure.p90)}).</p>}</Show>
        </Show>
      </Panel>
      <Panel title="Production and its twin" class="gap"><Sides subject={props.subject} twin={data()} said={said()} wish={(level) => void wish(level)} /></Panel>
    </>}</Show>
  );
}
