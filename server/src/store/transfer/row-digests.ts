import { hash } from 'node:crypto';
import { toRowLine } from './row-line.ts';
import type { TransferRow, TransferTable } from './transfer-tables.ts';

/** How many rows, and a checksum of them that does not depend on their order (64 hexadecimal digits). */
export interface RowDigest {
  readonly rows: number;
  readonly sha256: string;
}

/** Checksums of what was read: of each table, and of all rows of each bot. */
export interface RowDigests {
  add(table: TransferTable, row: TransferRow, line?: string): void;
  tables(): ReadonlyMap<string, RowDigest>;
  /** By bot id. Rows of no bot are in none of them. */
  bots(): ReadonlyMap<string, RowDigest>;
}

interface Sum {
  rows: number;
  sum: bigint;
}

const MODULUS = 1n << 256n;

/**
 * Sums of SHA-256 modulo 2^256 (an additive multiset hash, Clarke et al. 2003): rows may come in any order and in any
 * pieces, which keys that engines sort differently and copies that are resumed both need. It tells damage, not malice.
 */
export function createRowDigests(): RowDigests {
  const tables = new Map<string, Sum>();
  const bots = new Map<string, Sum>();
  return {
    add(table, row, line = toRowLine(row)) {
      const digest = BigInt(`0x${hash('sha256', `${table.name}\n${line}`, 'hex')}`);
      addTo(tables, table.name, digest);
      const bot = row[table.columns.indexOf(table.name === 'bots' ? 'id' : 'bot_id')];
      if (typeof bot === 'string') addTo(bots, bot, digest);
    },
    tables: () => finished(tables),
    bots: () => finished(bots),
  };
}

function addTo(sums: Map<string, Sum>, name: string, digest: bigint): void {
  const known = sums.get(name);
  if (known === undefined) {
    sums.set(name, { rows: 1, sum: digest });
    return;
  }
  known.rows += 1;
  known.sum = (known.sum + digest) % MODULUS;
}

function finished(sums: ReadonlyMap<string, Sum>): ReadonlyMap<string, RowDigest> {
  return new Map(
    [...sums].map(([name, { rows, sum }]) => [name, { rows, sha256: sum.toString(16).padStart(64, '0') }]),
  );
}
