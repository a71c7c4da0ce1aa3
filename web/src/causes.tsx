// Why: ranked causes with evidence, and in which order instances departed from what is usual.

import { createMemo, For, Show } from 'solid-js';
import { at, get, live } from './api';
import { InstanceLink, MetricName, Panel, Share } from './parts';
import type { Subject } from './instance';
import { toInstance } from './route';
import type { Anomaly, Cause, Diagnosis } from './types';
import { clock, count, number, percent, sentence, span } from './words';

function CauseItem(props: { cause: Cause; id: string; onPick?: (key: string) => void; most?: number }) {
  return (
    <article class="cause">
      <h3>{sentence(props.cause.class)}<Show when={props.cause.place !== props.id}> in <InstanceLink id={props.cause.place} /></Show>
        <Share value={props.cause.probability} /></h3>
      <ul><For each={props.cause.evidence.slice(0, props.most)}>{({ metric, statement }) => (
        <li>{statement} <Show when={metric}>{props.onPick
          ? <button class="plain" title="Show its chart" onClick={() => props.onPick!(metric)}><MetricName key={metric} /></button>
          : <a class="small" href={toInstance(props.id, { metric })}><MetricName key={metric} /></a>}</Show></li>
      )}</For></ul>
    </article>
  );
}

/** Causes and what to do, as the prediction tells them. */
export function CauseList(props: { subject: Subject; onPick?: (key: string) => void; short?: boolean }) {
  const found = () => props.subject.prediction?.root_causes ?? [];
  const actions = () => props.subject.prediction?.recommended_actions ?? [];
  const none = () => {
    if (props.subject.refused) return `No diagnosis: ${props.subject.refused}`;
    if (!props.subject.prediction) return 'Asking …';
    return props.subject.prediction.failure_probability >= 0.1 ? 'Something may fail, but no cause stands out yet.'
      : 'Nothing is wrong with this instance, so no cause is blamed.';
  };
  return <>
    <For each={props.short ? found().slice(0, 1) : found()} fallback={<p class="dim">{none()}</p>}>{(cause) =>
      <CauseItem cause={cause} id={props.subject.id} onPick={props.onPick} most={props.short ? 2 : undefined} />}</For>
    <Show when={actions().length}>
      <h3>Recommended</h3>
      <ol class="actions"><For each={props.short ? actions().slice(0, 2) : actions()}>{(action) => (
        <li><b>{sentence(action.action)}</b><div>{action.description}</div>
          <Show when={action.expected_effect}><div class="dim">Expected: {action.expected_effect}</div></Show></li>
      )}</For></ol>
    </Show>
  </>;
}

interface Lane { instance: string; since: number; anomalies: Anomaly[] }

/** Instances in the order in which they began to be unusual. */
function lanes(anomalies: Anomaly[]): Lane[] {
  const by = Map.groupBy(anomalies.filter(({ since_us }) => since_us != null), ({ instance }) => instance);
  return [...by].map(([instance, found]) => ({
    instance, since: Math.min(...found.map(({ since_us }) => since_us!)), anomalies: found.sort((a, b) => a.since_us! - b.since_us!),
  })).sort((a, b) => a.since - b.since);
}

const [WIDTH, ROW, LEFT, CAUSE] = [900, 34, 420, 150];
const MOST_LANES = 14;

