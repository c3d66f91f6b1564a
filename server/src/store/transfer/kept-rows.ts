import { createRowDigests, type RowDigest } from './row-digests.ts';
import { createRowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';
import type { TransferTable, TransferValue } from './transfer-tables.ts';

/**
 * Tables whose changes nobody would want to lose, and what changes in their rows by mere use. The others change when a
 * server merely starts or answers.
 */
const KEPT: ReadonlyMap<string, readonly string[]> = new Map([
  ...['settings', 'tenants', 'sources', 'documents', 'chunks', 'index_generations'].map(withNoColumns),
  ...['golden_questions', 'prompt_versions', 'conversations', 'messages', 'usage'].map(withNoColumns),
  ['bots', ['content_revision']],
  ['api_keys', ['last_used_at']],
]);

/** Whether servers make a row by themselves, so that nobody loses it. */
export type IsOwnRow = (table: string, valueIn: (column: string) => TransferValue) => boolean;

/** Finds out, from the database, which of its rows servers make by themselves. */
export type FindOwnRows = (database: TransferConnection['database']) => Promise<IsOwnRow>;

/** By table. */
export type KeptDigests = Readonly<Record<string, RowDigest>>;

/** Counts and checksums of what users would miss. */
export async function digestKept(
  target: TransferConnection,
  { findOwnRows, signal }: { readonly findOwnRows: FindOwnRows; readonly signal: AbortSignal },
): Promise<KeptDigests> {
  const source = createRowSource(target);
  const digests = createRowDigests();
  const isOwn = await findOwnRows(target.database);
  for (const table of await source.tables()) {
    const changing = KEPT.get(table.name);
    if (changing === undefined) continue;
    const columns = table.columns.filter((column) => !changing.includes(column));
    for await (const rows of source.pages(table, { signal })) {
      for (const row of rows) {
        const valueIn = (column: string): TransferValue => row[table.columns.indexOf(column)] ?? null;
        if (!isOwn(table.name, valueIn))
          digests.add({ ...table, columns } satisfies TransferTable, columns.map(valueIn));
      }
    }
  }
  return Object.fromEntries(digests.tables());
}

/** What is in the second and was not in the first, as `api_keys (2 more)`. */
export function keptDifferences(before: KeptDigests, now: KeptDigests): readonly string[] {
  return [...KEPT.keys()].flatMap((table) => {
    const [then, later] = [before[table], now[table]];
    if (then?.sha256 === later?.sha256) return [];
    const more = (later?.rows ?? 0) - (then?.rows ?? 0);
    return [`${table} (${more > 0 ? `${more} more` : more < 0 ? `${-more} fewer` : 'changed'})`];
  });
}

function withNoColumns(table: string): [string, readonly string[]] {
  return [table, []];
}
