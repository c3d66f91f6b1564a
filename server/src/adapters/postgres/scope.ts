import type { Statement } from './statement-batch.ts';

/**
 * Whose rows the statements of a connection may see and change, and how their changes are kept. It is said to the
 * database again with every statement or transaction, for its duration: sessions have no state, so that they may be
 * shared (PgBouncer in transaction mode).
 */
export interface Scope {
  /** `EVERY_TENANT`, or the id of one. */
  readonly tenantId: string;
  /**
   * `ordered`: a commit is not waited for on disk. Commits keep their order; a crash of the database's machine or
   * processes may undo the latest of them (up to 0.6 s), never one that a later `synced` commit has followed.
   */
  readonly durability: 'synced' | 'ordered';
  /** Further settings of statements, by name; both are spelled into the SQL. */
  readonly settings?: Readonly<Record<string, string>>;
}

export const EVERY_TENANT = '*';

/** Read by the policies on the tables; see `row-level-security.ts`. */
export const TENANT_SETTING = 'app.tenant_id';

/** How long a transaction may wait for its next statement before the database rolls it back. */
const IDLE_TRANSACTION_MS = 30_000;

/** How much later than the client the database itself gives a statement up: the client has heard of it by then. */
const STATEMENT_GRACE_MS = 1_000;

/** The database would work on for nobody when a client has given up and left. Null: as long as it takes, whatever the role's default. */
function timeoutOf(statementTimeoutMs: number | null): string {
  return String(statementTimeoutMs === null ? 0 : statementTimeoutMs + STATEMENT_GRACE_MS);
}

/** Sent in front of a statement that is a transaction of its own. */
export function scopeOfStatement(
  { tenantId, durability, settings = {} }: Scope,
  statementTimeoutMs: number | null,
): Statement {
  const timed = { ...settings, statement_timeout: timeoutOf(statementTimeoutMs) };
  const further = Object.entries(durability === 'synced' ? timed : { ...timed, synchronous_commit: 'off' });
  return {
    sql: [
      `select set_config('${TENANT_SETTING}', $1, true)`,
      ...further.map(([name, value]) => `set_config('${name}', '${value}', true)`),
    ].join(', '),
    parameters: [tenantId],
  };
}

/**
 * Sent in front of the first statement of a transaction. Those of one tenant take turns, as the store promises: what one
 * has read is still so when it writes. The lock is released by its end. It is the tenant's, not the bot's, because a transaction does
 * not say beforehand what it will touch, and repositories read, decide and write without locks on rows (a lease and the work
 * under it, the state of a source, what is still to be cut). What it costs stands in ARCHITECTURE.md (35).
 */
export function scopeOfTransaction(
  { tenantId, durability }: Scope,
  statementTimeoutMs: number | null,
): readonly Statement[] {
  return [
    { sql: 'begin', parameters: [] },
    {
      sql: `select set_config('${TENANT_SETTING}', $1, true),
        set_config('idle_in_transaction_session_timeout', '${IDLE_TRANSACTION_MS}', true),
        set_config('synchronous_commit', $2, true),
        set_config('statement_timeout', $3, true)`,
      parameters: [tenantId, durability === 'synced' ? 'on' : 'off', timeoutOf(statementTimeoutMs)],
    },
    ...(tenantId === EVERY_TENANT ? [] : [turnOf(tenantId)]),
  ];
}

function turnOf(tenantId: string): Statement {
  return { sql: `select pg_advisory_xact_lock(hashtextextended($1, ${TURN_SEED}))`, parameters: [tenantId] };
}

/** Keeps the locks of turns apart from others that hash texts. */
const TURN_SEED = 7_246_533;
