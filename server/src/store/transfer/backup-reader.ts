import { createHash } from 'node:crypto';
import { AppError } from '../../kernel/index.ts';
import { LATEST_MIGRATION } from '../migrations.ts';
import { type BackupLine, backupLines } from './backup-lines.ts';
import {
  BACKUP_FORMAT,
  BACKUP_FORMAT_VERSION,
  type BackupHeader,
  type BackupManifest,
  blobSchema,
  headerSchema,
  invalidBackup,
  manifestSchema,
  partSchema,
  tableSchema,
} from './backup-records.ts';
import { createRowDigests, type RowDigests } from './row-digests.ts';
import { fromRowLine } from './row-line.ts';
import type { TransferRow, TransferTable } from './transfer-tables.ts';

/** What a backup holds, in the order of the file. After `end` it is known to be whole and undamaged, and not before. */
export type BackupEvent =
  | { readonly type: 'header'; readonly header: BackupHeader }
  | { readonly type: 'table'; readonly table: TransferTable }
  | { readonly type: 'row'; readonly table: TransferTable; readonly row: TransferRow }
  | { readonly type: 'file'; readonly hash: string; readonly bytes: number }
  | { readonly type: 'part'; readonly content: Buffer }
  /** All parts of the last file were given, and have its hash. */
  | { readonly type: 'file_end' }
  | { readonly type: 'end'; readonly manifest: BackupManifest };

/**
 * Reads a backup from its beginning to its end, and checks everything that it goes by.
 *
 * @throws AppError `backup_invalid` for a file that is damaged or something else; `backup_version_unsupported` for one that
 * a newer version wrote.
 */
export async function* readBackup(path: string, signal: AbortSignal): AsyncGenerator<BackupEvent> {
  const lines = backupLines(path, signal);
  const first = await lines.next();
  if (first.done === true) throw invalidBackup('it is empty');
  yield { type: 'header', header: readHeader(first.value.text) };
  const digests = createRowDigests();
  const files = createFileChecks();
  let table: TransferTable | null = null;
  let manifest: BackupManifest | null = null;
  for await (const line of lines) {
    if (manifest !== null) throw invalidBackup('something follows its end');
    const parsed = parseJson(line.text);
    if (Array.isArray(parsed)) {
      const row = readRow(table, parsed);
      if (table === null) throw invalidBackup('a row stands before its table');
      digests.add(table, row, line.text);
      yield { type: 'row', table, row };
      continue;
    }
    const record = readRecord(parsed);
    if (record.type !== 'part') {
      if (files.end()) yield { type: 'file_end' };
    }
    if (record.type === 'table') table = record.table;
    if (record.type === 'file') files.begin(record);
    if (record.type === 'part') files.add(record.content);
    if (record.type === 'end') {
      manifest = record.manifest;
      checkManifest(manifest, { line, digests, files: files.counts() });
    }
    yield record;
  }
  if (manifest === null) throw invalidBackup('its end is missing');
}

/** The first line of a backup; null for a file that is no backup at all. Does not look at the rest. */
export async function readBackupHeader(path: string, signal: AbortSignal): Promise<BackupHeader | null> {
  try {
    for await (const { text } of backupLines(path, signal)) {
      const parsed = headerSchema.safeParse(parseJson(text));
      return parsed.success ? parsed.data : null;
    }
    return null;
  } catch (error) {
    if (error instanceof AppError && error.code === 'backup_invalid') return null;
    throw error;
  }
}

function readHeader(text: string): BackupHeader {
  const json = parseJson(text);
  const parsed = headerSchema.safeParse(json);
  const version = formatVersionOf(json);
  if (version !== null && version > BACKUP_FORMAT_VERSION) throw newer(`file format ${version}`);
  if (!parsed.success) throw invalidBackup('it does not begin as a backup does', parsed.error);
  const highest = Math.max(0, ...parsed.data.migrations);
  if (highest > LATEST_MIGRATION) throw newer(`schema ${highest}; this version knows ${LATEST_MIGRATION}`);
  return parsed.data;
}

/** Of a header whose other fields may be of a later version. */
function formatVersionOf(json: unknown): number | null {
  const isOurs = typeof json === 'object' && json !== null && 'format' in json && json.format === BACKUP_FORMAT;
  return isOurs && 'version' in json && typeof json.version === 'number' ? json.version : null;
}

function newer(what: string): AppError {
  return new AppError(
    'backup_version_unsupported',
    `The backup was written by a newer version (${what}). Nothing was changed. Restore it with that version or a later one.`,
  );
}

function readRow(table: TransferTable | null, parsed: unknown[]): TransferRow {
  const row = fromRowLine(parsed);
  if (table === null || row.length !== table.columns.length) throw invalidBackup('a row does not fit its table');
  return row;
}

type BackupRecord = Exclude<BackupEvent, { readonly type: 'header' | 'row' | 'file_end' }>;

function readRecord(parsed: unknown): BackupRecord {
  const part = partSchema.safeParse(parsed);
  if (part.success) return { type: 'part', content: Buffer.from(part.data.part, 'base64') };
  const table = tableSchema.safeParse(parsed);
  if (table.success) {
    const { table: name, key, columns } = table.data;
    if (!key.every((column) => columns.includes(column))) throw invalidBackup(`the table ${name} lacks its key`);
    return { type: 'table', table: { name, key, columns } };
  }
  const blob = blobSchema.safeParse(parsed);
  if (blob.success) return { type: 'file', hash: blob.data.blob, bytes: blob.data.bytes };
  const manifest = manifestSchema.safeParse(parsed);
  if (manifest.success) return { type: 'end', manifest: manifest.data };
  throw invalidBackup('it holds a line that means nothing');
}

/** Holds each file to the hash and the size that it was announced with. */
function createFileChecks() {
  let open: { readonly hash: string; readonly bytes: number } | null = null;
  let hash = createHash('sha256');
  let received = 0;
  const counts = { count: 0, bytes: 0 };
  return {
    begin(file: { readonly hash: string; readonly bytes: number }): void {
      open = file;
      hash = createHash('sha256');
      received = 0;
    },
    add(content: Buffer): void {
      if (open === null) throw invalidBackup('a part stands before its file');
      hash.update(content);
      received += content.length;
      if (received > open.bytes) throw invalidBackup(`the file ${open.hash} is longer than it should be`);
    },
    /** Whether a file was open, which then was whole. */
    end(): boolean {
      if (open === null) return false;
      if (received !== open.bytes || hash.digest('hex') !== open.hash) {
        throw invalidBackup(`the file ${open.hash} is damaged`);
      }
      counts.count += 1;
      counts.bytes += received;
      open = null;
      return true;
    },
    counts: () => counts,
  };
}

function checkManifest(
  manifest: BackupManifest,
  read: {
    readonly line: BackupLine;
    readonly digests: RowDigests;
    readonly files: { readonly count: number; readonly bytes: number };
  },
): void {
  if (read.line.sha256Before() !== manifest.sha256) throw invalidBackup('its checksum does not match');
  const { count, bytes } = manifest.files;
  if (read.files.count !== count || read.files.bytes !== bytes) throw invalidBackup('files are missing');
  const tables = read.digests.tables();
  for (const name of new Set([...tables.keys(), ...Object.keys(manifest.tables)])) {
    const [own, said] = [tables.get(name), manifest.tables[name]];
    if (own?.rows !== said?.rows || own?.sha256 !== said?.sha256) throw invalidBackup(`the table ${name} is damaged`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalidBackup('it holds a line that is not JSON', cause);
  }
}
