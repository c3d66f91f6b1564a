import { openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import type { Clock } from '../../kernel/index.ts';
import { type ApiClient, asList, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, requiredOption, usageError } from './command.ts';
import { type FileToTrain, walkPaths } from './folder-walk.ts';
import { createProgressBar, type ProgressBar } from './progress-bar.ts';
import { paint, printable, printJson, printLine, say } from './terminal.ts';

const UPLOADS_AT_ONCE = 8;
const POLL_MS = { first: 200, most: 1_000, growth: 1.5 };
/** So few sources are asked after one by one, which is cheaper than to list all that the bot has. */
const ASKED_ONE_BY_ONE = 20;

/** What became of one file. */
type Outcome =
  | { readonly type: 'waiting'; readonly sourceId: string }
  | { readonly type: 'ready'; readonly sourceId: string; readonly chunks: number }
  | { readonly type: 'unchanged'; readonly sourceId: string }
  | { readonly type: 'failed'; readonly sourceId: string | null; readonly code: string; readonly message: string };

type Outcomes = Map<string, Outcome>;
/** That of a source which was taken in and is not trained any more. */
type KnownOutcome = Extract<Outcome, { readonly type: 'ready' | 'failed' }> & { readonly sourceId: string };

/** `chatsphere train`: uploads files as sources by key and waits until each is trained. */
export function createTrainCommand(clock: Clock): Command {
  return {
    name: 'train',
    summary: 'train a bot on files and folders',
    help: `Usage: chatsphere train <path>... --bot BOT [--json] [--no-wait]

Uploads every Markdown, HTML and text file below the paths and waits until they are trained.
Each file is a source whose key is its path below the folder: run it again and only changed files do work.

  --no-wait   end when everything is uploaded
  --json      one JSON object a line: {event: "uploaded" | "source" | "done", ...}; "done" counts
              ready (unchanged files too), unchanged, failed, waiting (still training) and skipped files

Exit codes: 0 all ready, 6 some failed, 1 all failed, 3 no such bot or path.

Example:
  chatsphere bots create handbook && chatsphere train ./docs --bot handbook`,
    options: { bot: { type: 'string', short: 'b' }, 'no-wait': { type: 'boolean' } },
    async run(context) {
      const command = { name: 'train' };
      const bot = requiredOption(command, context, 'bot');
      if (context.positionals.length === 0) throw usageError(command, 'The path to train on is missing');
      const web = context.positionals.find((path) => /^https?:\/\//i.test(path));
      if (web !== undefined) {
        throw new CliError(EXIT.usage, `Web addresses cannot be trained on in this version: ${web}`, {
          code: 'source_type_unavailable',
          hint: 'Save the page as a file and train on that.',
        });
      }
      const { files, skipped } = await walkPaths(context.positionals);
      if (files.length === 0) {
        throw new CliError(EXIT.failure, 'There is nothing to train on here.', {
          code: 'empty_content',
          hint: 'Files of these kinds are taken: .md .html .txt (and .mdx .rst .adoc .log).',
        });
      }
      const client = await context.connect();
      await client.request('GET', `/v1/bots/${encodeURIComponent(bot)}`, { signal: context.signal });
      return train({ client, context, bot, files, skipped, clock });
    },
  };
}

interface Training {
  readonly client: ApiClient;
  readonly context: CommandContext;
  readonly bot: string;
  readonly files: readonly FileToTrain[];
  readonly skipped: readonly string[];
  readonly clock: Clock;
}

async function train(training: Training): Promise<ExitCode> {
  const { context, clock, files } = training;
  const bar = createProgressBar(context.terminal, { now: clock.now, quiet: context.json });
  const outcomes: Outcomes = new Map();
  const startedAt = clock.now();
  await uploadAll(training, outcomes, bar);
  if (context.values['no-wait'] !== true) await waitForAll(training, outcomes, bar);
  bar.clear();
  return report({
    context,
    outcomes,
    total: files.length,
    skipped: training.skipped,
    seconds: (clock.now() - startedAt) / 1000,
  });
}

async function uploadAll(training: Training, outcomes: Outcomes, bar: ProgressBar): Promise<void> {
  const queue = [...training.files];
  const uploadNext = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const outcome = await upload(training, file);
      outcomes.set(file.externalKey, outcome);
      if (training.context.json)
        printJson(training.context.terminal, {
          event: 'uploaded',
          external_key: file.externalKey,
          ...wireOutcome(outcome),
        });
      bar.update(outcomes.size, training.files.length, `uploading ${printable(file.externalKey)}`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(UPLOADS_AT_ONCE, queue.length) }, uploadNext));
}

async function upload({ client, bot, context }: Training, file: FileToTrain): Promise<Outcome> {
  const form = new FormData();
  form.append('file', await openAsBlob(file.path, { type: mediaTypeOf(file.path) }), basename(file.path));
  const path = `/v1/bots/${encodeURIComponent(bot)}/sources/by-key/${encodeURIComponent(file.externalKey)}`;
  try {
    const source = await client.request('PUT', path, { form, signal: context.signal });
    const outcome = outcomeOf(source) ?? { type: 'waiting', sourceId: asText(source['id']) };
    // What has changed is queued, so what is ready at once was ready before.
    return outcome.type === 'ready' ? { type: 'unchanged', sourceId: outcome.sourceId } : outcome;
  } catch (error) {
    const refused = error instanceof CliError && (error.exitCode === EXIT.failure || error.exitCode === EXIT.usage);
    if (!refused) throw error;
    return { type: 'failed', sourceId: null, code: error.code, message: error.message };
  }
}

