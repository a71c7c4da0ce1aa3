// Which metrics departed most from what was expected in a stretch of time that the reader brushed.

import { createEffect, createSignal, For, on, Show } from 'solid-js';
import { at, get } from './api';
import { Meter, MetricName, Panel, Table } from './parts';
import type { Subject } from './instance';
import type { Series, Window } from './types';
import { clock, number, quantity, ruler } from './words';

/** Metrics of one request: addresses must stay short. */
const AT_ONCE = 30;
const POINTS = 120;
const SHOWN = 12;
/** From this many scales on a departure is called one. */
const FAR = 3;

interface Ranked { key: string; typical: number; most: number; mostAt: number; up: boolean; observed: number; expected: number }

/** How far a series was from its expectation, in the scales that the model gave. */
function rank({ metric, at_us, observed, expected, scale }: Series): Ranked | null {
  let squares = 0, n = 0, most = 0, mostI = -1, signed = 0;
  observed.forEach((value, i) => {
    const [mean, by] = [expected[i], scale[i]];
    if (value == null || mean == null || !by) return;
    const z = (value - mean) / by;
    n += 1;
    squares += Math.min(z * z, 1e4);
    signed += z;
    if (Math.abs(z) > most) [most, mostI] = [Math.abs(z), i];
  });
  if (mostI < 0) return null;
  return { key: metric, typical: Math.sqrt(squares / n), most, mostAt: at_us[mostI], up: signed > 0,
    observed: observed[mostI]!, expected: expected[mostI]! };
}

export function Ranking(props: { subject: Subject; from: string; to: string; onPick: (key: string) => void }) {
  const [ranked, setRanked] = createSignal<Ranked[] | null>(null);
  const [said, setSaid] = createSignal('');
  createEffect(on(() => [props.from, props.to, props.subject.metrics.length] as const, async ([from, to]) => {
    const keys = props.subject.metrics.filter(({ role }) => role !== 'limit').map(({ key }) => key);
    if (!keys.length) return;
    setSaid(`Comparing ${keys.length} metrics …`);
    const found: Ranked[] = [];
    try {
      for (let i = 0; i < keys.length; i += AT_ONCE) {
        const query = new URLSearchParams([...keys.slice(i, i + AT_ONCE).map((key) => ['metric', key]),
          ['from', from], ['to', to], ['points', String(POINTS)]]);
        const { series } = await get<Window>(`${at(props.subject.id)}/window?${query}`);
        if (from !== props.from || to !== props.to) return;
        found.push(...series.flatMap((one) => rank(one) ?? []));
      }
    } catch (error) {
      return void setSaid(`Not ranked: ${(error as Error).message}`);
    }
    setRanked(found.sort((a, b) => b.typical - a.typical));
    setSaid(found.length ? '' : 'No expectations are kept of this stretch, so nothing can be compared with them.');
  }));
  const scaleOf = (row: Ranked) => ruler(row.key, props.subject.unitOf(row.key), Math.max(Math.abs(row.observed), Math.abs(row.expected)));
  return (
    <Panel title="Ranked metrics of this window" class="gap"
      side={<span class="dim small">{clock(Number(props.from) * 1e6)} – {clock(Number(props.to) * 1e6)}</span>}>
      <p class="small" role="status">{said()}</p>
      <Show when={ranked()?.length}>
        <Table caption="Metrics by departure from their expectation" heads={['Metric', '#Departure', '', '#Most', 'At', '#Seen there', '#Expected']}>
          <For each={ranked()!.slice(0, SHOWN)}>{(row) => (
            <tr><th scope="row"><button class="plain" onClick={() => props.onPick(row.key)} title="Show its chart"><MetricName key={row.key} /></button></th>
              <td class="num" data-level={row.typical >= FAR ? 'hot' : 'none'}>{number(row.typical, 2)} × {row.up ? '▲' : '▼'}</td>
              <td><Meter share={row.typical / (ranked()![0].typical || 1)} level={row.typical >= FAR ? 'hot' : 'calm'} /></td>
              <td class="num">{number(row.most, 2)} ×</td><td>{clock(row.mostAt)}</td>
              <td class="num">{quantity(scaleOf(row), row.observed)}</td><td class="num dim">{quantity(scaleOf(row), row.expected)}</td></tr>
          )}</For>
        </Table>
        <p class="small dim">Departure: root mean square distance from the expectation in its own scales, all {ranked()!.length} metrics compared; from {FAR} on it is unusual.</p>
      </Show>
    </Panel>
  );
}
