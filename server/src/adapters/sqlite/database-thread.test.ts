import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../kernel/index.ts';
import { createDatabaseInProcess, createDatabaseThread, startDatabaseWorker } from './database-thread.ts';
import type { StatementRunner } from './statement.ts';

const statement = (sql: string, ...parameters: readonly unknown[]) => ({ sql, parameters, within: 'nothing' as const });
const SLOW = `with recursive n(i) as (select 1 union all select i + 1 from n where i < 1e12) select count(*) from n`;

describe('database thread', () => {
  let folder: string;
  let workers: Worker[];
  let database: StatementRunner;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-thread-'));
    workers = [];
    database = createDatabaseThread({
      file: join(folder, 'thread.db'),
      role: 'writer',
      logger: silentLogger,
      startThread(connection) {
        const worker = startDatabaseWorker(connection);
        workers.push(worker);
        return worker;
      },
    });
  });
  afterEach(async () => {
    await database.stop();
    await rm(folder, { recursive: true });
  });

  it('answers statements in order, also those that fail', async () => {
    await database.execute(statement('create table t (n)'));
    const answers = await Promise.allSettled([
      database.execute(statement('insert into t values (1) returning n')),
      database.execute(statement('insert into nowhere values (1)')),
      database.execute(statement('update t set n = n + 1')),
      database.execute(statement('select n from t')),
    ]);
    expect(answers).toMatchObject([
      { value: { columns: ['n'], rows: [[1]] } },
      { reason: { code: 'internal_error' } },
      { value: { changes: 1 } },
      { value: { rows: [[2]] } },
    ]);
  });

  it('rejects what was under way when the thread died, and goes on with a new one', async () => {
    await database.execute(statement('create table t (n)'));
    await database.execute(statement('begin'));
    await database.execute(statement('insert into t values (1)'));
    const inTransaction = { ...statement('insert into t values (2)'), within: 'transaction' as const };
    const pending = [database.execute(statement('select 1')), database.execute(statement('select 2'))];
    const outcome = Promise.allSettled(pending);
    void workers[0]?.terminate();
    expect((await outcome).at(-1)).toMatchObject({ reason: { code: 'database_unavailable', retryable: true } });
    await expect(database.execute(inTransaction)).rejects.toMatchObject({ code: 'database_unavailable' });
    expect(await database.execute(statement('select n from t'))).toMatchObject({ rows: [] });
    expect(workers).toHaveLength(2);
  });

  it('leaves the calling thread free', async () => {
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
    }, 5);
    await database.execute(statement(SLOW.replace('1e12', '2000000')));
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
  });

  it('refuses after stop', async () => {
    await database.execute(statement('select 1'));
    const last = database.execute(statement('select 2'));
    await database.stop();
    expect(await last).toMatchObject({ rows: [[2]] });
    await expect(database.execute(statement('select 1'))).rejects.toMatchObject({ code: 'database_unavailable' });
  });

  it('opens again when what stood in the way is gone', async () => {
    const file = join(folder, 'no-folder', 'x.db');
    const other = createDatabaseThread({ file, role: 'writer', logger: silentLogger });
    await expect(other.execute(statement('select 1'))).rejects.toMatchObject({ code: 'database_unavailable' });
    await other.stop();
    const damaged = join(folder, 'damaged.db');
    await writeFile(damaged, 'this is no database, whatever its name says. '.repeat(100));
    const third = createDatabaseInProcess({ file: damaged, role: 'writer' });
    await expect(third.execute(statement('select 1'))).rejects.toMatchObject({ code: 'database_unavailable' });
  });
});

describe('connection', () => {
  it('keeps values as they are', async () => {
    const database = createDatabaseInProcess({ file: ':memory:', role: 'writer' });
    const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
    const { rows } = await database.execute(
      statement('select typeof(?1), ?1, typeof(?2), ?2, ?3, ?4, ?5', 5, 0.5, 1_700_000_000_000, 'a\0b', bytes),
    );
    const [row = []] = rows;
    expect(row.slice(0, 6)).toEqual(['integer', 5, 'real', 0.5, 1_700_000_000_000, 'a\uFFFDb']);
    expect([...(row[6] as Uint8Array)]).toEqual([2, 3]);
    for (const unsupported of [undefined, {}, new Date(), [1]]) {
      await expect(database.execute(statement('select ?', unsupported))).rejects.toMatchObject({
        code: 'internal_error',
      });
    }
    expect(await database.execute(statement('select ?', true))).toMatchObject({ rows: [[1]] });
  });
});
