import type { Worker } from 'node:worker_threads';
import type { Logger } from '../../kernel/index.ts';
import { startWorker, workerModule } from '../../resilience/index.ts';
import { type Connection, type ConnectionOptions, openConnection } from './connection.ts';
import { databaseUnavailable, toAppError } from './sqlite-failure.ts';
import type { Statement, StatementFailure, StatementResult, StatementRunner } from './statement.ts';

/** Statements that were asked for in one go travel together: waking a thread costs more than most of them. */
export type ThreadRequest =
  | { readonly type: 'execute'; readonly statements: readonly NumberedStatement[] }
  | { readonly type: 'close' };

interface NumberedStatement {
  readonly id: number;
  readonly statement: Statement;
}

export type ThreadReply =
  | { readonly id: number; readonly result: StatementResult }
  | { readonly id: number; readonly failure: StatementFailure };

interface Pending {
  readonly resolve: (result: StatementResult) => void;
  readonly reject: (error: unknown) => void;
}

interface Member {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
  /** Not sent yet: it goes out when the code that is running now, and what follows from it at once, is through. */
  outbox: NumberedStatement[];
  readonly ended: Promise<void>;
}

export interface DatabaseThreadOptions extends ConnectionOptions {
  readonly logger: Logger;
  /** Starts the thread; replaced by tests that end it. */
  readonly startThread?: (connection: ConnectionOptions) => Worker;
}

/**
 * A connection in a thread of its own. Statements are sent without waiting for earlier answers. When the thread dies,
 * statements without an answer reject with `database_unavailable` and the next one starts a new thread. An idle
 * thread does not keep the process alive.
 */
export function createDatabaseThread({ file, role, logger, startThread }: DatabaseThreadOptions): StatementRunner {
  let member: Member | null = null;
  let stopped = false;
  let lastId = 0;

  function startMember(): Member {
    const worker = (startThread ?? startDatabaseWorker)({ file, role });
    const pending = new Map<number, Pending>();
    const ended = new Promise<void>((resolve) => {
      worker.on('exit', () => resolve());
    });
    const started: Member = { worker, pending, outbox: [], ended };
    worker.on('message', (replies: readonly ThreadReply[]) => settle(started, replies));
    worker.on('error', (error) => logger.error({ role, error }, 'the database thread failed'));
    worker.on('exit', () => {
      if (member === started) member = null;
      for (const { reject } of pending.values()) reject(databaseUnavailable());
      pending.clear();
    });
    worker.unref();
    return started;
  }

  return {
    execute(statement) {
      if (stopped) return Promise.reject(databaseUnavailable());
      member ??= startMember();
      const sender = member;
      lastId += 1;
      const id = lastId;
      return new Promise((resolve, reject) => {
        if (sender.pending.size === 0) sender.worker.ref();
        sender.pending.set(id, { resolve, reject });
        sender.outbox.push({ id, statement });
        if (sender.outbox.length === 1) afterMicrotasks(() => send(sender));
      });
    },
    async stop() {
      stopped = true;
      if (member === null) return;
      send(member);
      member.worker.ref();
      member.worker.postMessage({ type: 'close' } satisfies ThreadRequest);
      await member.ended;
    },
  };
}

/** The thread of one connection. */
export function startDatabaseWorker(connection: ConnectionOptions): Worker {
  return startWorker({ module: workerModule(import.meta.url, './database-worker'), workerData: connection });
}

/** One answer often sets several chains of statements going: what they ask for next is gathered, too. */
function afterMicrotasks(act: () => void): void {
  queueMicrotask(() => process.nextTick(act));
}

function send(member: Member): void {
  const statements = member.outbox;
  if (statements.length === 0) return;
  member.outbox = [];
  member.worker.postMessage({ type: 'execute', statements } satisfies ThreadRequest);
}

function settle({ worker, pending }: Member, replies: readonly ThreadReply[]): void {
  for (const reply of replies) {
    const waiting = pending.get(reply.id);
    pending.delete(reply.id);
    if ('result' in reply) waiting?.resolve(reply.result);
    else waiting?.reject(toAppError(reply.failure));
  }
  if (pending.size === 0) worker.unref();
}

/** A connection in the calling thread, which it blocks. For databases in memory, in tests. */
export function createDatabaseInProcess(options: ConnectionOptions): StatementRunner {
  let connection: Connection | null = null;
  let stopped = false;
  return {
    async execute(statement) {
      if (stopped) throw databaseUnavailable();
      try {
        connection ??= openConnection(options);
        return connection.execute(statement);
      } catch (failure) {
        throw toAppError(failure as StatementFailure);
      }
    },
    async stop() {
      stopped = true;
      connection?.close();
      connection = null;
    },
  };
}
