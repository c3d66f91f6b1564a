import { AppError } from '../../kernel/index.ts';
import { databaseUnavailable } from './sqlite-failure.ts';
import type { Statement, StatementResult, StatementRunner } from './statement.ts';

export type TurnStatement = Omit<Statement, 'within'>;

/** One transaction of the writer. It must be ended by `commit` or `rollback`, once. */
export interface WriteTurn {
  execute(statement: TurnStatement): Promise<StatementResult>;
  /** Resolves when the turn is on disk. */
  commit(): Promise<void>;
  rollback(): Promise<void>;
}

/** The writer, one turn at a time, first come first served. */
export interface WriterTurns {
  begin(): Promise<WriteTurn>;
  /** One statement as a turn of its own. */
  run(statement: TurnStatement): Promise<StatementResult>;
}

/** Turns that share one transaction of the database, and so one sync to disk. */
interface Group {
  turns: number;
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

const MAX_TURNS_IN_GROUP = 16;
const DEFAULT_IDLE_LIMIT_MS = 30_000;

/**
 * Turns over one connection, with group commit: when others wait, a finished turn is not synced alone but leaves its
 * transaction open for the next one, which works under a savepoint; the last of the group syncs for all. Nobody is told
 * that a turn is done before it is on disk, and readers see nothing of a group before that. When the group cannot be
 * committed, all of its turns reject.
 */
export function createWriterTurns({
  writer,
  onAbandoned,
  idleLimitMs = DEFAULT_IDLE_LIMIT_MS,
}: WriterTurnsOptions): WriterTurns {
  const waiting: (() => void)[] = [];
  let held = false;
  let group: Group | null = null;

  function acquire(): Promise<void> {
    if (!held) {
      held = true;
      return Promise.resolve();
    }
    return new Promise((resolve) => waiting.push(resolve));
  }

  function passOn(): void {
    const next = waiting.shift();
    if (next === undefined) held = false;
    else next();
  }

  const control = (sql: string, within: Statement['within'] = 'transaction'): Promise<StatementResult> =>
    writer.execute({ sql, parameters: [], within });

  function openTurn(): WriteTurn {
    const isFirst = group === null;
    const joined = group ?? createGroup();
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
      const sent = isFirst ? control('begin immediate', 'nothing') : control('savepoint turn');
      sent.catch((error: unknown) => {
        joined.lostBy ??= error;
      });
      return sent;
    }

    async function rollback(): Promise<void> {
      if (!end()) return;
      if (isFirst) await abandon(joined, null);
      else await finish(joined, opened === null ? [] : ['rollback to turn', 'release turn']);
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
        await finish(joined, isFirst || opened === null ? [] : ['release turn']);
        await joined.onDisk;
      },
      rollback,
    };
  }

  /** Ends a turn, and its group as well unless others wait to join it. */
  async function finish(joined: Group, statements: readonly string[]): Promise<void> {
    const isLast = waiting.length === 0 || joined.turns >= MAX_TURNS_IN_GROUP;
    try {
      for (const sql of isLast ? [...statements, 'commit'] : statements) await control(sql);
    } catch (error) {
      await abandon(joined, joined.lostBy ?? error);
      return;
    }
    if (!isLast) return passOn();
    joined.resolve();
    leave();
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

  async function runAsTurn(statement: TurnStatement): Promise<StatementResult> {
    const turn = openTurn();
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
    async begin() {
      await acquire();
      return openTurn();
    },
    async run(statement) {
      await acquire();
      if (group !== null || waiting.length > 0) return runAsTurn(statement);
      try {
        return await writer.execute({ ...statement, within: 'nothing' });
      } finally {
        passOn();
      }
    },
  };
}

function createGroup(): Group {
  let resolve = (): void => {};
  let reject = (_error: unknown): void => {};
  const onDisk = new Promise<void>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  // Turns that were rolled back do not wait for it.
  onDisk.catch(() => {});
  return { turns: 0, lostBy: null, onDisk, resolve, reject };
}

/** Whether the engine may have rolled the whole transaction back. */
function isLoss(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'storage_full' || error.code === 'database_unavailable');
}
