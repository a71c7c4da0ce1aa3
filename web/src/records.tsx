// What operators tell of an instance: failures that happened, and planned work; both are left out of what is normal.

import { createSignal, For, Show, type JSX } from 'solid-js';
import { del, get, live, nowUs, post } from './api';
import { Panel, Table } from './parts';
import type { Subject } from './instance';
import type { Failed, Work } from './types';
import { clock, sentence } from './words';

const MODES = ['crash', 'outage', 'memory_exhaustion', 'swap_exhaustion', 'disk_full', 'inode_exhaustion', 'descriptor_exhaustion',
  'pid_exhaustion', 'cpu_saturation', 'latency_breach', 'custom'];
const LONG: [string, string][] = [['15m', '15 min'], ['1h', '1 h'], ['2h', '2 h'], ['6h', '6 h'], ['24h', '1 d'], ['7d', '7 d']];
/** So many of each are shown, newest first. */
const SHOWN = 50;

/** A form that says what became of it; its fields are emptied once it was taken. */
function Sending(props: { label: string; send: (fields: FormData) => Promise<string>; children: JSX.Element }) {
  const [said, setSaid] = createSignal('');
  const [busy, setBusy] = createSignal(false);
  async function submit(event: SubmitEvent & { currentTarget: HTMLFormElement }) {
    event.preventDefault();
    const form = event.currentTarget;
    setBusy(true);
    try {
      setSaid(await props.send(new FormData(form)));
      form.reset();
    } catch (error) {
      setSaid(`Not taken: ${(error as Error).message}`);
    }
    setBusy(false);
  }
  return (
    <form class="record" onSubmit={(event) => void submit(event)}>
      {props.children}
      <label>Note<input type="text" name="note" maxlength="500" placeholder="if any" /></label>
      <button class="primary" disabled={busy()}>{props.label}</button>
      <span class="small" role="status">{said()}</span>
    </form>
  );
}

/** Seconds since the epoch of a field with a local time; nothing if it is empty. */
function seconds(fields: FormData, name: string) {
  const text = String(fields.get(name) ?? '');
  return text ? { [name]: String(new Date(text).getTime() / 1000) } : {};
}

function Failures(props: { id: string }) {
  const [list, now] = live(() => get<{ failures: Failed[] }>(`failures?limit=${SHOWN}&instance=${encodeURIComponent(props.id)}`), 15_000);
  async function send(fields: FormData) {
    const failed = await post<Failed>('failures', { instance: props.id, mode: fields.get('mode'), note: fields.get('note'), ...seconds(fields, 'at') });
    now();
    return `Recorded: ${sentence(failed.mode)} at ${clock(failed.at_us)}.`;
  }
  return (
    <Panel title="Failures">
      <p>What failed and was not noticed by itself. It teaches what precedes a failure, and is held against what was predicted; ten minutes
        around it are not taken for normal.</p>
      <Sending label="Record the failure" send={send}>
        <label>What<select name="mode"><For each={MODES}>{(mode) => <option value={mode}>{sentence(mode)}</option>}</For></select></label>
        <label>When (empty: now)<input type="datetime-local" name="at" step="1" /></label>
      </Sending>
      <Show when={list.data?.failures.length} fallback={<p class="dim">{list.data ? 'None was recorded or detected so far.' : 'Asking …'}</p>}>
        <Table caption="Failures, newest first" heads={['When', 'What', 'Note']}>
          <For each={list.data!.failures}>{(one) => <tr><td>{clock(one.at_us)}</td><td>{sentence(one.mode)}</td><td>{one.note}</td></tr>}</For>
        </Table></Show>
    </Panel>
  );
}

function Planned(props: { id: string }) {
  const [list, now] = live(() => get<{ maintenance: Work[] }>(`maintenance?limit=${SHOWN}&instance=${encodeURIComponent(props.id)}`), 15_000);
  const [said, setSaid] = createSignal('');
  async function send(fields: FormData) {
    const work = await post<Work>('maintenance',
      { instance: props.id, duration: fields.get('duration'), note: fields.get('note'), ...seconds(fields, 'from') });
    now();
    return `Planned from ${clock(work.from_us, false)} to ${clock(work.to_us, false)}.`;
  }
  async function end(work: Work) {
    try {
      await del(`maintenance/${encodeURIComponent(work.id)}`);
      setSaid('');
    } catch (error) {
      setSaid(`Not ended: ${(error as Error).message}`);
    }
    now();
  }
  return (
    <Panel title="Planned work">
      <p>While it lasts nobody is told of what happens here and on what runs inside, and none of it is learned.</p>
      <Sending label="Plan the work" send={send}>
        <label>From (empty: now)<input type="datetime-local" name="from" /></label>
        <label>For<select name="duration"><For each={LONG}>{([key, name]) => <option value={key} ref={(one) => { one.defaultSelected = key === '1h'; }}>{name}</option>}</For></select></label>
      </Sending>
      <p class="small warn" role="status">{said()}</p>
      <Show when={list.data?.maintenance.length} fallback={<p class="dim">{list.data ? 'None is planned.' : 'Asking …'}</p>}>
        <Table caption="Planned work, latest first" heads={['From', 'To', 'Note', '']}>
          <For each={list.data!.maintenance}>{(work) => <tr><td>{clock(work.from_us, false)}</td><td>{clock(work.to_us, false)}</td><td>{work.note}</td>
            <td><Show when={work.to_us > nowUs()} fallback={<span class="dim">over</span>}>
              <button onClick={() => void end(work)}>{work.active ? 'End it now' : 'Call it off'}</button></Show></td></tr>}</For>
        </Table></Show>
    </Panel>
  );
}

export const Records = (props: { subject: Subject }) =>
  <div class="panels"><Failures id={props.subject.id} /><Planned id={props.subject.id} /></div>;
