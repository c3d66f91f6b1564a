import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDatabaseInProcess } from './database-thread.ts';
import { databaseUnavailable } from './sqlite-failure.ts';
import type { Statement, StatementRunner } from './statement.ts';
import { createWriterTurns, type WriterTurns } from './writer-turns.ts';

const statement = (sql: string, ...parameters: readonly unknown[]) => ({ sql, parameters });
const insert = (value: number | string) => statement('insert into numbers (value) values (?)', value);

describe('writer turns', () => {
  let folder: string;
  let database: StatementRunner;
  let ran: string[];
  let turns: WriterTurns;
  let abandoned: number;
  let refuseOnce: string | null;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-turns-'));
    database = createDatabaseInProcess({ file: join(folder, 'turns.db'), role: 'writer' });
    ran = [];
    abandoned = 0;
    refuseOnce = null;
    const recorded: StatementRunner = {
      execute(request: Statement) {
        ran.push(request.sql);
        if (request.sql === refuseOnce) {
          refuseOnce = null;
          return Promise.reject(databaseUnavailable());
        }
        return database.execute(request);
      },
      stop: () => database.stop(),
    };
    turns = createWriterTurns({
      writer: recorded,
      idleLimitMs: 50,
      onAbandoned: () => {
        abandoned += 1;
      },
    });
    await turns.run(statement('create table numbers (value unique)'), 'synced');
    ran = [];
  });
  afterEach(async () => {
    await database.stop();
    await rm(folder, { recursive: true });
  });

  const stored = async (): Promise<readonly unknown[]> => {
    const { rows } = await database.execute({
      ...statement('select value from numbers order by 1'),
      within: 'nothing',
    });
    return rows.map(([value]) => value);
  };

  it('runs a lone statement without a transaction around it', async () => {
    await turns.run(insert(1), 'synced');
    expect(ran).toEqual([insert(1).sql]);
  });

  it('commits those that wait together, and tells none of them before that', async () => {
    const done: number[] = [];
    const first = await turns.begin('synced');
    await first.execute(insert(0));
    const writes = Array.from({ length: 9 }, async (_, count) => {
      await turns.run(insert(count + 1), 'synced');
      expect(ran).toContain('commit');
      done.push(count);
    });
    await first.commit();
    await Promise.all(writes);
    expect(ran.filter((sql) => sql === 'commit')).toHaveLength(1);
    expect(done).toHaveLength(9);
    expect(await stored()).toHaveLength(10);
  });

  it('does not let a group grow without end', async () => {
    await Promise.all(Array.from({ length: 60 }, (_, count) => turns.run(insert(count), 'synced')));
    expect(ran.filter((sql) => sql === 'commit').length).toBeGreaterThanOrEqual(3);
    expect(await stored()).toHaveLength(60);
  });

  it('syncs what asks for it, and never leaves it in a group that does not', async () => {
    await turns.run(insert(1), 'ordered');
    await turns.run(insert(2), 'synced');
    expect(ran).toEqual(['pragma synchronous = normal', insert(1).sql, 'pragma synchronous = full', insert(2).sql]);
    ran = [];
    const background = await turns.begin('ordered');
    await background.execute(insert(3));
    const synced = turns.run(insert(4), 'synced');
    await Promise.all([background.commit(), synced]);
    expect(ran.filter((sql) => !sql.startsWith('insert'))).toEqual([
      'pragma synchronous = normal',
      'begin immediate',
      'commit',
      'pragma synchronous = full',
    ]);
    expect(await stored()).toEqual([1, 2, 3, 4]);
  });

  it('lets ordered turns join a synced group', async () => {
    const first = await turns.begin('synced');
    await first.execute(insert(1));
    const others = [turns.run(insert(2), 'ordered'), turns.run(insert(3), 'synced')];
    await Promise.all([first.commit(), ...others]);
    expect(ran.filter((sql) => sql === 'commit')).toHaveLength(1);
    expect(ran.some((sql) => sql.startsWith('pragma'))).toBe(false);
  });

  describe('when the database refuses to sync', () => {
    const SYNC = 'pragma synchronous = full';

    it.each([
      ['a lone statement', () => turns.run(insert(2), 'synced')],
      [
        'a turn',
        async () => {
          const turn = await turns.begin('synced');
          await turn.execute(insert(2));
          await turn.commit();
        },
      ],
    ])('fails %s, and asks again', async (_, write) => {
      await turns.run(insert(1), 'ordered');
      refuseOnce = SYNC;
      await expect(write()).rejects.toMatchObject({ code: 'database_unavailable' });
      ran = [];
      await turns.run(insert(3), 'synced');
      expect(ran).toEqual([SYNC, insert(3).sql]);
    });

    it('fails every turn of the group, and keeps none of them', async () => {
      await turns.run(insert(1), 'ordered');
      refuseOnce = SYNC;
      const first = await turns.begin('synced');
      const others = [turns.run(insert(3), 'synced'), turns.run(insert(4), 'synced')];
      await first.execute(insert(2));
      const outcomes = await Promise.allSettled([first.commit(), ...others]);
      expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'database_unavailable' } });
      await turns.run(insert(5), 'synced');
      const kept = await stored();
      expect(kept).not.toContain(2);
      expect(kept).toContain(5);
      outcomes.slice(1).forEach(({ status }, position) => {
        expect(kept.includes(3 + position)).toBe(status === 'fulfilled');
      });
      expect(ran.indexOf(SYNC)).toBeLessThan(ran.lastIndexOf(SYNC));
    });
  });

  it('undoes a failed turn alone', async () => {
    const outcomes = await Promise.allSettled([1, 2, 2, 3, 1, 4].map((value) => turns.run(insert(value), 'synced')));
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual([true, true, false, true, false, true]);
    expect(await stored()).toEqual([1, 2, 3, 4]);
  });

  it('rejects every turn of a group that a full disk has undone, and heals', async () => {
    const { rows } = await database.execute({ ...statement('pragma page_count'), within: 'nothing' });
    const limit = Number(rows[0]?.[0]) + 4;
    await database.execute({ ...statement(`pragma max_page_count = ${limit}`), within: 'nothing' });
    const first = await turns.begin('synced');
    await first.execute(insert(1));
    const second = turns.run(insert('x'.repeat(100_000)), 'synced');
    const outcomes = await Promise.allSettled([first.commit(), second]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ reason: { code: 'storage_full', retryable: true } });
    expect(await stored()).toEqual([]);
    await database.execute({ ...statement('pragma max_page_count = 100000'), within: 'nothing' });
    await turns.run(insert(2), 'synced');
    expect(await stored()).toEqual([2]);
  });

  it('refuses statements of a turn whose transaction is gone', async () => {
    const turn = await turns.begin('synced');
    await turn.execute(insert(1));
    await database.execute({ ...statement('rollback'), within: 'nothing' });
    await expect(turn.execute(insert(2))).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(turn.commit()).rejects.toMatchObject({ code: 'database_unavailable' });
    await turns.run(insert(3), 'synced');
    expect(await stored()).toEqual([3]);
  });

  it('gives the writer back from a turn that forgot it', async () => {
    const forgotten = await turns.begin('synced');
    await forgotten.execute(insert(1));
    await turns.run(insert(2), 'synced');
    expect(abandoned).toBe(1);
    expect(await stored()).toEqual([2]);
    await expect(forgotten.execute(insert(3))).rejects.toMatchObject({ code: 'database_unavailable' });
    await expect(forgotten.commit()).rejects.toMatchObject({ code: 'database_unavailable' });
    await forgotten.rollback();
    expect(await stored()).toEqual([2]);
  });

  it('ends turns in which nothing happened', async () => {
    const [first, second] = [await turns.begin('synced'), turns.begin('synced')];
    await first.commit();
    await (await second).rollback();
    await turns.run(insert(1), 'synced');
    expect(ran).not.toContain('begin immediate');
    expect(await stored()).toEqual([1]);
  });
});
