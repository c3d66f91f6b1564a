import { AppError } from '../../kernel/index.ts';
import type { TransferRow, TransferValue } from './transfer-tables.ts';

/** What JSON has no spelling for: bytes (base64), whole numbers beyond 2^53, and floats such as -0 and NaN. */
type Spelled = string | number | null | { readonly b: string } | { readonly i: string } | { readonly f: string };

/** A row as one line of JSON. Equal values are spelled equally, whatever engine they come from. */
export function toRowLine(row: TransferRow): string {
  return JSON.stringify(row.map(spell));
}

/**
 * The reverse of `toRowLine`, from parsed JSON.
 *
 * @throws AppError `backup_invalid` for anything else.
 */
export function fromRowLine(line: unknown): TransferRow {
  if (!Array.isArray(line)) throw notARow();
  return line.map(read);
}

/** How much memory and disk a row takes, roughly. */
export function sizeOfRow(row: TransferRow): number {
  return row.reduce<number>((size, value) => size + sizeOf(value), 0);
}

function sizeOf(value: TransferValue): number {
  if (typeof value === 'string') return value.length;
  return value instanceof Uint8Array ? value.byteLength : 8;
}

function spell(value: TransferValue): Spelled {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0) ? value : { f: Object.is(value, -0) ? '-0' : String(value) };
  }
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : { i: String(value) };
  }
  return { b: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
}

function read(value: unknown): TransferValue {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value !== 'object') throw notARow();
  const [only, ...others] = Object.entries(value);
  if (only === undefined || others.length > 0 || typeof only[1] !== 'string') throw notARow();
  const [kind, text] = only;
  if (kind === 'b') return new Uint8Array(Buffer.from(text, 'base64'));
  if (kind === 'i' && /^-?\d+$/.test(text)) return BigInt(text);
  if (kind === 'f' && ['-0', 'NaN', 'Infinity', '-Infinity'].includes(text)) return Number(text);
  throw notARow();
}

function notARow(): AppError {
  return new AppError('backup_invalid', 'The backup is damaged: it holds a line that is no row. Use another backup.');
}
