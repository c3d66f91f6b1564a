import { Readable } from 'node:stream';
import { AppError, type ErrorCode } from '../../kernel/index.ts';
import type { BlobStore } from '../blob-store-ports.ts';
import type { HeldFiles, TransferProgress } from './backup-writer.ts';
import {
  beginCopy,
  type CopyRun,
  countRows,
  findCopyRun,
  findCopyToGoOn,
  readCopied,
  readCopiedFile,
  saveCopied,
  saveCopiedFile,
  saveRun,
} from './copy-progress.ts';
import { type Compared, compareTables } from './copy-verification.ts';
import { digestKept, type FindOwnRows } from './kept-rows.ts';
import { createRowSink } from './row-sink.ts';
import { createRowSource, type RowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';

export interface CopyOptions {
  /** On a snapshot. */
  readonly source: RowSource;
  /** What the source is called, without secrets; a copy goes on only from the same one. */
  readonly sourceName: string;
  readonly target: TransferConnection;
  readonly files: HeldFiles;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly now: () => number;
  readonly findOwnRows: FindOwnRows;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface Copied extends Compared {
  /** Whether a copy that was interrupted went on. */
  readonly resumed: boolean;
  readonly files: { readonly count: number; readonly lost: readonly string[] };
}

/**
 * Copies all rows and files into an empty database, and compares them. Interrupted at any moment, it goes on where it
 * stopped when it is called again, and once done it is found to be done as long as both sides are equal; until it is
 * done no server starts on the target. The source is only read.
 *
 * @throws AppError `restore_target_not_empty`, `migration_unfinished` (begun from another source), `migration_mismatch`
 */
export async function copyDatabase(options: CopyOptions): Promise<Copied> {
  const { source, target, now, signal } = options;
  const migrations = await source.migrations();
  if (migrations.length === 0) {
    throw new AppError('configuration_invalid', 'There is nothing to migrate: the source has no tables yet.');
  }
  const finished = await finishedBefore(options);
  if (finished !== null) return finished;
  const begun: CopyRun = { source: options.sourceName, startedAt: now(), state: 'copying' };
  const run = await beginCopy(target, begun);
  const sink = createRowSink(target);
  const tables = await source.tables();
  if (run.state === 'copying') {
    await sink.prepare(migrations, now());
    for (const table of tables) await copyTable(options, table);
  }
  const files = await copyFiles(options);
  const compared = run.state === 'copying' ? await compareTables(options) : null;
  const verified: CopyRun = compared === null ? run : { ...run, state: 'verified', ...compared };
  await saveRun(target.database, verified);
  let indexed = 0;
  await sink.finish({
    tables,
    now: now(),
    signal,
    onIndexed(documents) {
      indexed += documents;
      options.onProgress({ step: 'index', done: indexed, total: null });
    },
  });
  const kept = await digestKept(target, options);
  await saveRun(target.database, { ...verified, kept, state: 'done', endedAt: now() });
  return { tables: verified.tables ?? {}, bots: verified.bots ?? 0, resumed: run !== begun, files };
}

/** Why a copy would not begin, and what is in the way. */
export interface CopyRefusal {
  readonly code: ErrorCode;
  readonly message: string;
  /** Rows in the target, by table. */
  readonly rows: Readonly<Record<string, number>>;
}

/** What `copyDatabase` would find in the target. Changes nothing. */
export async function planCopy(
  options: Pick<CopyOptions, 'source' | 'sourceName' | 'target' | 'signal'>,
): Promise<{ readonly run: CopyRun | null; readonly refusal: CopyRefusal | null }> {
  const { source, sourceName, target } = options;
  const run = await findCopyRun(target.database);
  if (run?.state === 'done' && run.source === sourceName) {
    if ((await compareIfEqual({ source, target, signal: options.signal, onProgress: () => {} })) !== null) {
      return { run, refusal: null };
    }
  }
  try {
    await findCopyToGoOn(target, sourceName);
    return { run, refusal: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const { code, message } = error;
    return { run, refusal: { code, message, rows: await countRows(target.database) } };
  }
}

/** A copy that was done and whose end was not told; null when there is none, or either side was written to since. */
async function finishedBefore(options: CopyOptions): Promise<Copied | null> {
  const run = await findCopyRun(options.target.database);
  if (run?.state !== 'done' || run.source !== options.sourceName) return null;
  const compared = await compareIfEqual(options);
  return compared === null ? null : { ...compared, resumed: true, files: await copyFiles(options) };
}

async function compareIfEqual(options: Parameters<typeof compareTables>[0]): Promise<Compared | null> {
  try {
    return await compareTables(options);
  } catch (error) {
    if (error instanceof AppError && error.code === 'migration_mismatch') return null;
    throw error;
  }
}

async function copyTable(
  { source, target, onProgress, signal }: CopyOptions,
  table: Awaited<ReturnType<RowSource['tables']>>[number],
): Promise<void> {
  const { database } = target;
  const sink = createRowSink(target);
  const after = await readCopied(database, table.name);
  const total = await source.count(table);
  let done = after === null ? 0 : await createRowSource(target).count(table);
  const keyPlaces = table.key.map((column) => table.columns.indexOf(column));
  for await (const rows of source.pages(table, { after, signal })) {
    const last = rows.at(-1) ?? [];
    await database.transaction().execute(async (transaction) => {
      await sink.insert(transaction, table, rows);
      await saveCopied(
        transaction,
        table.name,
        keyPlaces.map((place) => last[place] ?? null),
      );
    });
    done += rows.length;
    onProgress({ step: table.name, done, total });
  }
}

async function copyFiles({ files, blobs, target, onProgress, signal }: CopyOptions): Promise<Copied['files']> {
  const lost: string[] = [];
  const after = await readCopiedFile(target.database);
  for (const [position, hash] of files.hashes.entries()) {
    if (after !== null && hash <= after) continue;
    signal.throwIfAborted();
    const file = await files.open(hash);
    if (file === null) {
      lost.push(hash);
      continue;
    }
    await blobs.put(Readable.from(file.content, { objectMode: false }), { maxBytes: Math.max(1, file.bytes), signal });
    await saveCopiedFile(target.database, hash);
    onProgress({ step: 'files', done: position + 1, total: files.hashes.length });
  }
  return { count: files.hashes.length - lost.length, lost };
}
