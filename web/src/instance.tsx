// One instance: how it is, what may fail and why, and everything that can be asked of it, in tabs.

import { createMemo, createSignal, For, Match, Show, Switch } from 'solid-js';
import { at, get, listen, live, nowUs } from './api';
import { Causes } from './causes';
import { Charts } from './charts';
import { Failure } from './failure';
import { useKeys } from './keys';
import { Models } from './models';
import { Empty, InstanceLink, Meter } from './parts';
import { Records } from './records';
import { InstanceReport } from './report';
import { route, setParams, toInstance } from './route';
import { RANGE_KEYS, setRelative } from './time';
import { TwinPanel } from './twin';
import type { Instance, Metric, Prediction, ScoreEvent } from './types';
import { post } from './api';
import { clock, percent, riskLevel, riskWords, score, scoreLevel, seriesUnit, span, type Level } from './words';
import { WhatIfView } from './whatif';

const TABS: [string, string][] = [
  ['', 'Overview'], ['failure', 'Failure'], ['causes', 'Causes'], ['twin', 'Twin'], ['what-if', 'What if'],
  ['models', 'Models'], ['report', 'Report'], ['records', 'Records'],
];

/** What the parts of an instance share. */
export interface Subject {
  id: string;
  view: Instance;
  metrics: Metric[];
  prediction: Prediction | undefined;
  refused: string | null;
  unitOf: (key: string) => string;
  refresh: () => void;
}

function Figure(props: { label: string; value: string; level: Level; note: string }) {
  return <div class="figure" data-level={props.level}><span>{props.label}</span><b>{props.value}</b><small>{props.note}</small></div>;
}

function Head(props: { subject: Subject }) {
  const view = () => props.subject.view;
  const name = () => props.subject.id.split('/').at(-1) || props.subject.id;
  const silent = () => (nowUs() - view().last_seen_us) / 1e6;
  const fine = () => view().alive && silent() <= 30;
  const state = () => (!view().alive ? `gone, last seen ${span(silent())} ago`
    : silent() > 30 ? `silent for ${span(silent())}` : 'alive');
  const quantiles = () => {
    const top = view().top_risk;
    return props.subject.prediction?.risks.find(({ mode, metric }) => mode === top?.mode && metric === top?.metric)?.time_to_failure;
  };
  const facts = (): [string, string][] => [
    ['workload', view().workload], ['host', view().host], ['criticality', String(view().criticality)],
    ['seen since', clock(view().first_seen_us, false)],
    ['model', view().learning.model_version ? `version ${view().learning.model_version}` : 'none yet'],
    ...Object.entries(view().labels ?? {}),
  ];
  return (
    <header class="instance">
      <div class="who">
        <p class="crumbs"><a href="#/">Fleet</a> / <span class="id">{props.subject.id}</span></p>
        <h1 class="id">{name()} <span class="tag">{view().kind}</span><span class="tag" data-level={fine() ? 'none' : 'warm'}>{state()}</span></h1>
        <dl>
          <Show when={view().parent}>{(parent) => <div><dt>inside</dt><dd><InstanceLink id={parent()} /></dd></div>}</Show>
          <Show when={view().twin_of}>{(of) => <div><dt>twin of</dt><dd><InstanceLink id={of()} /></dd></div>}</Show>
          <For each={facts()}>{([label, value]) => <div><dt>{label}</dt><dd class="id">{value}</dd></div>}</For>
        </dl>
      </div>
      <div class="figures">
        <Figure label="anomaly score" value={score(view().score)} level={scoreLevel(view().score)}
          note={(view().score ?? 0) > 1 ? 'anomalous: above 1' : 'anomalous above 1'} />
        <Figure label="fails within the hour" value={percent(view().failure_probability)} level={riskLevel(view().failure_probability)}
          note={riskWords(view().top_risk, quantiles()) || 'nothing in sight'} />
      </div>
    </header>
  );
}

function LearningBar(props: { view: Instance }) {
  const meaning = () => (props.view.learning.phase === 'gathering'
    ? 'There is no score yet: too little was seen to expect anything.'
    : 'They come from a model of the first minutes and mean little yet.');
  return (
    <Show when={props.view.learning.phase !== 'learned'}>
      <div class="progress"><Meter share={props.view.learning.progress} label={percent(props.view.learning.progress)} />
        <b>{props.view.learning.message}.</b> {meaning()}</div>
    </Show>
  );
}

