import { stat } from 'node:fs/promises';
import type { Clock } from '../../kernel/index.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, requiredOption, usageError } from './command.ts';
import { createFileHasher } from './file-hashes.ts';
import { type FolderSync, type SyncResult, syncFolder } from './folder-sync.ts';
import { walkPaths } from './folder-walk.ts';
import { nextChange, type Snapshot, takeSnapshot } from './folder-watch.ts';
import { createProgressBar } from './progress-bar.ts';
import { paint, printable, printJson, printLine, say } from './terminal.ts';
import type { Outcome } from './train-outcomes.ts';
import { isWebAddress, refuseMixture, trainOnWeb, WEB_OPTIONS } from './train-web.ts';

const COMMAND = { name: 'train' };

/** `chatsphere train`: brings a bot to what files and folders hold. */
export function createTrainCommand(clock: Clock): Command {
  return {
    ...COMMAND,
    summary: 'train a bot on files, folders and pages of the web',
    help: `Usage: chatsphere train <path>... --bot BOT [--prune] [--watch] [--dry-run] [--no-wait] [--json]
       chatsphere train <https://...>... --bot BOT [--crawl | --sitemap] [--no-wait] [--json]

Trains the bot on every file below the paths whose kind is known, and waits until that is done.
Each file is a source whose key is its path below the folder: run it again and only changed files do work.

  --prune      also delete sources whose files are gone; asks first (--yes: does not ask)
  --prefix P   put P before every key; --prune then looks at keys that begin with P alone
  --dry-run    say what would be uploaded and deleted, and change nothing
  --watch      keep running, and do the same whenever files change, until interrupted
  --no-wait    end when everything is uploaded
  --json       one JSON object a line: {event: "plan" | "uploaded" | "source" | "deleted" | "done" | "watching", ...};
               "done" counts ready (unchanged files too), unchanged, failed, waiting (still training), deleted
               and skipped files

A web address is a source whose key is the address: run it again and it is fetched again; only pages that changed do work.

  --crawl          also the pages of the site that it links to, nearest first
  --sitemap        the address is a sitemap: the pages that it lists
  --include A,B    only addresses that match a pattern: "/docs" is that page and all below it, "*" any characters
  --exclude A,B    no addresses that match one of these
  --max-pages N    at most so many pages (100)
  --every SECONDS  fetch again by itself after so long, 300 at least

Exit codes: 0 all ready, 6 some failed, 1 all failed, 3 no such bot or path, 130 interrupted.

Example:
  chatsphere bots create handbook && chatsphere train ./docs --bot handbook
  chatsphere train https://docs.example.com --crawl --include /guide --bot handbook`,
    options: {
      bot: { type: 'string', short: 'b' },
      'no-wait': { type: 'boolean' },
      prune: { type: 'boolean' },
      prefix: { type: 'string' },
      'dry-run': { type: 'boolean' },
      watch: { type: 'boolean' },
      ...WEB_OPTIONS,
    },
    async run(context) {
      const bot = requiredOption(COMMAND, context, 'bot');
      if (context.positionals.some(isWebAddress)) {
        refuseMixture(context);
        return trainOnWeb(context, bot, clock);
      }
      await checkPaths(context);
      // What changes while the first training is under way is seen by the first look after it.
      const before = context.values['watch'] === true ? await takeSnapshot(context.positionals) : null;
      const walk = before?.walk ?? (await walkPaths(context.positionals));
      if (walk.files.length === 0) {
        throw new CliError(EXIT.failure, 'There is nothing to train on here.', {
          code: 'empty_content',
          hint: `No file below the path is of a kind that can be trained on${walk.skipped.length === 0 ? '' : ` (${fewOf(walk.skipped)})`}.`,
        });
      }
      const client = await context.connect();
      await client.request('GET', `/v1/bots/${encodeURIComponent(bot)}`, { signal: context.signal });
      const sync: FolderSync = {
        client,
        context,
        bot,
        clock,
        hasher: createFileHasher(),
        bar: createProgressBar(context.terminal, { now: clock.now, quiet: context.json }),
        prune: context.values['prune'] === true,
        prefix: typeof context.values['prefix'] === 'string' ? context.values['prefix'] : '',
        wait: context.values['no-wait'] !== true,
        dryRun: context.values['dry-run'] === true,
        ask: true,
      };
      const exitCode = await trainOnce(sync, walk);
      if (context.values['watch'] !== true || sync.dryRun) return exitCode;
      return watch({ ...sync, ask: false }, before);
    },
  };
}

