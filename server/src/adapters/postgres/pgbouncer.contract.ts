import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe } from 'vitest';
import { freePort } from '../../../../bench/lib/brokers.mjs';
import { postgresPrograms, type TestPostgres } from './postgres-server.contract.ts';

/** A PgBouncer of its own for tests, which pools by transaction. */
export interface TestPgBouncer {
  readonly url: string;
  stop(): Promise<void>;
}

const PROGRAM = '/usr/sbin/pgbouncer';

/** A suite that needs a real PgBouncer before a real PostgreSQL. */
export function describeWithPgBouncer(name: string, suite: () => void): void {
  const isThere = existsSync(PROGRAM) && postgresPrograms !== null;
  if (isThere || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (PgBouncer or PostgreSQL is not installed)`, suite);
}

/** `connections`: to the database; fewer than the clients have, they share them. */
export async function startPgBouncer(
  database: TestPostgres,
  { connections }: { readonly connections: number },
): Promise<TestPgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-pgbouncer-'));
  const port = await freePort();
  const settings = join(folder, 'pgbouncer.ini');
  const users = join(folder, 'users.txt');
  writeFileSync(users, '"chatsphere" ""\n');
  writeFileSync(
    settings,
    `[databases]
* = host=127.0.0.1 port=${database.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${connections}
max_client_conn = 200
`,
  );
  const isRoot = process.getuid?.() === 0;
  const idOf = (kind: '-u' | '-g') => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }));
  const user = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : {};
  if (user.uid !== undefined) for (const path of [folder, settings, users]) chownSync(path, user.uid, user.gid);
  const child: ChildProcess = spawn(PROGRAM, [settings], { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  if (child.stderr === null) throw new Error('PgBouncer has no output.');
  const lines = createInterface({ input: child.stderr });
  await Promise.race([
    new Promise<void>((resolve) => {
      lines.on('line', (line) => {
        if (line.includes('process up')) resolve();
      });
    }),
    exited.then(([code]) => Promise.reject(new Error(`PgBouncer ended with code ${code}`))),
  ]);
  return {
    url: `postgres://chatsphere@127.0.0.1:${port}/chatsphere`,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
