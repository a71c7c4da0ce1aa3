// Operating information reports: known issues with their solutions first, then everything as a tree.

import { createResource, createSignal, For, Show } from 'solid-js';
import { get, live, post } from './api';
import { Empty, InstanceLink, Panel } from './parts';
import { toView } from './route';
import type { Flag, Report } from './types';
import { clock, count, words, type Level } from './words';

const SEVERITY: Record<string, Level> = { critical: 'hot', serious: 'hot', warning: 'warm', notice: 'none' };
/** Entries of a list that are drawn before the reader asks for more. */
const MORE = 50;

function FlagItem(props: { flag: Flag }) {
  return (
    <article class="flag" data-level={SEVERITY[props.flag.severity] ?? 'none'}>
      <h3>{props.flag.title} <span class="tag" data-level={SEVERITY[props.flag.severity]}>{props.flag.severity}</span>
        <Show when={props.flag.mode}>{(mode) => <span class="tag">{words(mode())}</span>}</Show></h3>
      <dl class="facts"><dt>Why</dt><dd>{props.flag.cause}</dd><dt>What to do</dt><dd>{props.flag.solution}</dd>
        <dt>If nothing is done</dt><dd>{props.flag.risk}</dd></dl>
      <details><summary>{count(props.flag.evidence.length, 'place')} in the report, rule {props.flag.rule}</summary>
        <ul class="evidence"><For each={props.flag.evidence}>{({ path, value }) => <li><code>{path}</code> {value}</li>}</For></ul></details>
    </article>
  );
}

const plain = (value: unknown): value is string | number | boolean | null => value === null || typeof value !== 'object';
const inWords = (value: unknown) => (value === null || value === '' ? '–' : typeof value === 'number' && !Number.isInteger(value)
  ? String(Number(value.toPrecision(6))) : String(value));

/** One thing and what it is made of; opened parts are drawn when they are opened. */
function Branch(props: { name: string; value: unknown; path: string; marked: Set<string>; open?: boolean }) {
  const [open, setOpen] = createSignal(props.open ?? false);
  const [most, setMost] = createSignal(MORE);
  const entries = (): [string, unknown][] => (Array.isArray(props.value)
    ? props.value.map((one, i) => [String(i), one]) : Object.entries(props.value as object));
  const flagged = () => [...props.marked].some((path) => path === props.path || path.startsWith(`${props.path}.`) || path.startsWith(`${props.path}[`));
  return (
    <Show when={!plain(props.value)} fallback={<li><span class="key">{words(props.name)}</span> <span class="id">{inWords(props.value)}</span></li>}>
      <li><details open={open()} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary><span class="key">{words(props.name)}</span> <small>{entries().length}</small><Show when={flagged()}> <span class="tag" data-level="warm">flagged</span></Show></summary>
        <Show when={open()}><ul>
          <For each={entries().slice(0, most())}>{([name, value]) => (
            <Branch name={name} value={value} marked={props.marked} path={Array.isArray(props.value) ? `${props.path}[${name}]` : props.path ? `${props.path}.${name}` : name} />
          )}</For>
          <Show when={entries().length > most()}><li><button class="plain" onClick={() => setMost(most() + 500)}>{entries().length - most()} more</button></li></Show>
        </ul></Show>
      </details></li>
    </Show>
  );
}

function ReportBody(props: { report: Report }) {
  const marked = () => new Set(props.report.flags.flatMap(({ evidence }) => evidence.map(({ path }) => path)));
  return <>
    <Panel title="Known issues" side={<span class="dim small">of <InstanceLink id={props.report.instance} /> at {clock(props.report.at_us)}</span>}>
      <For each={props.report.flags} fallback={<p class="dim">None of the known issues is in this report.</p>}>{(flag) => <FlagItem flag={flag} />}</For>
    </Panel>
    <Panel title="Report" class="gap"><ul class="tree">
      <For each={Object.entries(props.report.document as object)}>{([name, value]) => <Branch name={name} value={value} path={name} marked={marked()} />}</For>
    </ul></Panel>
  </>;
}