async function checkPaths({ positionals, values }: CommandContext): Promise<void> {
  if (positionals.length === 0) throw usageError(COMMAND, 'The path to train on is missing');
  if (values['prune'] !== true) return;
  for (const path of positionals) {
    if ((await stat(path).catch(() => null))?.isDirectory() !== false) continue;
    throw usageError(COMMAND, `--prune needs folders: "${path}" is a file, and all other sources would go`);
  }
}

const NAMES_SHOWN = 5;

function fewOf(paths: readonly string[]): string {
  const names = paths.slice(0, NAMES_SHOWN).map((path) => printable(path));
  const others = paths.length - names.length;
  return `${names.join(', ')}${others > 0 ? ` and ${others} more` : ''}`;
}

async function trainOnce(sync: FolderSync, walk: Snapshot['walk']): Promise<ExitCode> {
  const startedAt = sync.clock.now();
  const result = await syncFolder(sync, walk);
  sync.bar.clear();
  if (result === 'planned') return EXIT.ok;
  return report(sync.context, result, (sync.clock.now() - startedAt) / 1000);
}

/** Never resolves: it ends by an interrupt. A server that is away for a while is tried again with the next look. */
async function watch(sync: FolderSync, first: Snapshot | null): Promise<never> {
  const { context, clock } = sync;
  const { positionals: paths, signal, terminal } = context;
  let before = first;
  for (;;) {
    if (context.json) printJson(terminal, { event: 'watching' });
    else say(terminal, 'Watching for changes. Stop with Ctrl-C.');
    const now = await nextChange(before, { paths, clock, signal });
    before = now;
    if (now.walk.files.length === 0) {
      say(terminal, 'The folder is empty now: nothing is deleted. Run train --prune by hand if that is meant.');
      continue;
    }
    try {
      await trainOnce(sync, now.walk);
    } catch (error) {
      if (!(error instanceof CliError) || signal.aborted) throw error;
      // Not the files as they were trained: the next look finds a change, and it is done again.
      before = null;
      say(terminal, `${paint(terminal, 'red', 'error:')} ${printable(error.message)} Trying again.`);
    }
  }
}

function report(context: CommandContext, result: SyncResult, seconds: number): ExitCode {
  const { outcomes, deleted, skipped } = result;
  const failed = [...outcomes].flatMap(([key, outcome]) => (outcome.type === 'failed' ? [{ key, outcome }] : []));
  const count = (type: Outcome['type']): number =>
    [...outcomes.values()].filter((outcome) => outcome.type === type).length;
  const unchanged = count('unchanged') + result.unchanged;
  const waiting = count('waiting');
  const ready = count('ready') + unchanged;
  const total = outcomes.size + result.unchanged;
  const exitCode = failed.length === 0 ? EXIT.ok : failed.length === total ? EXIT.failure : EXIT.partlyTrained;
  const { terminal } = context;
  if (context.json) {
    const counts = { ready, unchanged, failed: failed.length, waiting, deleted, skipped: skipped.length };
    printJson(terminal, { event: 'done', ...counts, seconds });
    return exitCode;
  }
  for (const { key, outcome } of failed)
    say(
      terminal,
      `${paint(terminal, 'red', 'failed')} ${printable(key)}: ${printable(outcome.message)} (${outcome.code})`,
    );
  if (skipped.length > 0) say(terminal, `${skipped.length} file(s) of other kinds were left out: ${fewOf(skipped)}.`);
  const parts = [
    `${ready} ready${unchanged > 0 ? ` (${unchanged} unchanged)` : ''}`,
    `${failed.length} failed`,
    ...(waiting > 0 ? [`${waiting} still training`] : []),
    ...(deleted > 0 ? [`${deleted} deleted`] : []),
  ];
  printLine(terminal, `${parts.join(', ')} in ${seconds.toFixed(1)} s`);
  return exitCode;
}