/** Causes on the left, instances by the time of their first departure on the right; arrows follow the time. */
function Propagation(props: { anomalies: Anomaly[]; causes: Cause[]; end: number; self: string }) {
  const rows = createMemo(() => lanes(props.anomalies).slice(0, MOST_LANES));
  const start = () => rows()[0]?.since ?? 0;
  const length = () => Math.max(props.end - start(), 10e6);
  const x = (us: number) => LEFT + ((us - start()) / length()) * (WIDTH - LEFT - 16);
  const y = (i: number) => 26 + i * ROW;
  const causes = () => props.causes.filter(({ probability }) => probability >= 0.05).slice(0, 5)
    .map((cause, i) => ({ cause, y: y(i), lane: rows().findIndex(({ instance }) => instance === cause.place) }));
  const height = () => 40 + ROW * Math.max(rows().length, causes().length, 1);
  return (
    <div class="scroll" tabindex="0" role="region" aria-label="Order of propagation">
      <svg class="graph" viewBox={`0 0 ${WIDTH} ${height()}`} role="img"
        aria-label={`In this order: ${rows().map(({ instance, since }) => `${instance} at ${clock(since)}`).join(', ')}`}>
        <defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" /></marker></defs>
        <text x={LEFT} y="12">{clock(start())}</text>
        <text x={WIDTH - 16} y="12" text-anchor="end">{clock(start() + length())}</text>
        <For each={causes()}>{({ cause, y: at, lane }) => <>
          <rect class="box" x="2" y={at - 12} width={CAUSE} height="24" rx="5" />
          <text x="10" y={at + 4}>{sentence(cause.class).slice(0, 16)} {percent(cause.probability)}</text>
          <Show when={lane >= 0}><path class="edge" marker-end="url(#tip)"
            d={`M${CAUSE + 2} ${at}C${CAUSE + 24} ${at} ${CAUSE + 4} ${y(lane)} ${CAUSE + 26} ${y(lane)}`} /></Show></>}</For>
        <For each={rows()}>{(lane, i) => <g>
          <line class="grid" x1={LEFT} x2={WIDTH - 16} y1={y(i())} y2={y(i())} />
          <a href={toInstance(lane.instance, { tab: 'causes' })}><text class="who" x={CAUSE + 32} y={y(i()) + 4} font-weight={lane.instance === props.self ? '700' : '400'}>
            <title>{lane.instance}</title>{i() + 1}. {lane.instance.length > 28 ? `…${lane.instance.slice(-27)}` : lane.instance}</text></a>
          <line class="span" x1={x(lane.since)} x2={WIDTH - 16} y1={y(i())} y2={y(i())} />
          <For each={lane.anomalies}>{(one) => (
            <circle cx={x(one.since_us!)} cy={y(i())} r={Math.min(9, 3 + Math.log2(1 + one.strength))}>
              <title>{one.metric}: strength {number(one.strength, 2)}, since {clock(one.since_us!)}</title></circle>
          )}</For>
          <Show when={i() > 0}><path class="edge" marker-end="url(#tip)"
            d={`M${x(rows()[i() - 1].since)} ${y(i() - 1) + 8}L${x(lane.since) - 1} ${y(i()) - 9}`} /></Show></g>}</For>
      </svg>
    </div>
  );
}

export function Causes(props: { subject: Subject }) {
  const [asked] = live(() => get<Diagnosis>(`${at(props.subject.id)}/diagnosis`), 6000, [400, 404, 409, 422, 503]);
  const anomalies = () => asked.data?.groups.flatMap((group) => group.anomalies) ?? [];
  return <>
    <div class="panels">
      <Panel title="Why, and what to do"><CauseList subject={props.subject} /></Panel>
      <Panel title="Considered">
        <Show when={asked.data} fallback={<p class="dim">{asked.error ? `No diagnosis: ${asked.error.message}` : 'Asking …'}</p>}>{(data) => <>
          <p>{count(data().considered.length, 'instance')} {data().considered.length === 1 ? 'was' : 'were'} looked at, this one and what it touches. {data().causes.length
            ? 'What departs from the usual among them would be explained by:' : 'Nothing among them departs from the usual.'}</p>
          <For each={data().causes.slice(0, 8)}>{(cause) => (
            <p class="line"><span>{sentence(cause.class)} · <InstanceLink id={cause.place} tab="causes" /></span><Share value={cause.probability} /></p>
          )}</For>
          <Show when={data().causes.length}><p class="line"><span class="dim">none of the known causes</span><Share value={data().unknown} /></p></Show>
        </>}</Show>
      </Panel>
    </div>
    <Panel title="Order of propagation" class="gap">
      <Show when={anomalies().some(({ since_us }) => since_us != null)} fallback={
        <p class="dim">{asked.data ? 'Nothing departs from what is usual here, so there is no order to show.' : 'Asking …'}</p>}>
        <Propagation anomalies={anomalies()} causes={asked.data!.causes} end={asked.data!.at_us} self={props.subject.id} />
        <details><summary>{anomalies().length} departures in words</summary>
          <ul><For each={[...anomalies()].sort((a, b) => (a.since_us ?? 0) - (b.since_us ?? 0)).slice(0, 60)}>{(one) => (
            <li><Show when={one.since_us}>{(since) => <time>{clock(since())} </time>}</Show><InstanceLink id={one.instance} /> <MetricName key={one.metric} />:
              strength {number(one.strength, 2)}, by chance {percent(one.chance)}</li>
          )}</For></ul></details>
        <p class="small dim">A dot is a metric that departed, larger where it departed more; arrows join the instances in the order of their first
          departure, which is evidence of a cause and not a proof. Span: {span((asked.data!.at_us - Math.min(...anomalies().flatMap((a) => a.since_us ?? []))) / 1e6)}.</p>
      </Show>
    </Panel>
  </>;
}
