// What if: several interventions side by side, before and after, with intervals; and the forecast rehearsed in a twin.

import { createSignal, For, onCleanup, Show } from 'solid-js';
import { createStore } from 'solid-js/store';
import { get, post } from './api';
import { Meter, Panel } from './parts';
import type { Subject } from './instance';
import type { Effect, Expected, Rehearsal, WhatIf } from './types';
import { between, count, percent, points, quantity, riskLevel, ruler, sentence, span, words } from './words';

/** One scenario as the sliders say; factors, 1 leaves as it is. */
interface Draft { memory: number; cpu: number; disk: number; descriptors: number; load: number; replicas: [number, number]; restart: boolean; fix: boolean; host: string }
const FACTORS: [keyof Draft & ('memory' | 'cpu' | 'disk' | 'descriptors' | 'load'), string][] = [
  ['memory', 'Memory limit'], ['cpu', 'Processors'], ['disk', 'Disk'], ['descriptors', 'Descriptors, PIDs'], ['load', 'Load'],
];
const HORIZONS: [string, string][] = [['15m', '15 min'], ['1h', '1 h'], ['6h', '6 h'], ['24h', '1 d']];
const MOST = 6;
const VERDICTS: Record<string, [string, 'calm' | 'warm' | 'hot' | 'none']> = {
  no_risk: ['no risk before or after', 'none'], cures: ['cures', 'calm'], delays_does_not_cure: ['delays, does not cure', 'warm'],
  no_effect: ['no effect', 'none'], hastens: ['hastens', 'hot'],
};
const fresh = (more?: Partial<Draft>): Draft =>
  ({ memory: 1, cpu: 1, disk: 1, descriptors: 1, load: 1, replicas: [1, 1], restart: false, fix: false, host: '', ...more });

/** Sliders are logarithmic: a half is as far from 1 as a double. */
const toFactor = (position: number) => Number((2 ** position).toPrecision(2));
const toPosition = (factor: number) => Math.log2(factor);

function body(draft: Draft) {
  const scenario: Record<string, unknown> = {};
  for (const key of ['memory', 'cpu', 'disk', 'descriptors'] as const) if (draft[key] !== 1) scenario[key] = `${draft[key]}x`;
  if (draft.load !== 1) scenario.load = draft.load;
  if (draft.replicas[0] !== draft.replicas[1]) scenario.replicas = [...draft.replicas];
  if (draft.host.trim()) scenario.host = draft.host.trim();
  if (draft.restart) scenario.restart = true;
  if (draft.fix) scenario.fix = true;
  return scenario;
}

function timeWords({ time_to_failure: { p10, p50, p90 }, never }: Expected): string {
  if (p50 == null) return p10 == null ? `never in ${percent(never)} of futures` : `one in ten fails by ${span(p10)}; never in ${percent(never)}`;
  return `half by ${span(p50)} (${between(p10 ?? p50, p90)}); never in ${percent(never)}`;
}

function Outcome(props: { name: string; of: Expected }) {
  return (
    <div class="outcome" data-level={riskLevel(props.of.probability)}>
      <span class="dim">{props.name}</span> <b>{percent(props.of.probability)}</b>
      <Meter share={props.of.probability} level={riskLevel(props.of.probability)} />
      <small>{timeWords(props.of)}</small>
    </div>
  );
}

/** Whether a twin was asked, what it said, and more of that. */
function proofWords({ verified }: Effect): [string, 'calm' | 'hot' | 'none', string] {
  if (!verified) return ['not verified in a twin', 'none', ''];
  const { agrees, fidelity, message } = verified === true ? {} : verified;
  const where = fidelity ? ` (${words(fidelity)})` : '';
  return agrees === false ? [`a twin${where} says otherwise`, 'hot', message ?? ''] : [`verified in a twin${where}`, 'calm', message ?? ''];
}

