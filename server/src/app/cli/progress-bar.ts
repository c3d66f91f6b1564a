import type { Terminal } from './terminal.ts';

export interface ProgressBar {
  update(done: number, total: number, note?: string): void;
  /** Removes the bar so that other lines can follow. */
  clear(): void;
}

const REDRAW_EVERY_MS = 100;

/** A bar with n/N, rate and time left on a terminal; nothing when stderr is no terminal or output is for machines. */
export function createProgressBar(
  terminal: Terminal,
  options: { readonly now: () => number; readonly quiet: boolean },
): ProgressBar {
  if (options.quiet || terminal.stderr.isTTY !== true) return { update() {}, clear() {} };
  const startedAt = options.now();
  let drawnAt = 0;
  return {
    update(done, total, note = '') {
      const now = options.now();
      if (now - drawnAt < REDRAW_EVERY_MS && done < total) return;
      drawnAt = now;
      const line = renderProgress({ done, total, seconds: (now - startedAt) / 1000, note });
      terminal.stderr.write(`\r\u001b[2K${line.slice(0, (terminal.stderr.columns ?? 80) - 1)}`);
    },
    clear() {
      terminal.stderr.write('\r\u001b[2K');
    },
  };
}

/** `[#####-----] 12/24 · 6.0/s · 2 s left · note` */
export function renderProgress(state: {
  readonly done: number;
  readonly total: number;
  readonly seconds: number;
  readonly note: string;
}): string {
  const share = state.total === 0 ? 0 : state.done / state.total;
  const filled = Math.round(share * 24);
  const rate = state.seconds > 0 ? state.done / state.seconds : 0;
  const left = rate > 0 ? `${Math.ceil((state.total - state.done) / rate)} s left` : '';
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(24 - filled)}]`;
  return [`${bar} ${state.done}/${state.total}`, `${rate.toFixed(1)}/s`, left, state.note]
    .filter((part) => part !== '')
    .join(' · ');
}
