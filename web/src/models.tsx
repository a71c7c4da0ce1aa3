// The models of an instance: which version judges, what its expectations are made of, and the way to another one.

import { createEffect, createSignal, For, on, Show } from 'solid-js';
import { at, download, get, live, post } from './api';
import { Meter, Panel, Table } from './parts';
import type { Subject } from './instance';
import type { Comparison, Drift, DriftOf, Line, Model, ModelEntry } from './types';
import { change, clock, count, number, percent, sentence, span, words } from './words';

/** Deviations, or multiples of the usual surprise, from which a drift is called one. */
const FAR = 3;
/** A tagged value of the API: a name, or a name with details. */
const nameOf = (value: unknown): string => (typeof value === 'string' ? value : Object.keys(value ?? {})[0] ?? '?');

/** Whose weights the LSTM has, and what the others were worth. */
function whose({ shared, own, cohort }: Model['gain']): string {
  if (shared) return `, by weights learned from its workload${own == null ? '' : ` (its own: ${change(own)})`}`;
  return cohort == null ? '' : `, by weights of its own (its workload's: ${change(cohort)})`;
}

/** What the LSTM does here, and what it was worth. */
function lstmWords({ gain, corrected, features, provenance }: Model): string {
  const modelled = count(features.filter(({ duty }) => nameOf(duty) === 'modelled').length, 'metric');
  const least = provenance.config?.lstm_min_rows;
  const ratio = gain.shared ? gain.cohort : gain.own;
  if (corrected) {
    return `Linear + LSTM for ${corrected} of ${modelled}${ratio == null ? '' : `: held-out squared error ${change(ratio)} over all metrics`}${whose(gain)}.`;
  }
  const why = gain.own != null || gain.cohort != null ? 'an LSTM was tried, and helped none'
    : least ? `an LSTM is tried from ${least} frames on` : 'no LSTM was tried';
  return `Linear for all of ${modelled}: ${why}.`;
}

/** How far the instance is from where one of its models saw it. */
function DriftWords(props: { name: string; of: DriftOf | null }) {
  return <Show when={props.of} fallback={<span class="dim">{props.name}: not known yet</span>}>{(of) =>
    <span data-level={of().shift >= FAR ? 'warm' : 'none'}>{props.name} (version {of().model_version}): <b>{number(of().shift, 2)} σ</b>
      <span class="dim id"> {of().metric}</span></span>}</Show>;
}

function Facts(props: { model: Model; drift: Drift | undefined }) {
  const long = () => (props.model.provenance.to_us - props.model.provenance.from_us) / 1e6;
  const cycle = () => props.model.cycle;
  return (
    <dl class="facts">
      <dt>Trained</dt><dd>{clock(props.model.trained_at)}, on {count(props.model.rows, 'frame')} of {span(long())} (one
        in {number(props.model.step_s, 2)} s); {props.model.phase}; {props.model.reason}</dd>
      <dt>Expectation</dt><dd>{lstmWords(props.model)}</dd>
      <dt>Tried on held-out data</dt><dd><Show when={props.model.trials.length} fallback="nothing yet"><ul><For each={props.model.trials}>{(trial) => (
        <li>{sentence(trial.what)}: error {number(trial.before)} → {number(trial.after)} <b>({change(trial.after / trial.before)})</b>,
          kept for {trial.kept} of {count(trial.of, 'metric')}{trial.epochs > 0 ? `, ${count(trial.epochs, 'epoch')}` : ''}</li>
      )}</For></ul></Show></dd>
      <dt>Repeats</dt><dd>{cycle() ? `every ${span(cycle()!.period_s)}, in ${count(cycle()!.metrics.length, 'metric')}` : 'nothing found that does'}</dd>
      <dt title="The largest slow mean of a metric, in standard deviations of its training window">Drift</dt>
      <Show when={props.drift} fallback={<dd class="dim">Not known: nothing is sent now.</dd>}>{(drift) => <dd>
        <DriftWords name="from the champion" of={drift().champion} /> · <DriftWords name="from the reference" of={drift().reference} />
        <Show when={drift().surprise}>{(surprise) => <span data-level={surprise() >= FAR ? 'warm' : 'none'}> · surprise {number(surprise(), 2)} × the usual</span>}</Show>
      </dd>}</Show>
    </dl>
  );
}

