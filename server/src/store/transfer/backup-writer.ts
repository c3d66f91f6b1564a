import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { AppError } from '../../kernel/index.ts';
import { writeGzipped } from './backup-file.ts';
import { BACKUP_FORMAT, BACKUP_FORMAT_VERSION, type BackupHeader, type BackupManifest } from './backup-records.ts';
import { createRowDigests, type RowDigest } from './row-digests.ts';
import { toRowLine } from './row-line.ts';
import type { RowSource } from './row-source.ts';

/** The uploaded files that rows speak of, held so that they stay while they are read. */
export interface HeldFiles {
  readonly hashes: readonly string[];
  /** Null when it is not there any more, or is not what its hash says. */
  open(hash: string): Promise<{ readonly bytes: number; readonly content: Readable } | null>;
}

/** How far a transfer is: rows of a table, documents that were indexed, or files. */
export interface TransferProgress {
  readonly step: string;
  readonly done: number;
  /** Null when it is not known before. */
  readonly total: number | null;
}

export interface BackupOptions {
  /** On a snapshot. */
  readonly source: RowSource;
  readonly engine: string;
  readonly files: HeldFiles;
  readonly secret: BackupHeader['secret'];
  readonly program: string;
  readonly now: number;
  readonly path: string;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface WrittenBackup {
  readonly header: BackupHeader;
  readonly manifest: BackupManifest;
  /** Of the file. */
  readonly bytes: number;
  readonly sha256: string;
}

const PIECE_BYTES = 256 * 1024;

/**
 * Writes all rows and files to one file, streamed. A backup that breaks off leaves nothing under its name.
 *
 * @throws AppError `storage_full`, `path_not_writable`, `database_unavailable`
 */
export async function writeBackup(options: BackupOptions): Promise<WrittenBackup> {
  const migrations = await options.source.migrations();
  if (migrations.length === 0) {
    throw new AppError('configuration_invalid', 'There is nothing to back up: the database has no tables yet.');
  }
  const header: BackupHeader = {
    format: BACKUP_FORMAT,
    version: BACKUP_FORMAT_VERSION,
    created_at: options.now,
    program: options.program,
    engine: options.engine,
    migrations: [...migrations],
    secret: options.secret,
  };
  let manifest: BackupManifest | null = null;
  const content = backupPieces(options, header, (made) => {
    manifest = made;
  });
  const file = await writeGzipped(options.path, content, options.signal);
  if (manifest === null) throw new AppError('internal_error', 'The backup ended without its manifest.');
  return { header, manifest, ...file };
}

async function* backupPieces(
  options: BackupOptions,
  header: BackupHeader,
  onEnd: (manifest: BackupManifest) => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let tables: BackupManifest['tables'] = {};
  let files: BackupManifest['files'] = { count: 0, bytes: 0, lost: [] };
  async function* body(): AsyncGenerator<string> {
    yield JSON.stringify(header);
    tables = yield* tableLines(options);
    files = yield* fileLines(options);
  }
  for await (const piece of inPieces(body())) {
    hash.update(piece);
    yield piece;
  }
  const manifest = { tables, files, sha256: hash.digest('hex') };
  onEnd(manifest);
  yield Buffer.from(`${JSON.stringify(manifest)}\n`);
}

async function* tableLines({
  source,
  onProgress,
  signal,
}: BackupOptions): AsyncGenerator<string, Record<string, RowDigest>> {
  const digests = createRowDigests();
  const tables = await source.tables();
  for (const table of tables) {
    yield JSON.stringify({ table: table.name, key: table.key, columns: table.columns });
    const total = await source.count(table);
    let done = 0;
    for await (const rows of source.pages(table, { signal })) {
      for (const row of rows) {
        const line = toRowLine(row);
        digests.add(table, row, line);
        yield line;
      }
      done += rows.length;
      onProgress({ step: table.name, done, total });
    }
  }
  return Object.fromEntries(digests.tables());
}

async function* fileLines({
  files,
  onProgress,
  signal,
}: BackupOptions): AsyncGenerator<string, BackupManifest['files']> {
  const lost: string[] = [];
  let sum = 0;
  for (const [position, blob] of files.hashes.entries()) {
    signal.throwIfAborted();
    const file = await files.open(blob);
    if (file === null) {
      lost.push(blob);
      continue;
    }
    yield JSON.stringify({ blob, bytes: file.bytes });
    for await (const piece of file.content) yield JSON.stringify({ part: Buffer.from(piece).toString('base64') });
    sum += file.bytes;
    onProgress({ step: 'files', done: position + 1, total: files.hashes.length });
  }
  return { count: files.hashes.length - lost.length, bytes: sum, lost };
}

/** Lines joined to pieces that are worth a trip through a stream. */
async function* inPieces(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let held: string[] = [];
  let length = 0;
  for await (const line of lines) {
    held.push(line, '\n');
    length += line.length + 1;
    if (length < PIECE_BYTES) continue;
    yield Buffer.from(held.join(''));
    held = [];
    length = 0;
  }
  if (length > 0) yield Buffer.from(held.join(''));
}
