import { AppError } from '../../kernel/index.ts';
import { databaseUnavailable } from './sqlite-failure.ts';
import type { Statement, StatementResult, StatementRunner } from './statement.ts';

export type TurnStatement = Omit<Statement, 'within'>;

/** One transaction of the writer. It must be ended by `commit` or `rollback`, once. */
export interface WriteTurn {
  execute(statement: TurnStatement): Promise<StatementResult>;
  /** Resolves when the turn is as durable as was asked for. */
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/**
 * What a turn survives. `synced`: everything. `ordered`: the death of the process; a loss of power may undo the latest
 * turns, each whole and in order, up to the last synced one.
 */
export type Durability = 'synced' | 'ordered';

/** The writer, one turn at a time, first come first served. */
export interface WriterTurns {
  begin(durability: Durability): Promise<WriteTurn>;
  /** One statement as a turn of its own. */
  run(statement: TurnStatement, durability: Durability): Promise<StatementResult>;
}

/** Turns that share one transaction of the database, and so one sync to disk. */
interface Group {
  readonly durability: Durability;
  /** Ended ones. */
  turns: number;
  /** Rejects when the database could not be told how durable the group is to be: it must not be committed then. */
  prepared: Promise<void>;
  /** Why the database rolled it back, once it has. */
  lostBy: unknown;
  readonly onDisk: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface WriterTurnsOptions {
  readonly writer: StatementRunner;
  /** Told when a turn was rolled back because it sat idle for `idleLimitMs`: whoever holds it waits for something else. */
  readonly onAbandoned: () => void;
  readonly idleLimitMs?: number;
}

interface Waiting {
  readonly durability: Durability;
  readonly start: () => void;
}

const SYNCHRONOUS: Readonly<Record<Durability, string>> = { synced: 'full', ordered: 'normal' };
const MAX_TURNS_IN_GROUP = 16;
const DEFAULT_IDLE_LIMIT_MS = 30_000;

/**
 * Turns over one connection, with group commit: when others wait, a finished turn is not synced alone but leaves its
 * transaction open for the next one, which works under a savepoint; the last of the group syncs for all. Nobody is told
 * that a turn is done before its group is, and readers see nothing of a group before that. When the group cannot be
 * committed, all of its turns reject. A synced turn joins no group that is merely ordered.
 */
export function createWriterTurns({
  writer,
  onAbandoned,
  idleLimitMs = DEFAULT_IDLE_LIMIT_MS,
}: WriterTurnsOptions): WriterTurns {
  const waiting: Waiting[] = [];
  let held = false;
  let group: Group | null = null;
  /** What the connection was last told, null when it may not have heard; a new one begins as `synced`, never too little. */
  let durabilityNow: Durability | null = 'synced';

  function acquire(durability: Durability): Promise<void> {
    if (!held) {
      held = true;
      return Promise.resolve();
    }
    return new Promise((start) => waiting.push({ durability, start }));
  }

  function passOn(): void {
    const next = waiting.shift();
    if (next === undefined) held = false;
    else next.start();
  }

  /** Travels with the statement that follows it. Rejects when that is not certain to be as durable as asked for. */
  async function setDurability(durability: Durability): Promise<void> {
    if (durability === durabilityNow) return;
    durabilityNow = durability;
    try {
      await control(`pragma synchronous = ${SYNCHRONOUS[durability]}`, 'nothing');
    } catch (error) {
      durabilityNow = null;
      if (durability === 'synced') throw error;
    }
  }

  const control = (sql: string, within: Statement['within'] = 'transaction'): Promise<StatementResult> =>
    writer.execute({ sql, parameters: [], within });

  function openTurn(durability: Durability): WriteTurn {
    const isFirst = group === null;
    const joined = group ?? createGroup(durability);
    group = joined;
    let opened: Promise<unknown> | null = null;
    let hasEnded = false;
    let running = 0;
    let idleTimer = setIdleTimer();

    function setIdleTimer(): NodeJS.Timeout {
      const timer = setTimeout(() => {
        onAbandoned();
        void rollback();
      }, idleLimitMs);
      timer.unref();
      return timer;
    }

    /** True for the first call alone. */
    function end(): boolean {
      clearTimeout(idleTimer);
      const isFirstEnd = !hasEnded;
      hasEnded = true;
      return isFirstEnd;
    }

    /** Sent together with the first statement, which the connection refuses when this one failed. */
    function open(): Promise<unknown> {
      if (isFirst) joined.prepared = setDurability(durability);
      const sent = isFirst ? control('begin immediate', 'nothing') : control('savepoint turn');
      for (const step of [joined.prepared, sent]) {
        step.catch((error: unknown) => {
          joined.lostBy ??= error;
        });
      }
      return sent;
    }

    async function rollback(): Promise<void> {
      if (!end()) return;
      // Counted too: who tries again and again would else keep its group from ever being committed.
      joined.turns += 1;
      if (isFirst) await abandon(joined, null);
      else await finish(joined, opened === null ? 'nothing' : 'undone');
    }

    return {
      async execute(statement) {
        if (hasEnded) throw databaseUnavailable();
        clearTimeout(idleTimer);
        running += 1;
        opened ??= open();
        try {
          return await writer.execute({ ...statement, within: 'transaction' });
        } catch (error) {
          await opened;
          if (isLoss(error)) joined.lostBy ??= error;
          throw error;
        } finally {
          running -= 1;
          if (running === 0 && !hasEnded) idleTimer = setIdleTimer();
        }
      },
      async commit() {
        if (!end()) throw databaseUnavailable();
        if (isFirst && opened === null) return leave();
        joined.turns += 1;
        await finish(joined, isFirst || opened === null ? 'nothing' : 'kept');
        await joined.onDisk;
      },
      rollback,
    };
  }

  /** Ends a turn, and its group as well unless others wait to join it. */
  async function finish(joined: Group, savepoint: 'nothing' | 'kept' | 'undone'): Promise<void> {
    const next = waiting[0];
    const mayJoin = next !== undefined && (joined.durability === 'synced' || next.durability === 'ordered');
    const isLast = !mayJoin || joined.turns >= MAX_TURNS_IN_GROUP;
    try {
      await joined.prepared;
      if (savepoint === 'undone') await control('rollback to turn');
      // A commit releases the savepoints that are left.
      if (isLast) await control('commit');
    } catch (error) {
      await abandon(joined, joined.lostBy ?? error);
      return;
    }
    if (!isLast) {
      if (savepoint !== 'nothing') releaseSavepoint(joined);
      return passOn();
    }
    joined.resolve();
    leave();
  }

  /** Travels with the first statement of the next turn. It can fail only when the transaction is gone, as that one does. */
  function releaseSavepoint(joined: Group): void {
    control('release turn').catch((error: unknown) => {
      joined.lostBy ??= error;
    });
  }

  async function abandon(joined: Group, cause: unknown): Promise<void> {
    await control('rollback', 'nothing').catch(() => {});
    joined.reject(cause ?? databaseUnavailable());
    leave();
  }

  function leave(): void {
    group = null;
    passOn();
  }

  async function runAsTurn(statement: TurnStatement, durability: Durability): Promise<StatementResult> {
    const turn = openTurn(durability);
    let result: StatementResult;
    try {
      result = await turn.execute(statement);
    } catch (error) {
      await turn.rollback();
      throw error;
    }
    await turn.commit();
    return result;
  }

  return {
    async begin(durability) {
      await acquire(durability);
      return openTurn(durability);
    },
    async run(statement, durability) {
      await acquire(durability);
      if (group !== null || waiting.length > 0) return runAsTurn(statement, durability);
      try {
        const prepared = setDurability(durability);
        const [result] = await Promise.all([writer.execute({ ...statement, within: 'nothing' }), prepared]);
        return result;
      } finally {
        passOn();
      }
    },
  };
}

function createGroup(durability: Durability): Group {
  let resolve = (): void => {};
  let reject = (_error: unknown): void => {};
  const onDisk = new Promise<void>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  // Turns that were rolled back do not wait for it.
  onDisk.catch(() => {});
  return { durability, turns: 0, prepared: Promise.resolve(), lostBy: null, onDisk, resolve, reject };
}

/** Whether the engine may have rolled the whole transaction back. */
function isLoss(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'storage_full' || error.code === 'database_unavailable');
}