function EffectCard(props: { effect: Effect; subject: Subject }) {
  const verdict = () => VERDICTS[props.effect.verdict] ?? [words(props.effect.verdict), 'none'];
  const change = () => props.effect.probability_change;
  const proof = () => proofWords(props.effect);
  return (
    <article class="effect">
      <h3>{sentence(props.effect.title)} <span class="tag" data-level={verdict()[1]}>{verdict()[0]}</span>
        <span class="tag" data-level={proof()[1]} title="A rehearsal runs the forecast in a twin; scenarios are replayed futures of the model.">
          {proof()[0]}</span></h3>
      <Show when={proof()[2]}><p class="small">{proof()[2]}</p></Show>
      <div class="halves tight"><Outcome name="Before" of={props.effect.before} /><Outcome name="After" of={props.effect.after} /></div>
      <p>Probability {points(change().value)} points <span class="dim">(eight in ten: {points(change().low)} to {change().high == null ? 'any' : points(change().high!)})</span>
        <Show when={props.effect.delay_s}>{(delay) => <> · failure later by {span(Math.abs(delay().value))}
          <span class="dim"> ({span(Math.max(0, delay().low))} to {delay().high == null ? 'never' : span(delay().high!)})</span></>}</Show></p>
      <For each={props.effect.on_host ?? []}>{([metric, used, limit]) => {
        const scale = ruler(metric, props.subject.unitOf(metric), limit);
        return <p class="small">On the new host {metric}: {quantity(scale, used)} of {quantity(scale, limit)}</p>;
      }}</For>
      <details><summary>{count(props.effect.assumptions.length, 'assumption')}{props.effect.beyond_experience.length
        ? `, ${props.effect.beyond_experience.length} beyond what was ever seen` : ''}</summary>
        <ul class="small"><For each={props.effect.assumptions}>{(text) => <li>{text}</li>}</For>
          <For each={props.effect.beyond_experience}>{(text) => <li class="warn">Beyond experience: {text}</li>}</For></ul></details>
    </article>
  );
}

function Rehearse(props: { subject: Subject; horizon: string }) {
  const [run, setRun] = createSignal<Rehearsal | null>(null);
  const [said, setSaid] = createSignal('');
  let timer: ReturnType<typeof setTimeout>;
  onCleanup(() => clearTimeout(timer));
  async function follow(id: number): Promise<void> {
    try {
      setRun(await get<Rehearsal>(`rehearsals/${id}`));
    } catch (error) {
      return void setSaid((error as Error).message);
    }
    if (!run()!.done) timer = setTimeout(() => void follow(id), 1000);
  }
  async function start() {
    setSaid('');
    try {
      const asked = await post<Rehearsal>(`twins/${encodeURIComponent(props.subject.id)}/rehearsals`, { ahead: props.horizon });
      setRun(asked);
      void follow(asked.id);
    } catch (error) {
      setSaid(`Not rehearsed: ${(error as Error).message}`);
    }
  }
  return (
    <Panel title="The forecast, rehearsed in a twin" class="gap">
      <p>A rehearsal replays what is forecast, much faster than real time, in a confined twin on this machine, and tells what breaks
        first. It verifies the “before” of the scenarios. <button onClick={() => void start()} disabled={!!run() && !run()!.done}>Rehearse {props.horizon} ahead</button></p>
      <Show when={run()}>{(now) => <>
        <p><Meter share={now().progress} level="calm" label={percent(now().progress)} /> {now().done ? 'Done' : `Running, ${percent(now().progress)}`}
          {now().fidelity ? ` as ${now().fidelity}` : ''}, {now().speed} times faster. <b>{now().mode
            ? `${sentence(now().mode!)} after ${now().after_s == null ? 'an unknown time' : span(now().after_s!)}${now().resolution_s ? ` ± ${span(now().resolution_s!)}` : ''}`
            : now().done ? 'Nothing broke.' : ''}</b></p>
        <p class="dim">{now().message}</p>
        <Show when={now().comparable.length + now().not_comparable.length}>
          <p class="small dim">Comparable: {now().comparable.join(', ') || 'nothing'}. Not comparable: {now().not_comparable.join(', ') || 'nothing'}.</p></Show>
      </>}</Show>
      <p class="small" role="status">{said()}</p>
    </Panel>
  );
}