/** What is expected of each metric: how its samples become numbers, and which parts predict them. */
function Recipe(props: { model: Model }) {
  const cyclic = () => new Set(props.model.cycle?.metrics);
  const sorted = () => [...props.model.features].sort((a, b) => rankOf(a) - rankOf(b));
  const rankOf = ({ duty, corrected }: Model['features'][number]) => (corrected ? 0 : nameOf(duty) === 'modelled' ? 1 : 2);
  return (
    <Table caption="Metrics and their expectations" heads={['Metric', 'Becomes', 'Expectation']}>
      <For each={sorted()}>{({ metric, transform, duty, corrected }) => (
        <tr><th class="id" scope="row">{metric}</th><td>{words(nameOf(transform))}</td>
          <td classList={{ dim: nameOf(duty) !== 'modelled' }}>{nameOf(duty) === 'modelled'
            ? ['linear', corrected && '+ LSTM', cyclic().has(metric) && '+ cycle'].filter(Boolean).join(' ') : `none: ${words(nameOf(duty))}`}</td></tr>
      )}</For>
    </Table>
  );
}

/** Asks why before a change that decides who judges. */
function Reason(props: { question: string; onDone: (reason: string | null) => void }) {
  let dialog!: HTMLDialogElement, field!: HTMLInputElement;
  queueMicrotask(() => dialog.showModal());
  return (
    <dialog ref={dialog} onClose={() => props.onDone(dialog.returnValue === 'yes' ? field.value.trim() : null)} aria-label={props.question}>
      <form method="dialog">
        <h2>{props.question}</h2>
        <label>Why? <input type="text" ref={field} autofocus placeholder="is kept beside the change" /></label>
        <div class="buttons"><button class="primary" value="yes">Do it</button><button value="no">Leave it</button></div>
      </form>
    </dialog>
  );
}

function Versions(props: { line: Line; act: (question: string, path: string) => void; id: string }) {
  const roles = (entry: ModelEntry) => {
    const { champion, reference, judging, challengers } = props.line;
    return [champion === entry.version && 'champion', reference === entry.version && 'reference',
      judging === entry.version && champion !== entry.version && 'judging',
      challengers.includes(entry.version) && 'challenger', entry.pinned && 'pinned'].filter(Boolean) as string[];
  };
  return (
    <Table caption="Versions" heads={['#Version', 'Trained', '#Frames', '#LSTM for', 'Role', 'Why', '']}>
      <For each={[...props.line.versions].reverse()}>{(entry) => (
        <tr><th scope="row" class="num">{entry.version}</th><td>{clock(entry.trained_at)}</td><td class="num">{entry.rows}</td>
          <td class="num">{entry.corrected || '–'}</td><td><For each={roles(entry)}>{(role) => <span class="tag">{role}</span>}</For></td>
          <td class="why">{entry.reason}</td>
          <td><Show when={props.line.champion !== entry.version}><button aria-label={`Promote version ${entry.version}`}
            onClick={() => props.act(`Let version ${entry.version} judge from the next frame on?`, `${entry.version}/promote`)}>Promote</button></Show>
            {' '}<button aria-label={`Export version ${entry.version}`} onClick={() => void download(
              `models/${encodeURIComponent(props.id)}/${entry.version}/export?schema=${props.line.schema}`, `model-${entry.version}.safetensors`)}>Export</button></td></tr>
      )}</For>
    </Table>
  );
}

function Compare(props: { id: string; line: Line }) {
  const [answer, setAnswer] = createSignal<Comparison | null>(null);
  const [said, setSaid] = createSignal('');
  async function ask() {
    setSaid('Running both over the last hour …');
    const { champion, versions } = props.line;
    const numbers = [...new Set([champion, ...versions.slice(-4).map(({ version }) => version)].filter((n) => n != null))];
    try {
      setAnswer(await get<Comparison>(`models/${encodeURIComponent(props.id)}/compare?versions=${numbers.join(',')}&span=1h&schema=${props.line.schema}`));
      setSaid('');
    } catch (error) {
      setSaid(`Not compared: ${(error as Error).message}`);
    }
  }
  return (
    <details onToggle={(event) => event.currentTarget.open && !answer() && void ask()}>
      <summary>Compare the newest versions on the last hour</summary>
      <p class="small" role="status">{said()}</p>
      <Show when={answer()}>{(data) => (
        <Table caption="Versions on the same frames" heads={['#Version', '#Frames judged', '#Mean score', '#Largest', '#Anomalous', '#Error']}>
          <For each={data().versions}>{(of) => (
            <tr><th scope="row" class="num">{of.version}</th><td class="num">{of.judged}</td><td class="num">{of.score_mean == null ? '–' : number(of.score_mean)}</td>
              <td class="num">{of.score_max == null ? '–' : number(of.score_max)}</td><td class="num">{percent(of.anomalous)}</td>
              <td class="num">{of.log_error_ratio == null ? '–' : change(Math.exp(of.log_error_ratio))}</td></tr>
          )}</For>
        </Table>
      )}</Show>
    </details>
  );
}

