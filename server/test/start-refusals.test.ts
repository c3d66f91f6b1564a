import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  describeWithPostgres,
  startTestPostgres,
  type TestPostgres,
} from '../src/adapters/postgres/postgres-server.contract.ts';
import { type BuiltServer, runBuiltCli, startBuiltServer } from './built-server.ts';

// Processes start slowly on a loaded machine.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

const SECRET = 'a secret of the tests, long enough to be one';
const folders: string[] = [];
const newFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-refusal-'));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** What `serve` says when it does not start. */
async function refusal(env: Readonly<Record<string, string>>) {
  const { code, stderr } = await runBuiltCli(['serve', '--port', '0'], {
    env: { CHATSPHERE_DATA_DIR: newFolder(), EMBEDDING_FOLLOWER: 'off', ...env },
  });
  expect(stderr).not.toMatch(/\n\s+at /);
  return { code, stderr };
}

describe('a data folder with another secret', () => {
  it('is not served until the secret is brought back, or given up', async () => {
    const dataFolder = newFolder();
    const env = { EMBEDDING_FOLLOWER: 'off' };
    await (await startBuiltServer({ dataFolder, env })).stop();
    const file = join(dataFolder, 'secret');
    writeFileSync(file, `${'other'.repeat(10)}\n`);
    const refused = await refusal({ CHATSPHERE_DATA_DIR: dataFolder });
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain(file);
    expect(refused.stderr).toContain('--new-secret');
    await (await startBuiltServer({ dataFolder, env, command: ['serve', '--new-secret'] })).stop();
    await (await startBuiltServer({ dataFolder, env })).stop();
  });
});

describeWithPostgres('a database that a server is on', () => {
  let database: TestPostgres;
  let server: BuiltServer;
  let env: Record<string, string>;
  beforeAll(async () => {
    database = await startTestPostgres();
    env = { DATABASE_URL: database.url, CHATSPHERE_SECRET: SECRET, EMBEDDING_FOLLOWER: 'off' };
    server = await startBuiltServer({ env });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.remove();
  });

  it('takes no server and no worker with another secret', async () => {
    const wrong = { ...env, CHATSPHERE_SECRET: SECRET.toUpperCase() };
    const refused = await refusal(wrong);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('Set CHATSPHERE_SECRET to the one of before');
    const worker = await runBuiltCli(['worker', '--port', '0', '--json'], {
      env: { ...wrong, CHATSPHERE_DATA_DIR: newFolder() },
    });
    expect(worker.stderr).toContain('secret_mismatch');
  });

  it('takes none that would keep its vectors in its own memory, and a server that does takes no other', async () => {
    const alone = { ...env, VECTOR_STORE: 'embedded' };
    expect((await refusal(alone)).stderr).toContain('Set VECTOR_STORE=pgvector');
    await server.stop();
    server = await startBuiltServer({ env: alone });
    expect((await refusal(env)).stderr).toContain('Start that one again with VECTOR_STORE=pgvector');
    await server.stop();
    server = await startBuiltServer({ env });
  });

  it('is told from one that is not there, without a password', async () => {
    const url = database.url.replace('chatsphere@', 'chatsphere:the-password@').replace(/chatsphere$/, 'missing');
    const { code, stderr } = await refusal({ ...env, DATABASE_URL: url });
    expect(code).toBe(5);
    expect(stderr).toContain('There is no database "missing"');
    expect(stderr).not.toContain('the-password');
  });
});