/** Asks for a report of the machine that this node runs on. */
function useMaker(onMade: (report: Report) => void) {
  const [said, setSaid] = createSignal('');
  const make = async () => {
    setSaid('Asking the machine about itself …');
    try {
      onMade(await post<Report>('reports', {}, true));
      setSaid('');
    } catch (error) {
      setSaid(`No report: ${(error as Error).message}`);
    }
  };
  const Button = () => <p class="bar"><button class="primary" onClick={() => void make()} disabled={said().endsWith('…')}>Make a report of this node's machine</button>
    <span class="small" role="status">{said()}</span></p>;
  return Button;
}

/** So many of the newest reports are looked into for the list. */
const LOOKED_INTO = 10;

/** A report in a list: when it was made, which its name begins with, and of the newest ones also of whom and what was found. */
function ReportLine(props: { id: string; newest: boolean }) {
  const [found] = createResource(() => props.newest && props.id, (id) => get<Report>(`reports/${encodeURIComponent(id)}`).catch(() => null));
  const worst = () => found()?.flags[0]?.severity;
  return <li><a href={toView('reports', props.id)}><time>{clock(parseInt(props.id.slice(0, 16), 16))}</time>{' '}
    <Show when={found()} fallback={<span class="id">{props.id}</span>}>{(report) => <b class="id">{report().instance}</b>}</Show></a>
    <Show when={found()}>{(report) => <> {count(report().flags.length, 'known issue')}
      <Show when={worst()}>{(severity) => <span class="tag" data-level={SEVERITY[severity()]}>{severity()}</span>}</Show></>}</Show></li>;
}

export function Reports(props: { id: string }) {
  const [list, now] = live(() => get<{ reports: string[] }>('reports'), 15_000);
  const Make = useMaker((report) => { now(); location.hash = toView('reports', report.id); });
  const [report] = createResource(() => props.id || null, (id) => get<Report>(`reports/${encodeURIComponent(id)}`).catch((error: Error) => error));
  return <>
    <h1>Reports</h1>
    <p class="dim">What a machine says of itself, held against the known issues; passwords and keys are left out before it is kept.</p>
    <Make />
    <Show when={props.id} fallback={
      <Panel title="Made so far"><ul class="log"><For each={list.data?.reports ?? []} fallback={<li class="dim">{list.data ? 'None yet.' : 'Asking …'}</li>}>{(id, i) =>
        <ReportLine id={id} newest={i() < LOOKED_INTO} />}</For></ul></Panel>}>
      <p><a href={toView('reports')}>All reports</a></p>
      <Show when={report()} fallback={<p class="dim">Asking …</p>}>{(found) => found() instanceof Error
        ? <Empty title="No such report"><p>{(found() as Error).message}</p></Empty> : <ReportBody report={found() as Report} />}</Show>
    </Show>
  </>;
}

/** The newest report of one instance or, as reports are made of whole machines, of its host; looked for among the newest few. */
export function InstanceReport(props: { id: string; host: string }) {
  const fits = (report: Report) => report.instance === props.id || report.instance === props.host;
  const [found, { mutate }] = createResource(() => props.id, async () => {
    const { reports } = await get<{ reports: string[] }>('reports');
    for (const name of reports.slice(0, 8)) {
      const report = await get<Report>(`reports/${encodeURIComponent(name)}`).catch(() => null);
      if (report && fits(report)) return report;
    }
    return null;
  });
  const [other, setOther] = createSignal('');
  const Make = useMaker((report) => (fits(report) ? mutate(report) : setOther(report.id)));
  return <>
    <Make />
    <Show when={other()}>{(id) => <p>That report is of the machine that this node runs on, not of this one: <a href={toView('reports', id())}>open it</a>.</p>}</Show>
    <Show when={!found.loading} fallback={<p class="dim">Asking …</p>}>
      <Show when={found()} fallback={<Empty title={`No report of ${props.host}`}><p>Reports are made of whole machines; other machines hand theirs in
        with <code>foretwin report --server</code>.</p></Empty>}>{(report) => <>
        <Show when={report().instance !== props.id}><p class="dim">Reports are made of whole machines; this is of <InstanceLink id={report().instance} />.</p></Show>
        <ReportBody report={report()} /></>}</Show>
    </Show>
  </>;
}
