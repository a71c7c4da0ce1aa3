// The keyboard: what keys do in the view that is shown, told by `?`.

import { createSignal, onCleanup } from 'solid-js';

export type Keys = Record<string, [does: string, act: () => void]>;
const [layers, setLayers] = createSignal<Keys[]>([]);
export { layers };

/** Keys for as long as the owner is shown; later ones win. `Escape` works while typing, too. */
export function useKeys(keys: Keys) {
  setLayers((all) => [...all, keys]);
  onCleanup(() => setLayers((all) => all.filter((one) => one !== keys)));
}

/** The name that a reader finds on the key. */
export const keyName = (key: string) => ({ Escape: 'Esc', ' ': 'Space' })[key] ?? key;

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target as HTMLElement;
  const typing = target.matches('input:not([type=radio], [type=checkbox], [type=range]), textarea, select');
  if (typing && event.key !== 'Escape') return;
  const act = layers().findLast((keys) => event.key in keys)?.[event.key];
  if (!act) return;
  event.preventDefault();
  act[1]();
});
