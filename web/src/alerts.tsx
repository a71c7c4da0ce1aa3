// Alerts: what somebody is to be told, with cause, time and evidence, and the way to say whether it was worth it.

import { createSignal, For, Show } from 'solid-js';
import { ApiError, get, listen, live, post } from './api';
import { Choice, Empty, InstanceLink, Panel } from './parts';
import { route, setParams, toInstance, toView } from './route';
import type { Alert } from './types';
import { between, clock, count, percent, riskLevel, sentence, span, words, type Level } from './words';

const SEVERITY: Record<string, Level> = { critical: 'hot', serious: 'hot', warning: 'warm', notice: 'none' };
const STATES: [string, string][] = [['', 'All'], ['firing', 'Firing'], ['held', 'Held'], ['silenced', 'Silenced'], ['resolved', 'Resolved']];
const ORDER = ['firing', 'held', 'silenced', 'resolved'];
const RATINGS: [string, string, string][] = [
  ['useful', 'Useful', 'Right, and worth being told'], ['expected', 'Expected', 'Right, but nobody needs to hear of it: silences it'], ['false', 'False', 'Wrong: silences it'],
];

/** A node without a policy has no alerts; it is asked once only. */
let missing: ApiError | null = null;
export async function getAlerts(query: string): Promise<{ alerts: Alert[] }> {
  if (missing) throw missing;
  try {
    return await get<{ alerts: Alert[] }>(`alerts${query}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) missing = error;
    throw error;
  }
}

function when({ time_to_failure: { p10, p50, p90 }, last_us }: Alert): string {
  if (p50 == null) return p10 == null ? '' : `one in ten futures fails by ${span(p10)}`;
  return `in about ${span(p50)} (${between(p10 ?? p50, p90)}), counted from ${clock(last_us)}`;
}

function outcomeWords(alert: Alert): string {
  const { outcome } = alert;
  if (!outcome) return alert.state === 'resolved' ? 'Its outcome is still open.' : '';
  if (outcome.what === 'failed') return `It came: ${words(outcome.mode ?? 'failure')}, ${span(outcome.lead_s ?? 0)} after the alert.`;
  return outcome.what === 'nothing' ? 'Nothing failed within its time.' : 'It went out of sight before its outcome could be known.';
}

function FeedbackButtons(props: { alert: Alert; onDone: () => void }) {
  const [said, setSaid] = createSignal('');
  const [note, setNote] = createSignal('');
  const last = () => props.alert.feedback?.at(-1);
  async function rate(rating: string) {
    try {
      await post(`alerts/${encodeURIComponent(props.alert.id)}/feedback`, { rating, ...(note().trim() ? { note: note().trim() } : {}) });
      setSaid('Thank you: it moves the bar of alerts like this one.');
      props.onDone();
    } catch (error) {
      setSaid(`Not taken: ${(error as Error).message}`);
    }
  }
  return (
    <div class="feedback" role="group" aria-label="Was this alert worth it?">
      <span class="dim small">Was it worth it?</span>
      <For each={RATINGS}>{([rating, name, title]) =>
        <button title={title} aria-pressed={last()?.rating === rating} onClick={() => void rate(rating)}>{name}</button>}</For>
      <input type="text" placeholder="Note, if any" aria-label="Note" value={note()} onInput={(event) => setNote(event.target.value)} />
      <span class="small" role="status">{said() || (last() ? `Said ${clock(last()!.at_us)}: ${last()!.rating}${last()!.note ? `, ${last()!.note}` : ''}.` : '')}</span>
    </div>
  );
}

function AlertItem(props: { alert: Alert; open: boolean; onDone: () => void }) {
  const alert = () => props.alert;
  return (
    <article class="alert" data-level={alert().state === 'firing' ? SEVERITY[alert().severity] ?? 'warm' : 'none'} data-alert={alert().id}>
      <h3><a href={toView('alerts', alert().id)}>{alert().title}</a>
        <span class="tag" data-level={alert().state === 'firing' ? 'hot' : 'none'}>{alert().state}</span>
        <span class="tag" data-level={SEVERITY[alert().severity]}>{alert().severity}</span>
        <Show when={alert().team}>{(team) => <span class="tag">{team()}</span>}</Show></h3>
      <p><b data-level={riskLevel(alert().probability)}>{alert().resolved_us ? 'up to ' : ''}{percent(alert().probability)}</b>{alert().horizon_s ? ` within ${span(alert().horizon_s)}` : alert().resolved_us ? '' : ' now'}
        {when(alert()) ? ` · ${when(alert())}` : ''} · <span class="dim">confidence {percent(alert().confidence)}, opened {clock(alert().opened_us)}{alert().resolved_us
          ? `, resolved ${clock(alert().resolved_us!)}` : ''}</span></p>
      <p class="small"><Show when={alert().reason}><span class="dim">{sentence(alert().reason)}. </span></Show>{outcomeWords(alert())}</p>
      <p><For each={alert().members.slice(0, props.open ? 200 : 4)}>{(member) => <span class="member"><InstanceLink id={member.instance} tab="causes" />{' '}
        <small>{words(member.mode ?? member.kind)} {member.ended_us ? `up to ${percent(member.peak)}, over` : percent(member.probability)}</small></span>}</For>
        <Show when={!props.open && alert().count > 4}><a href={toView('alerts', alert().id)}>and {alert().count - 4} more</a></Show></p>
      <Show when={alert().cause}>{(cause) => <p>Cause: <b>{sentence(cause().class)}</b> in <InstanceLink id={cause().place} /> ({percent(cause().probability)})
        <Show when={cause().evidence[0]}>{(first) => <span class="dim">: {first().statement}</span>}</Show></p>}</Show>
      <Show when={props.open && alert().cause}>{(cause) => <ul><For each={cause().evidence.slice(1)}>{({ statement }) => <li>{statement}</li>}</For></ul>}</Show>
      <Show when={alert().action}>{(action) => <p>Do first: <b>{sentence(action().action)}</b>. {action().description}</p>}</Show>
      <FeedbackButtons alert={alert()} onDone={props.onDone} />
      <Show when={alert().state === 'firing' && alert().members[0]}>{(first) => <p class="small dim">Work is planned there?
        {' '}<a href={toInstance(first().instance, { tab: 'records' })}>Say for how long</a>, and it is silent until then.</p>}</Show>
    </article>
  );
}

export function Alerts(props: { id: string }) {
  const state = () => route().params.get('state') ?? '';
  const [list, now] = live(() => getAlerts(''), 8000);
  const [one, oneNow] = live(() => (props.id ? get<Alert>(`alerts/${encodeURIComponent(props.id)}`) : Promise.resolve(null)), 8000);
  listen('', { alert: () => { now(); oneNow(); } });
  const shown = () => (list.data?.alerts ?? []).filter((alert) => !state() || alert.state === state())
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.opened_us - a.opened_us);
  return <>
    <h1>Alerts</h1>
    <Show when={!list.error} fallback={<Empty title="This node has no alerts">
      <p>Its API does not list any, so it runs a version without a policy that decides what is worth an alert. What is in danger stands on
        top of the <a href="#/">fleet</a> all the same.</p></Empty>}>
      <Show when={!props.id} fallback={<>
        <p><a href={toView('alerts')}>All alerts</a></p>
        <Show when={one.data} fallback={<p class="dim">{one.error ? one.error.message : 'Asking …'}</p>}>{(alert) =>
          <Panel title="Alert"><AlertItem alert={alert()} open onDone={oneNow} /></Panel>}</Show></>}>
        <div class="bar"><Choice legend="State" options={STATES} value={state()} onChange={(to) => setParams({ state: to || undefined })} />
          <span class="dim">{list.data ? count(shown().length, 'alert') : ''}</span></div>
        <Show when={list.data} fallback={<p class="dim">Asking …</p>}>
          <Show when={shown().length} fallback={<Empty title={state() ? `No alert is ${state()}` : 'No alert'}>
            <p>An alert opens when a failure is likely twice in a row, and within the day's budget; until then there is nothing that anybody needs to be told.</p></Empty>}>
            <Panel title="Newest first, firing on top"><For each={shown()}>{(alert) => <AlertItem alert={alert} open={false} onDone={now} />}</For></Panel>
          </Show>
        </Show>
      </Show>
    </Show>
  </>;
}
