import { AppError } from '../../kernel/index.ts';
import type { TransferProgress } from './backup-writer.ts';
import { createRowDigests, type RowDigest, type RowDigests } from './row-digests.ts';
import { createRowSource, type RowSource } from './row-source.ts';
import type { TransferConnection } from './transfer-engine.ts';

/** What was found equal. */
export interface Compared {
  readonly tables: Readonly<Record<string, RowDigest>>;
  /** How many bots have equal rows in all tables. */
  readonly bots: number;
}

/** How many names an error lists. */
const MOST_NAMED = 5;

/**
 * Reads both sides whole, and compares counts and checksums of each table and of each bot.
 *
 * @throws AppError `migration_mismatch`, naming what differs
 */
export async function compareTables(options: {
  readonly source: RowSource;
  readonly target: TransferConnection;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}): Promise<Compared> {
  const { source, signal } = options;
  let done = 0;
  const onRows = (rows: number) => {
    done += rows;
    options.onProgress({ step: 'compare', done, total: null });
  };
  const [left, right] = await Promise.all([
    digestRows(source, { onRows, signal }),
    digestRows(createRowSource(options.target), { onRows, signal }),
  ]);
  refuseDifferent('tables', left.tables(), right.tables());
  refuseDifferent('bots', left.bots(), right.bots());
  return { tables: Object.fromEntries(left.tables()), bots: left.bots().size };
}

/** Counts and checksums of everything that is there. */
export async function digestRows(
  source: RowSource,
  { onRows, signal }: { readonly onRows: (rows: number) => void; readonly signal: AbortSignal },
): Promise<RowDigests> {
  const digests = createRowDigests();
  for (const table of await source.tables()) {
    for await (const rows of source.pages(table, { signal })) {
      for (const row of rows) digests.add(table, row);
      onRows(rows.length);
    }
  }
  return digests;
}

/** The names whose rows are not the same on both sides. */
export function differing(
  left: ReadonlyMap<string, RowDigest>,
  right: ReadonlyMap<string, RowDigest>,
): readonly string[] {
  const names = new Set([...left.keys(), ...right.keys()]);
  return [...names].filter((name) => left.get(name)?.sha256 !== right.get(name)?.sha256);
}

function refuseDifferent(
  what: string,
  left: ReadonlyMap<string, RowDigest>,
  right: ReadonlyMap<string, RowDigest>,
): void {
  const names = differing(left, right);
  if (names.length === 0) return;
  const listed = names.slice(0, MOST_NAMED).map((name) => {
    return `${name} (${left.get(name)?.rows ?? 0} rows in the source, ${right.get(name)?.rows ?? 0} in the target)`;
  });
  throw new AppError(
    'migration_mismatch',
    `Source and target differ in the ${what} ${listed.join(', ')}. The source was written to meanwhile, or the target was. Empty the target with chatsphere migrate --rollback, and begin again with all servers stopped.`,
  );
}
