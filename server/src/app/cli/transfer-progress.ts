import type { Clock } from '../../kernel/index.ts';
import type { TransferProgress } from '../../store/index.ts';
import type { CommandContext } from './command.ts';
import { createProgressBar } from './progress-bar.ts';
import { printJson } from './terminal.ts';

const REPORT_EVERY_MS = 1_000;

/** Shows how far long work is: a bar for people, a line of JSON a second for programs. */
export function createTransferProgress(
  context: CommandContext,
  clock: Pick<Clock, 'now'>,
): { readonly show: (progress: TransferProgress) => void; readonly clear: () => void } {
  const bar = createProgressBar(context.terminal, { now: clock.now, quiet: context.json });
  let reportedAt = clock.now();
  let step = '';
  let startedAt = reportedAt;
  return {
    show(progress) {
      const now = clock.now();
      if (progress.step !== step) [step, startedAt] = [progress.step, now];
      bar.update(progress.done, progress.total ?? progress.done, progress.step);
      if (!context.json || now - reportedAt < REPORT_EVERY_MS) return;
      reportedAt = now;
      const seconds = (now - startedAt) / 1000;
      const rate = seconds > 0 ? Math.round(progress.done / seconds) : null;
      printJson(context.terminal, { object: 'progress', ...progress, per_second: rate });
    },
    clear: bar.clear,
  };
}
