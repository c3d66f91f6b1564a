import { sql } from 'kysely';
import { describe, expect, it } from 'vitest';
import { createKyselyDialect } from './kysely-dialect.ts';
import { createPipelinedDatabase } from './pipelined-database.ts';
import type { Statement, StatementResult } from './statement.ts';
import { createWriterTurns } from './writer-turns.ts';

/** A database whose answers come when they are let through. */
function openHeld() {
  const asked: string[] = [];
  const answers: (() => void)[] = [];
  let held = true;
  const writer = {
    execute({ sql: text }: Statement): Promise<StatementResult> {
      asked.push(text);
      const result = { columns: [], rows: [], changes: 0 };
      return held ? new Promise((resolve) => answers.push(() => resolve(result))) : Promise.resolve(result);
    },
    stop: async () => {},
  };
  const turns = createWriterTurns({ writer, onAbandoned: () => {} });
  const writes = { version: () => 0, concerns: () => false, begin: () => () => {} };
  const dialect = createKyselyDialect({ writer, reader: null, turns, durability: 'ordered', writes });
  return {
    asked,
    database: createPipelinedDatabase(dialect),
    answerAll() {
      held = false;
      for (const answer of answers.splice(0)) answer();
    },
  };
}

describe('transactions of the pipelined database', () => {
  it('ask for a statement before the answer to the one before has come', async () => {
    const { asked, database, answerAll } = openHeld();
    const statements = ['insert into one', 'insert into two', 'insert into three'];
    const done = database
      .transaction()
      .execute((transaction) => Promise.all(statements.map((text) => sql.raw(text).execute(transaction))));
    await new Promise(setImmediate);
    expect(asked.slice(-3)).toEqual(statements);
    answerAll();
    await done;
    expect(asked.at(-1)).toBe('commit');
  });
});