function mediaTypeOf(path: string): string {
  if (/\.x?html?$/i.test(path)) return 'text/html';
  return /\.(md|mdx|markdown)$/i.test(path) ? 'text/markdown' : 'text/plain';
}

async function waitForAll(training: Training, outcomes: Outcomes, bar: ProgressBar): Promise<void> {
  const { clock, context } = training;
  const waiting = new Map(
    [...outcomes].flatMap(([key, outcome]) => (outcome.type === 'waiting' ? [[outcome.sourceId, key] as const] : [])),
  );
  const showProgress = (): void => bar.update(outcomes.size - waiting.size, outcomes.size, 'training');
  showProgress();
  for (let pauseMs = POLL_MS.first; waiting.size > 0; ) {
    const before = waiting.size;
    for await (const outcome of outcomesOf(training, [...waiting.keys()])) {
      const key = waiting.get(outcome.sourceId) ?? '';
      waiting.delete(outcome.sourceId);
      outcomes.set(key, outcome);
      if (context.json) printJson(context.terminal, { event: 'source', external_key: key, ...wireOutcome(outcome) });
    }
    showProgress();
    if (waiting.size === 0) return;
    await clock.sleep(pauseMs, context.signal);
    pauseMs = waiting.size < before ? POLL_MS.first : Math.min(POLL_MS.most, pauseMs * POLL_MS.growth);
  }
}

/** What has become of those of the sources that are not trained any more. */
async function* outcomesOf(training: Training, sourceIds: readonly string[]): AsyncIterable<KnownOutcome> {
  const unseen = new Set(sourceIds);
  if (unseen.size > ASKED_ONE_BY_ONE) {
    for await (const source of newestSources(training)) {
      const outcome = unseen.delete(asText(source['id'])) ? outcomeOf(source) : null;
      if (outcome !== null) yield outcome;
      if (unseen.size === 0) return;
    }
  }
  // Also what the list did not show: a page may be cut short when a source is deleted meanwhile.
  for (const sourceId of unseen) {
    const outcome = await askAfter(training, sourceId);
    if (outcome !== null) yield outcome;
  }
}

async function askAfter({ client, bot, context }: Training, sourceId: string): Promise<KnownOutcome | null> {
  try {
    const path = `/v1/bots/${encodeURIComponent(bot)}/sources/${encodeURIComponent(sourceId)}`;
    return outcomeOf(await client.request('GET', path, { signal: context.signal }));
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== 'source_not_found') throw error;
    return { type: 'failed', sourceId, code: error.code, message: 'The source was deleted while it was trained.' };
  }
}

async function* newestSources({ client, bot, context }: Training): AsyncIterable<Wire> {
  for (let after = ''; ; ) {
    const cursor = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
    const path = `/v1/bots/${encodeURIComponent(bot)}/sources?limit=100&order=desc${cursor}`;
    const page = await client.request('GET', path, { signal: context.signal });
    yield* asList(page['data']);
    after = asText(page['last_id']);
    if (page['has_more'] !== true || after === '') return;
  }
}

/** Null while the source is still being trained. */
function outcomeOf(source: Wire): KnownOutcome | null {
  const sourceId = asText(source['id']);
  const status = asText(source['status']);
  if (status === 'ready') return { type: 'ready', sourceId, chunks: asNumber(asWire(source['counts'])['chunks']) };
  if (status !== 'failed' && status !== 'partial') return null;
  const error = asWire(source['last_error']);
  return { type: 'failed', sourceId, code: asText(error['code']), message: asText(error['message']) };
}

function wireOutcome(outcome: Outcome): Wire {
  if (outcome.type !== 'failed')
    return { source_id: outcome.sourceId, status: outcome.type === 'waiting' ? 'queued' : outcome.type };
  return { source_id: outcome.sourceId, status: 'failed', error: { code: outcome.code, message: outcome.message } };
}

function report({
  context,
  outcomes,
  total,
  skipped,
  seconds,
}: {
  readonly context: CommandContext;
  readonly outcomes: Outcomes;
  readonly total: number;
  readonly skipped: readonly string[];
  readonly seconds: number;
}): ExitCode {
  const failed = [...outcomes].flatMap(([key, outcome]) => (outcome.type === 'failed' ? [{ key, outcome }] : []));
  const count = (type: Outcome['type']): number =>
    [...outcomes.values()].filter((outcome) => outcome.type === type).length;
  const [unchanged, waiting] = [count('unchanged'), count('waiting')];
  const ready = count('ready') + unchanged;
  const exitCode = failed.length === 0 ? EXIT.ok : failed.length === total ? EXIT.failure : EXIT.partlyTrained;
  const { terminal } = context;
  if (context.json) {
    const counts = { ready, unchanged, failed: failed.length, waiting, skipped: skipped.length };
    printJson(terminal, { event: 'done', ...counts, seconds });
    return exitCode;
  }
  for (const { key, outcome } of failed)
    say(
      terminal,
      `${paint(terminal, 'red', 'failed')} ${printable(key)}: ${printable(outcome.message)} (${outcome.code})`,
    );
  if (skipped.length > 0) say(terminal, `${skipped.length} file(s) of other kinds were left out.`);
  const parts = [
    `${ready} ready${unchanged > 0 ? ` (${unchanged} unchanged)` : ''}`,
    `${failed.length} failed`,
    ...(waiting > 0 ? [`${waiting} still training`] : []),
  ];
  printLine(terminal, `${parts.join(', ')} in ${seconds.toFixed(1)} s`);
  return exitCode;
}