export function InstanceView(props: { id: string }) {
  const path = at(props.id);
  const [asked, now] = live(() => get<Instance>(path), 5000);
  const [metricList, metricsNow] = live(() => get<{ metrics: Metric[] }>(`${path}/metrics`), 60_000);
  const [refused, setRefused] = createSignal<string | null>(null);
  const [predicted] = live(async () => {
    try {
      const answer = await post<Prediction>('twin/predict', { instance: props.id, horizon: 3600 });
      setRefused(null);
      return answer;
    } catch (error) {
      // Without a prediction there may be risks still; the rest is told as it is.
      const { status, message } = error as { status?: number; message: string };
      if (!status || status === 401) throw error;
      setRefused(message);
      const { risks } = await get<{ risks: Prediction['risks'] }>(`${path}/risks`);
      return { risks, root_causes: [], recommended_actions: [], probabilities: [], confidence: 0, at_us: 0, horizon_s: 3600, failure_probability: 0 };
    }
  }, 6000);
  const [latest, setLatest] = createSignal<ScoreEvent | null>(null);
  listen(`?instance=${encodeURIComponent(props.id)}`, {
    score: (event: ScoreEvent) => event.instance === props.id && setLatest(event),
    learned: () => { now(); metricsNow(); }, vanished: now, appeared: now, verdict: now,
  });
  const units = createMemo(() => new Map((metricList.data?.metrics ?? []).map((metric) => [metric.key, seriesUnit(metric)])));
  const view = createMemo(() => {
    const known = asked.data;
    const event = latest();
    if (!known || !event || event.at_us < known.last_seen_us) return known;
    return { ...known, score: event.score, failure_probability: event.failure_probability, last_seen_us: event.at_us };
  });
  const subject: Subject = {
    id: props.id,
    get view() { return view()!; },
    get metrics() { return metricList.data?.metrics ?? []; },
    get prediction() { return predicted.data; },
    get refused() { return refused(); },
    unitOf: (key) => units().get(key) ?? '1',
    refresh: now,
  };
  const tab = () => route().params.get('tab') ?? '';
  const go = (key: string) => setParams({ tab: key || undefined }, true);
  const turn = (by: number) => () => {
    const i = TABS.findIndex(([key]) => key === tab());
    go(TABS[(i + by + TABS.length) % TABS.length][0]);
  };
  useKeys({
    ...Object.fromEntries(RANGE_KEYS.slice(0, 6).map((key, i) => [String(i + 1), [`range of ${key}`, () => setRelative(key)]])),
    '[': ['previous tab', turn(-1)], ']': ['next tab', turn(1)],
    Escape: ['fleet', () => { location.hash = '#/'; }],
  });
  return (
    <Show when={!asked.error} fallback={
      <Empty title="No such instance"><p class="id">{props.id}</p>
        <p>It may have been renamed, or left longer ago than its history is kept.</p><a href="#/">Back to the fleet</a></Empty>}>
      <Show when={asked.data} fallback={<div class="empty">Asking …</div>}>
        <Head subject={subject} />
        <LearningBar view={subject.view} />
        <nav class="tabs" aria-label="Of this instance">
          <For each={TABS}>{([key, name]) =>
            <a href={toInstance(props.id, key ? { tab: key } : {})} aria-current={tab() === key ? 'page' : undefined}
              onClick={(event) => { event.preventDefault(); go(key); }}>{name}</a>}</For>
        </nav>
        <Switch fallback={<Charts subject={subject} latest={latest()} />}>
          <Match when={tab() === 'failure'}><Failure subject={subject} /></Match>
          <Match when={tab() === 'causes'}><Causes subject={subject} /></Match>
          <Match when={tab() === 'twin'}><TwinPanel subject={subject} /></Match>
          <Match when={tab() === 'what-if'}><WhatIfView subject={subject} /></Match>
          <Match when={tab() === 'models'}><Models subject={subject} /></Match>
          <Match when={tab() === 'report'}><InstanceReport id={props.id} host={subject.view.host} /></Match>
          <Match when={tab() === 'records'}><Records subject={subject} /></Match>
        </Switch>
      </Show>
    </Show>
  );
}
