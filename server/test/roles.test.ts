import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type BuiltServer, runBuiltCli, startBuiltServer } from './built-server.ts';

// Processes start slowly on a loaded machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let server: BuiltServer;
beforeAll(async () => {
  server = await startBuiltServer({ env: { EMBEDDING_FOLLOWER: 'off' } });
});
afterAll(() => server.stop());

const codeOf = (stderr: string): unknown => JSON.parse(stderr.trim().split('\n').at(-1) ?? '{}').error?.code;

describe('roles on one data folder', () => {
  it.each([['serve', '--port', '0'], ['serve', '--no-worker', '--port', '0'], ['worker']])(
    'refuses a second process: %s %s',
    async (...command) => {
      const env = { CHATSPHERE_DATA_DIR: server.dataFolder };
      const { code, stderr } = await runBuiltCli([...command, '--json'], { env });
      expect([code, codeOf(stderr)]).toEqual([1, 'data_folder_locked']);
      expect(stderr).toContain('DATABASE_URL');
    },
  );

  it.each([
    { command: ['worker'], env: {} },
    { command: ['serve', '--no-worker'], env: {} },
    { command: ['serve'], env: { ROLE: 'serve' } },
    { command: ['serve'], env: { ROLE: 'worker' } },
  ])('refuses to divide the work without a database that is shared: $command $env', async ({ command, env }) => {
    const settings = { ...env, CHATSPHERE_DATA_DIR: `${server.dataFolder}/unshared` };
    const { stderr } = await runBuiltCli([...command, '--json'], { env: settings });
    expect(codeOf(stderr)).toBe('role_needs_database');
  });

  it('says alive and ready by both spellings', async () => {
    for (const path of ['/health', '/healthz', '/ready', '/readyz']) {
      expect((await fetch(server.url + path)).status).toBe(200);
    }
  });
});
