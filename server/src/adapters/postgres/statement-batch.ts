import { type Connection, type Submittable, types } from 'pg';
import { PostgresFailure } from './postgres-failure.ts';

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export interface StatementResult {
  readonly rows: readonly Record<string, unknown>[];
  /** `INSERT`, `UPDATE`, `SELECT` ... */
  readonly command: string;
  readonly count: number;
}

/** What the wire takes: texts, bytes and nulls. */
type Bindable = string | Buffer | null;

interface Field {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/**
 * Statements that go out together and are answered together, in one round trip; outside a transaction that was begun,
 * they are one (PostgreSQL ends the implicit transaction at the Sync that follows the last). No prepared statement
 * outlives it. The result is that of one of the statements.
 */
export class StatementBatch implements Submittable {
  readonly result: Promise<StatementResult>;
  readonly #statements: readonly { readonly sql: string; readonly values: readonly Bindable[] }[];
  readonly #asked: number;
  readonly #settle: { resolve(result: StatementResult): void; reject(error: unknown): void };
  #completed = 0;
  #fields: readonly Field[] = [];
  #rows: Record<string, unknown>[] = [];
  #command = '';
  #count = 0;
  #error: unknown = null;

  /** Throws a PostgresFailure for values that cannot be stored. */
  constructor(statements: readonly Statement[], asked: number) {
    this.#asked = asked;
    this.#statements = statements.map(({ sql, parameters }) => ({ sql, values: parameters.map(toBindable) }));
    let resolve: (result: StatementResult) => void = () => {};
    let reject: (error: unknown) => void = () => {};
    this.result = new Promise((fulfil, refuse) => {
      resolve = fulfil;
      reject = refuse;
    });
    this.#settle = { resolve, reject };
  }

  submit(connection: Connection): void {
    connection.stream.cork();
    this.#statements.forEach(({ sql, values }, position) => {
      connection.parse({ name: '', text: sql, types: [] }, true);
      connection.bind({ values: [...values] }, true);
      if (position === this.#asked) connection.describe({ type: 'P', name: '' }, true);
      connection.execute(null, true);
    });
    connection.sync();
    connection.stream.uncork();
  }

  handleRowDescription({
    fields,
  }: {
    readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  }): void {
    this.#fields = fields.map(({ name, dataTypeID }) => ({ name, parse: parserOf(dataTypeID) }));
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    if (this.#completed !== this.#asked) return;
    const row: Record<string, unknown> = {};
    this.#fields.forEach(({ name, parse }, position) => {
      const text = fields[position] ?? null;
      row[name] = text === null ? null : parse(text);
    });
    this.#rows.push(row);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    if (this.#completed === this.#asked) {
      const words = text.split(' ');
      this.#command = words[0] ?? '';
      this.#count = Number(words.at(-1)) || 0;
    }
    this.#completed += 1;
  }

  handleEmptyQuery(): void {
    this.#completed += 1;
  }

  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}

  /** Of a statement: the connection goes on. Or of the connection: then nothing follows. */
  handleError(error: unknown): void {
    this.#error ??= error;
    this.#settle.reject(this.#error);
  }

  handleReadyForQuery(): void {
    this.#settle.resolve({ rows: this.#rows, command: this.#command, count: this.#count });
  }
}

const INT8 = 20;
const NUMERIC = 1700;

/** Whole numbers come as text in the protocol; all of ours are below 2^53. Sums of them are `numeric`. */
function parserOf(type: number): (text: string) => unknown {
  return type === INT8 || type === NUMERIC ? Number : types.getTypeParser(type, 'text');
}

/** NUL becomes U+FFFD (of the same length), which PostgreSQL's texts can hold; truth is 1 and 0, as its columns are numbers. */
function toBindable(value: unknown): Bindable {
  switch (typeof value) {
    case 'string':
      return value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
    case 'number':
    case 'bigint':
      return String(value);
    case 'boolean':
      return value ? '1' : '0';
    default:
      if (value === null) return null;
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      throw new PostgresFailure({ code: 'UNSUPPORTED_VALUE', message: `a ${typeof value} cannot be stored` });
  }
}