export function Models(props: { subject: Subject }) {
  const path = `models/${encodeURIComponent(props.subject.id)}`;
  const [asked, now] = live(() => get<{ lines: Line[] }>(path), 10_000);
  const [drifted] = live(() => get<{ drift: Drift[] }>(`${at(props.subject.id)}/drift`), 15_000);
  const [model, setModel] = createSignal<Model | null>(null);
  const [question, setQuestion] = createSignal<{ text: string; path: string } | null>(null);
  const [said, setSaid] = createSignal('');
  const line = () => asked.data?.lines[0];
  const main = () => {
    const of = line();
    const kept = (version: number | null | undefined) => of?.versions.some((entry) => entry.version === version);
    return kept(of?.judging) ? of!.judging : of?.champion ?? null;
  };
  createEffect(on(() => [main(), line()?.schema] as const, async ([version, schema]) => {
    if (version != null) setModel(await get<Model>(`${path}/${version}?schema=${schema}`).catch(() => null));
  }));
  async function done(reason: string | null) {
    const wish = question()!;
    setQuestion(null);
    if (reason == null) return;
    try {
      const { to } = await post<{ to: number }>(`${path}/${wish.path}?schema=${line()!.schema}`, reason ? { reason } : {});
      setSaid(`Version ${to} judges from the next frame on.`);
    } catch (error) {
      setSaid(`Nothing has changed: ${(error as Error).message}`);
    }
    now();
  }
  const act = (text: string, to: string) => setQuestion({ text, path: to });
  const judge = (of: Line) => {
    const { judging, champion, judged_for_all: leader } = of;
    if (leader) return `Version ${judging} of ${leader} judges, made for its whole workload.`;
    if (judging == null) return champion == null ? 'No version judges: none is the champion.' : `Nothing is judged now; version ${champion} will.`;
    return judging === champion ? `Version ${judging} judges.` : `Version ${judging} judges; the champion is ${champion ?? 'none'}.`;
  };
  const learning = () => props.subject.view.learning;
  return <>
    <Panel title="Model">
      <p class="line"><span><Meter share={learning().progress} level="calm" label={percent(learning().progress)} /> {sentence(learning().message)}.</span></p>
      <Show when={line()} fallback={<p class="dim">{asked.data || asked.error ? 'None yet: the first is made after half a minute of telemetry.' : 'Asking …'}</p>}>{(of) => <>
        <p><b>{judge(of())}</b> <Show when={of().rollback_to}>{(back) => <button
          onClick={() => act(`Roll back from version ${of().champion} to version ${back()}?`, 'rollback')}>Roll back to version {back()}</button>}</Show>
        <Show when={asked.data!.lines.length > 1}><span class="dim"> Other lists of metrics that it sends or sent, with models too: {asked.data!.lines.length - 1}.</span></Show></p>
        <p class="small" role="status">{said()}</p>
        <Show when={model()}>{(shown) => <Facts model={shown()} drift={drifted.data?.drift.find(({ schema }) => schema === of().schema)} />}</Show>
      </>}</Show>
    </Panel>
    <Show when={line()}>{(of) => <>
      <Panel title="Versions" class="gap"><Versions line={of()} act={act} id={props.subject.id} /><Compare id={props.subject.id} line={of()} /></Panel>
      <Show when={model()}>{(shown) => <Panel title="What is expected of each metric" class="gap"><Recipe model={shown()} /></Panel>}</Show>
      <Panel title="Changes" class="gap"><ul class="log"><For each={[...of().changes].reverse().slice(0, 30)}>{(one) => (
        <li><time>{clock(one.at_us)}</time> version {one.version} {words(one.what)} <span class="dim">{one.reason}</span></li>)}</For></ul></Panel>
    </>}</Show>
    <Show when={question()}>{(asking) => <Reason question={asking().text} onDone={(reason) => void done(reason)} />}</Show>
  </>;
}
