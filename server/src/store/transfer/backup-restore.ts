import { Readable } from 'node:stream';
import { AppError } from '../../kernel/index.ts';
import type { BlobStore } from '../blob-store-ports.ts';
import { type BackupEvent, readBackup } from './backup-reader.ts';
import { type BackupHeader, type BackupManifest, invalidBackup } from './backup-records.ts';
import type { TransferProgress } from './backup-writer.ts';
import { createRowDigests } from './row-digests.ts';
import { sizeOfRow } from './row-line.ts';
import { createRowSink } from './row-sink.ts';
import { createRowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';
import type { TransferRow, TransferTable } from './transfer-tables.ts';

export interface RestoreOptions {
  readonly path: string;
  /** An empty database, which nobody else uses. */
  readonly target: TransferConnection;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly now: number;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface ReadBackup {
  readonly header: BackupHeader;
  readonly manifest: BackupManifest;
}

const BATCH_BYTES = 4 * 1024 ** 2;
const BATCH_ROWS = 5_000;

/** Reads a backup and keeps nothing: resolves when it is whole. See `readBackup` for what it rejects with. */
export async function verifyBackup(path: string, signal: AbortSignal): Promise<ReadBackup> {
  let header: BackupHeader | null = null;
  let manifest: BackupManifest | null = null;
  for await (const event of readBackup(path, signal)) {
    if (event.type === 'header') header = event.header;
    if (event.type === 'end') manifest = event.manifest;
  }
  if (header === null || manifest === null) throw invalidBackup('its end is missing');
  return { header, manifest };
}

/**
 * Fills an empty database and a blob store from a backup, reads the rows back to compare them with what the backup says,
 * and then brings the schema to this version. Embeddings are taken over; what is derived is made anew without an embedder.
 * When it rejects, what was filled so far is to be thrown away.
 *
 * @throws AppError `backup_invalid`, `backup_version_unsupported`, `storage_full`
 */
export async function restoreBackup(options: RestoreOptions): Promise<ReadBackup> {
  const { target, now, onProgress, signal } = options;
  const sink = createRowSink(target);
  const tables: TransferTable[] = [];
  const events = readBackup(options.path, signal);
  const batch = createBatch(options);
  let header: BackupHeader | null = null;
  let manifest: BackupManifest | null = null;
  // By hand: a file takes its parts from the same iterator.
  for (let next = await events.next(); next.done !== true; next = await events.next()) {
    const event = next.value;
    if (event.type !== 'row') await batch.flush();
    if (event.type === 'header') {
      header = event.header;
      await sink.prepare(header.migrations, now);
    }
    if (event.type === 'table') tables.push(event.table);
    if (event.type === 'row') await batch.add(event.table, event.row);
    if (event.type === 'file') await putFile(options.blobs, event, events);
    if (event.type === 'end') manifest = event.manifest;
  }
  if (header === null || manifest === null) throw invalidBackup('its end is missing');
  await compareRows(options, manifest);
  await sink.finish({
    tables,
    now,
    signal,
    onIndexed: counting((done) => onProgress({ step: 'index', done, total: null })),
  });
  return { header, manifest };
}

/** Rows of one table that are written in one transaction. */
function createBatch({ target, onProgress }: RestoreOptions) {
  const sink = createRowSink(target);
  let table: TransferTable | null = null;
  let rows: TransferRow[] = [];
  let bytes = 0;
  let done = 0;
  async function flush(): Promise<void> {
    if (table === null || rows.length === 0) return;
    const [full, written] = [table, rows];
    [rows, bytes] = [[], 0];
    await target.database.transaction().execute((transaction) => sink.insert(transaction, full, written));
    done += written.length;
    onProgress({ step: full.name, done, total: null });
  }
  return {
    flush,
    async add(of: TransferTable, row: TransferRow): Promise<void> {
      if (of !== table) [table, done] = [of, 0];
      rows.push(row);
      bytes += sizeOfRow(row);
      if (bytes >= BATCH_BYTES || rows.length >= BATCH_ROWS) await flush();
    },
  };
}

async function putFile(
  blobs: Pick<BlobStore, 'put'>,
  file: { readonly hash: string; readonly bytes: number },
  events: AsyncGenerator<BackupEvent>,
): Promise<void> {
  let failure: unknown = null;
  async function* parts(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        const next = await events.next();
        if (next.done === true || next.value.type !== 'part') return;
        yield next.value.content;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  const put = blobs.put(Readable.from(parts(), { objectMode: false }), { maxBytes: Math.max(1, file.bytes) });
  const { hash } = await put.catch((error: unknown) => {
    throw failure ?? error;
  });
  if (hash !== file.hash) throw new AppError('internal_error', `The file ${file.hash} was not stored as it is.`);
}

/** What was written is read back: nothing was lost or bent on the way into the database. */
async function compareRows({ target, signal }: RestoreOptions, manifest: BackupManifest): Promise<void> {
  const digests = createRowDigests();
  const source = createRowSource(target);
  for (const table of await source.tables()) {
    for await (const rows of source.pages(table, { signal })) {
      for (const row of rows) digests.add(table, row);
    }
  }
  const found = digests.tables();
  for (const name of new Set([...found.keys(), ...Object.keys(manifest.tables)])) {
    if (found.get(name)?.sha256 === manifest.tables[name]?.sha256) continue;
    throw new AppError(
      'internal_error',
      `The table ${name} reads otherwise than it was written. Nothing was replaced.`,
    );
  }
}

function counting(report: (sum: number) => void): (count: number) => void {
  let sum = 0;
  return (count) => {
    sum += count;
    report(sum);
  };
}
