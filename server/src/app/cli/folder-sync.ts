import type { Clock } from '../../kernel/index.ts';
import { type ApiClient, asList, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { CliError } from './cli-error.ts';
import type { CommandContext } from './command.ts';
import type { FileHasher, HashedFile } from './file-hashes.ts';
import type { FileToTrain, WalkResult } from './folder-walk.ts';
import type { ProgressBar } from './progress-bar.ts';
import { confirm } from './resource-commands.ts';
import { type UploadAnswer, uploadFiles } from './sync-uploads.ts';
import { printable, printJson, printLine, say } from './terminal.ts';
import { type Outcomes, outcomeOf, waitForAll, wireOutcome } from './train-outcomes.ts';

export interface FolderSync {
  readonly client: ApiClient;
  readonly context: CommandContext;
  readonly bot: string;
  readonly clock: Clock;
  readonly hasher: FileHasher;
  readonly bar: ProgressBar;
  readonly prune: boolean;
  readonly prefix: string;
  readonly wait: boolean;
  /** Say what would be done, and do nothing. */
  readonly dryRun: boolean;
  /** Ask before anything is deleted. */
  readonly ask: boolean;
}

/** What a sync came to. */
export interface SyncResult {
  readonly outcomes: Outcomes;
  /** Files that asked for nothing and are ready, besides those in `outcomes`. */
  readonly unchanged: number;
  readonly deleted: number;
  /** Files of kinds that cannot be trained on. */
  readonly skipped: readonly string[];
}

const KEYS_SHOWN = 20;
const LONGEST_KEY = 500;

/**
 * Brings the bot to what the folder holds: tells the server what is there, uploads what it asks for, waits until that is
 * trained, and has deleted what is gone; the old vectors are there until then, for files that only changed their name.
 */
export async function syncFolder(sync: FolderSync, walk: WalkResult): Promise<SyncResult | 'planned'> {
  const { context, hasher, bar } = sync;
  const { signal } = context;
  const outcomes: Outcomes = new Map();
  const isNamed = ({ externalKey }: FileToTrain): boolean => sync.prefix.length + externalKey.length <= LONGEST_KEY;
  const named = walk.files.filter(isNamed);
  for (const { externalKey } of walk.files.filter((file) => !isNamed(file))) {
    const message = `A key may have ${LONGEST_KEY} characters. Shorten the path, or train on a folder nearer to the file.`;
    outcomes.set(sync.prefix + externalKey, { type: 'failed', sourceId: null, code: 'key_too_long', message });
  }
  const { files, unreadable } = await hasher.hash(named, {
    signal,
    onProgress: (done) => bar.update(done, named.length, 'reading'),
  });
  for (const { externalKey, path } of unreadable) {
    const message = `"${path}" cannot be read. Check that you may read it.`;
    outcomes.set(sync.prefix + externalKey, { type: 'failed', sourceId: null, code: 'file_unreadable', message });
  }
  const run = await openRun(sync, files, unreadable.length > 0);
  const plan = planOf(run);
  showPlan(sync, plan);
  const base = `/v1/bots/${encodeURIComponent(sync.bot)}/sync_runs/${plan.id}`;
  if (sync.dryRun || !(await mayDelete(sync, plan, base))) {
    await sync.client.request('POST', `${base}/cancel`, { signal });
    return 'planned';
  }
  const untold = await upload(sync, { plan, files, outcomes });
  for (const source of plan.unsettled) noteUnsettled(outcomes, source);
  const settled = plan.unsettled.length;
  if (sync.wait) await wait(sync, outcomes);
  const committed = await sync.client.request('POST', `${base}/commit`, { json: { skip: untold }, signal });
  const counts = asWire(committed['counts']);
  const deleted = asNumber(counts['deleted']);
  if (context.json && deleted > 0)
    printJson(context.terminal, { event: 'deleted', receipt: committed['receipt'], external_keys: plan.delete });
  const unchanged = asNumber(counts['unchanged']) + asNumber(counts['relabel']) - settled;
  return { outcomes, unchanged, deleted, skipped: walk.skipped };
}

interface Plan {
  readonly id: string;
  readonly upload: readonly string[];
  readonly delete: readonly string[];
  readonly unchanged: number;
  readonly unsettled: readonly Wire[];
}

/** What cannot be read is not gone: then nothing is deleted. */
function openRun(sync: FolderSync, files: readonly HashedFile[], someUnreadable: boolean): Promise<Wire> {
  const { client, bot, prefix, context } = sync;
  if (someUnreadable && sync.prune)
    say(context.terminal, 'Some files cannot be read, so nothing is deleted this time.');
  return client.request('POST', `/v1/bots/${encodeURIComponent(bot)}/sync_runs`, {
    json: {
      manifest: files.map(({ externalKey, hash, bytes }) => ({
        external_key: prefix + externalKey,
        content_hash: hash,
        bytes,
      })),
      prune: sync.prune && !someUnreadable,
      prefix,
    },
    signal: context.signal,
  });
}

function planOf(run: Wire): Plan {
  const plan = asWire(run['plan']);
  const keys = (name: string): string[] => (Array.isArray(plan[name]) ? plan[name].map(asText) : []);
  return {
    id: asText(run['id']),
    upload: keys('upload'),
    delete: keys('delete'),
    unchanged: asNumber(plan['unchanged']),
    unsettled: asList(run['unsettled']),
  };
}

function showPlan({ context, bar, dryRun }: FolderSync, plan: Plan): void {
  const { terminal } = context;
  bar.clear();
  if (context.json) {
    const counts = { upload: plan.upload.length, unchanged: plan.unchanged, delete: plan.delete.length };
    const keys = dryRun ? { upload_keys: plan.upload, delete_keys: plan.delete } : {};
    printJson(terminal, { event: 'plan', ...counts, ...keys });
    return;
  }
  if (!dryRun) return;
  for (const key of plan.upload) printLine(terminal, `upload ${printable(key)}`);
  for (const key of plan.delete) printLine(terminal, `delete ${printable(key)}`);
  say(
    terminal,
    `Would upload ${plan.upload.length}, delete ${plan.delete.length} and leave ${plan.unchanged} as they are. Nothing was changed.`,
  );
}

async function mayDelete({ context, ask, client }: FolderSync, plan: Plan, base: string): Promise<boolean> {
  if (plan.delete.length === 0 || !ask) return true;
  const { terminal } = context;
  if (!context.json) {
    for (const key of plan.delete.slice(0, KEYS_SHOWN)) say(terminal, `delete ${printable(key)}`);
    if (plan.delete.length > KEYS_SHOWN) say(terminal, `... and ${plan.delete.length - KEYS_SHOWN} more`);
  }
  try {
    await confirm(context, `Delete ${plan.delete.length} source(s) whose files are gone?`);
    return true;
  } catch (error) {
    if (error instanceof CliError) await client.request('POST', `${base}/cancel`, { signal: context.signal });
    throw error;
  }
}

/** Returns the keys of files that the server was asked to take and knows nothing of. */
async function upload(
  sync: FolderSync,
  work: { readonly plan: Plan; readonly files: readonly HashedFile[]; readonly outcomes: Outcomes },
): Promise<readonly string[]> {
  const { client, context, bot, bar, prefix } = sync;
  const { plan, outcomes } = work;
  const asked = new Set(plan.upload);
  const files = work.files
    .map((file) => ({ ...file, externalKey: prefix + file.externalKey }))
    .filter(({ externalKey }) => asked.has(externalKey));
  const untold: string[] = [];
  let done = 0;
  const onAnswer = ({ externalKey }: HashedFile, answer: UploadAnswer): void => {
    done += 1;
    const outcome = toOutcome(answer);
    outcomes.set(externalKey, outcome);
    if (answer.type === 'refused' && !answer.told) untold.push(externalKey);
    if (context.json)
      printJson(context.terminal, { event: 'uploaded', external_key: externalKey, ...wireOutcome(outcome) });
    bar.update(done, files.length, `uploading ${printable(externalKey)}`);
  };
  await uploadFiles({ client, bot, runId: plan.id, files, signal: context.signal, onAnswer });
  return untold;
}

function toOutcome(answer: UploadAnswer): Outcomes extends Map<string, infer Value> ? Value : never {
  if (answer.type === 'refused') return { type: 'failed', sourceId: null, code: answer.code, message: answer.message };
  const outcome = outcomeOf(answer.source);
  if (outcome === null) return { type: 'waiting', sourceId: asText(answer.source['id']) };
  // What has changed is queued, so what is ready at once was ready before.
  return outcome.type === 'ready' ? { type: 'unchanged', sourceId: outcome.sourceId } : outcome;
}

function noteUnsettled(outcomes: Outcomes, source: Wire): void {
  const sourceId = asText(source['source_id']);
  const outcome = outcomeOf({ ...source, id: sourceId }) ?? { type: 'waiting', sourceId };
  outcomes.set(asText(source['external_key']), outcome);
}

function wait({ client, bot, clock, context, bar }: FolderSync, outcomes: Outcomes): Promise<void> {
  return waitForAll(
    {
      client,
      bot,
      clock,
      signal: context.signal,
      onOutcome: (externalKey, outcome) => {
        if (context.json)
          printJson(context.terminal, { event: 'source', external_key: externalKey, ...wireOutcome(outcome) });
      },
      onProgress: (left) => bar.update(outcomes.size - left, outcomes.size, 'training'),
    },
    outcomes,
  );
}
