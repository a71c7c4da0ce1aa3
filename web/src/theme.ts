// Dark or light: as the system says, or as the reader chose. Canvases ask here for their colours.

import { createSignal } from 'solid-js';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'foretwin.theme';
const kept = localStorage.getItem(KEY);
const [theme, set] = createSignal<Theme>(kept === 'light' || kept === 'dark' ? kept : 'auto');
const [paletteVersion, bump] = createSignal(0);
export { theme, paletteVersion };

const NAMES = ['line', 'text', 'dim', 'accent', 'band', 'warm', 'hot', 'hot-soft', 'calm', 'panel', 'raised'] as const;
export type Palette = Record<(typeof NAMES)[number], string>;
let palette: Palette | null = null;

/** Colours as canvases need them: custom properties hold `light-dark()`, which only a real property resolves. */
export function colours(): Palette {
  if (!palette) {
    const probe = document.createElement('i');
    document.body.append(probe);
    palette = Object.fromEntries(NAMES.map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    })) as Palette;
    probe.remove();
  }
  return palette;
}

function apply() {
  document.documentElement.dataset.theme = theme();
  palette = null;
  bump((n) => n + 1);
}

export function setTheme(to: Theme) {
  set(to);
  if (to === 'auto') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, to);
  apply();
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', apply);
apply();
