// Small things that many views are made of.

import { For, Show, type JSX } from 'solid-js';
import { toInstance } from './route';
import { percent, type Level } from './words';

/** A bar with a filled share, 0 to 1. */
export function Meter(props: { share: number; level?: Level; label?: string }) {
  const width = () => `${Math.min(1, Math.max(0, props.share || 0)) * 100}%`;
  return (
    <span class="meter" data-level={props.level ?? 'none'} role={props.label ? 'img' : undefined}
      aria-label={props.label} aria-hidden={props.label ? undefined : 'true'}>
      <i style={{ width: width() }} />
    </span>
  );
}

/** A group of radio buttons that look like one control. */
export function Choice<T extends string>(props: {
  legend: string; options: [T, string][]; value: T; onChange: (value: T) => void; quiet?: boolean;
}) {
  return (
    <fieldset class="choice">
      <legend class={props.quiet ? 'hidden' : ''}>{props.legend}</legend>
      <For each={props.options}>{([value, label]) => (
        <label>
          <input type="radio" name={`choice-${props.legend}`} value={value} checked={value === props.value}
            onChange={() => props.onChange(value)} />
          <span>{label}</span>
        </label>
      )}</For>
    </fieldset>
  );
}

export function Panel(props: { title: string; class?: string; side?: JSX.Element; children: JSX.Element }) {
  return (
    <section class={`panel ${props.class ?? ''}`} aria-label={props.title}>
      <header class="panel-head"><h2>{props.title}</h2>{props.side}</header>
      {props.children}
    </section>
  );
}

/** What stands where nothing is to be seen, and why. */
export function Empty(props: { title: string; children?: JSX.Element }) {
  return <div class="empty"><h2>{props.title}</h2>{props.children}</div>;
}

export const InstanceLink = (props: { id: string; tab?: string }) =>
  <a class="id" href={toInstance(props.id, props.tab ? { tab: props.tab } : undefined)}>{props.id}</a>;

/** A metric's name with its attributes set apart. */
export function MetricName(props: { key: string }) {
  const parts = () => props.key.split(/(\{.*)/s);
  return <span class="id">{parts()[0]}<Show when={parts()[1]}><span class="path">{parts()[1]}</span></Show></span>;
}

export const Share = (props: { value: number; level?: Level }) => (
  <span class="share"><Meter share={props.value} level={props.level} /> {percent(props.value)}</span>
);

/** A table with a caption for those who do not see it; heads of numbers begin with `#`. */
export function Table(props: { caption: string; heads: string[]; children: JSX.Element }) {
  return (
    <div class="scroll" tabindex="0" role="region" aria-label={props.caption}>
      <table class="plain">
        <caption class="hidden">{props.caption}</caption>
        <thead><tr><For each={props.heads}>{(head) =>
          <th scope="col" classList={{ num: head.startsWith('#') }}>{head.replace('#', '')}</th>}</For></tr></thead>
        <tbody>{props.children}</tbody>
      </table>
    </div>
  );
}
