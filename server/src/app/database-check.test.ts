import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  describeWithPgvector,
  startTestPostgres,
  type TestPostgres,
} from '../adapters/postgres/postgres-server.contract.ts';
import { checkDatabase } from './database-check.ts';

it('has nothing to say of the embedded database', async () => {
  expect(await checkDatabase({ database: null, vectorStore: 'embedded' })).toMatchObject({ level: 'ok' });
});

it('rejects when nobody answers', async () => {
  const url = 'postgres://nobody@127.0.0.1:1/nothing';
  const database = { url, listenUrl: url, connections: 2 };
  await expect(checkDatabase({ database, vectorStore: 'pgvector' })).rejects.toMatchObject({
    code: 'database_unavailable',
  });
});

describeWithPgvector('the check of a PostgreSQL', () => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startTestPostgres();
  });
  afterAll(() => server?.remove());

  const check = (url: string) =>
    checkDatabase({ database: { url, listenUrl: url, connections: 2 }, vectorStore: 'pgvector' });

  it('names the versions of a database that will do', async () => {
    const result = await check(server.url);
    expect(result.level).toBe('ok');
    expect(result.detail).toMatch(/^PostgreSQL \d+\.\d+.*, pgvector \d+\.\d+\.\d+ answers in/);
  });

  it('warns of a user whom row-level security does not bind', async () => {
    expect(await check(server.superuserUrl)).toMatchObject({
      level: 'warn',
      detail: expect.stringContaining('row-level'),
    });
  });

  it('finds out that the extension is missing, and that the user may not create tables', async () => {
    const maintenance = server.superuserUrl.replace(/chatsphere$/, 'postgres');
    expect(await check(maintenance)).toMatchObject({ level: 'fail', detail: expect.stringContaining('pgvector') });
    const foreign = server.url.replace(/chatsphere$/, 'postgres');
    expect(await check(foreign)).toMatchObject({ level: 'fail', detail: expect.stringContaining('may not create') });
  });
});
