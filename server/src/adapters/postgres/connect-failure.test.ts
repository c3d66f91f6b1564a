import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../../../bench/lib/brokers.mjs';
import { silentLogger } from '../../kernel/index.ts';
import { toConnectError } from './connect-failure.ts';
import { inspectPostgres, openPostgresForFilling, openPostgresSnapshot } from './index.ts';
import { describeWithPgBouncer, startPgBouncer, type TestPgBouncer } from './pgbouncer.contract.ts';
import { PostgresFailure } from './postgres-failure.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const WRONG = 'w%40rong-password';

describeWithPostgres('what keeps a process from connecting', () => {
  let folder: string;
  let server: TestPostgres;
  let other: Server;
  let at: (user: string, database?: string) => string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'chatsphere-hba-'));
    const rules = join(folder, 'pg_hba.conf');
    const allow = (user: string, how: string) => `host all ${user} 127.0.0.1/32 ${how}\n`;
    writeFileSync(rules, allow('chatsphere', 'trust') + allow('postgres', 'trust') + allow('locked', 'scram-sha-256'));
    chmodSync(folder, 0o755);
    server = await startTestPostgres({ settings: { hba_file: rules } });
    const client = new Client({ connectionString: server.superuserUrl });
    await client.connect();
    await client.query("create role locked login password 'r@ight'; create role barred login");
    await client.end();
    at = (user, database = 'chatsphere') => `postgres://${user}@127.0.0.1:${server.port}/${database}`;
    // Talks to nobody.
    other = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  });
  afterAll(async () => {
    other?.close();
    await server?.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  const failure = async (url: string): Promise<Error> => {
    const error = await inspectPostgres(url).then(
      () => null,
      (cause: unknown) => cause,
    );
    expect(error).toMatchObject({ code: 'database_unavailable' });
    expect((error as Error).message).not.toContain('rong-password');
    return error as Error;
  };

  it('lets in who has the password', async () => {
    expect(await inspectPostgres(at('locked:r%40ight'))).toMatchObject({ majorVersion: expect.any(Number) });
  });

  it.each([
    ['a database that is not there', () => at('chatsphere', 'missing'), 'There is no database "missing"'],
    ['a wrong password', () => at(`locked:${WRONG}`), 'refuses the password of the user "locked"'],
    ['no password', () => at('locked'), 'refuses the password of the user "locked"'],
    ['a user that is not there', () => at(`nobody:${WRONG}`), 'as the user "nobody"'],
    ['a user that may not come from here', () => at(`barred:${WRONG}`), 'pg_hba.conf'],
    [
      'a host without an address',
      () => `postgres://u:${WRONG}@no-such-host.invalid/d`,
      'no-such-host.invalid:5432 is not',
    ],
    ['encryption that the server has not', () => `${at('chatsphere')}?sslmode=require`, 'sslmode'],
  ])('says what to do about %s', async (_, url, says) => {
    const { message } = await failure(url());
    expect(message).toContain(says);
    expect(message).toContain('DATABASE_URL');
  });

  it('says that nobody listens, or that it is no PostgreSQL', async () => {
    const port = await freePort();
    expect((await failure(`postgres://u:${WRONG}@127.0.0.1:${port}/d`)).message).toContain(
      `Nobody listens at 127.0.0.1:${port}`,
    );
    const { port: wrong } = other.address() as { port: number };
    expect((await failure(`postgres://u:${WRONG}@127.0.0.1:${wrong}/d`)).message).toContain(
      'Check that it is PostgreSQL',
    );
  });

  it('says the same before a backup, a migration or a restore', async () => {
    for (const open of [openPostgresForFilling, openPostgresSnapshot]) {
      const opening = open({ url: at('chatsphere', 'missing'), logger: silentLogger });
      await expect(opening).rejects.toThrow('There is no database "missing"');
    }
  });

  it.each([
    ['3D000', 'database "d" does not exist', 'There is no database "d"'],
    ['08P01', 'no such database: d', 'There is no database "d"'],
    ['08P01', 'server login failed: FATAL database "d" does not exist', 'There is no database "d"'],
    ['08P01', 'server login failed: FATAL role "u" does not exist', 'lets nobody in as the user "u"'],
    ['28000', 'role "u" does not exist', 'lets nobody in as the user "u"'],
    ['08P01', 'server login failed: wrong password type', 'refuses the password of the user "u"'],
  ])('tells a database that is not there from a user that is not: %s %s', (code, message, says) => {
    const failure = new PostgresFailure({ code, message });
    expect(toConnectError(failure, 'postgres://u:p@h:6432/d').message).toContain(says);
  });

  describeWithPgBouncer('through PgBouncer', () => {
    let pooler: TestPgBouncer;
    beforeAll(async () => {
      pooler = await startPgBouncer(server, { connections: 2 });
    });
    afterAll(() => pooler?.stop());

    it('says what PgBouncer says', async () => {
      expect((await failure(pooler.url.replace(/chatsphere$/, 'missing'))).message).toContain('no database "missing"');
      expect((await failure(pooler.url.replace('//chatsphere@', `//nobody:${WRONG}@`))).message).toContain('"nobody"');
    });
  });
});