export function WhatIfView(props: { subject: Subject }) {
  const [drafts, setDrafts] = createStore<Draft[]>([fresh({ memory: 1.5 }), fresh({ restart: true })]);
  const [horizon, setHorizon] = createSignal('1h');
  const [answer, setAnswer] = createSignal<WhatIf | null>(null);
  const [said, setSaid] = createSignal('');
  let timer: ReturnType<typeof setTimeout>, asked = 0;
  onCleanup(() => clearTimeout(timer));
  async function ask() {
    const own = asked += 1;
    setSaid('Replaying futures …');
    try {
      const found = await post<WhatIf>('twin/whatif', { instance: props.subject.id, horizon: horizon(), scenarios: drafts.map(body) }, true);
      if (own !== asked) return;
      setAnswer(found);
      setSaid('');
    } catch (error) {
      if (own === asked) setSaid(`No answer: ${(error as Error).message}`);
    }
  }
  /** Asked again once the sliders rest. */
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), 400);
  };
  const change = (i: number, part: Partial<Draft>) => { setDrafts(i, part); soon(); };
  soon();
  return <>
    <Panel title="Scenarios" side={<label class="small">Within <select onChange={(event) => { setHorizon(event.target.value); soon(); }}>
      <For each={HORIZONS}>{([key, name]) => <option value={key} selected={key === horizon()}>{name}</option>}</For></select></label>}>
      <div class="scenarios">
        <For each={drafts}>{(draft, i) => (
          <fieldset class="scenario"><legend>Scenario {i() + 1}</legend>
            <For each={FACTORS}>{([key, name]) => (
              <label><span>{name}</span>
                <input type="range" min="-2" max="3" step="0.1" value={toPosition(draft[key])}
                  aria-valuetext={`${draft[key]} times`} onInput={(event) => change(i(), { [key]: toFactor(Number(event.target.value)) })} />
                <output>{draft[key]} ×</output></label>
            )}</For>
            <label><span>Replicas</span>
              <input type="range" min="1" max="10" step="1" value={draft.replicas[1]} aria-valuetext={`from 1 to ${draft.replicas[1]}`}
                onInput={(event) => change(i(), { replicas: [1, Number(event.target.value)] })} /><output>1 → {draft.replicas[1]}</output></label>
            <label><span>Move to host</span><input type="text" value={draft.host} placeholder="stays" spellcheck={false}
              onChange={(event) => change(i(), { host: event.target.value })} /></label>
            <div class="checks">
              <label><input type="checkbox" checked={draft.restart} onChange={(event) => change(i(), { restart: event.target.checked })} /> Restart now</label>
              <label><input type="checkbox" checked={draft.fix} onChange={(event) => change(i(), { fix: event.target.checked })} /> Fix the leak</label>
              <Show when={drafts.length > 1}><button onClick={() => { setDrafts(drafts.filter((_, k) => k !== i())); soon(); }}
                aria-label={`Remove scenario ${i() + 1}`}>Remove</button></Show>
            </div>
          </fieldset>
        )}</For>
      </div>
      <button disabled={drafts.length >= MOST} onClick={() => { setDrafts(drafts.length, fresh({ load: 1.5 })); soon(); }}>Add a scenario</button>
      <span class="small dim" role="status"> {said()}</span>
    </Panel>
    <Panel title="Before and after" class="gap">
      <Show when={answer()?.abstains}>{(why) => <p class="warn">Nothing should be concluded: {why()}</p>}</Show>
      <Show when={answer()} fallback={<p class="dim">{said() || 'Asking …'}</p>}>{(data) =>
        <div class="effects"><For each={data().effects}>{(effect) => <EffectCard effect={effect} subject={props.subject} />}</For></div>}</Show>
    </Panel>
    <Rehearse subject={props.subject} horizon={horizon()} />
  </>;
}
