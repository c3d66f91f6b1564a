import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { describe } from 'vitest';
import { freePort } from '../../../../bench/lib/brokers.mjs';

/** A PostgreSQL of its own for tests: on a free port of this machine, in a folder that goes with it. */
export interface TestPostgres {
  /** Of the database `chatsphere`, as its owner, who is not a superuser: row-level security binds them. */
  readonly url: string;
  /** The same as a superuser. */
  readonly superuserUrl: string;
  readonly port: number;
  /** Makes an empty database of the same owner, with pgvector unless it is not wanted, and gives its address. */
  createDatabase(name: string, options?: { readonly pgvector: boolean }): Promise<string>;
  /** Ends it: `fast` as an administrator does, `kill` with all its processes at once. `start` begins it again as it was. */
  stop(how?: 'fast' | 'kill'): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  remove(): Promise<void>;
}

export interface TestPostgresOptions {
  /** Waits for the disk, for tests of what survives; else it is quicker without. */
  readonly durable?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
}

const VERSIONS = '/usr/lib/postgresql';
const OWNER = 'chatsphere';
const SUPERUSER = 'postgres';

/** The folder of the newest version's programs; null: no PostgreSQL server on this machine. */
export const postgresPrograms = findPrograms();

/** Whether the server has pgvector. */
export const hasPgvector =
  postgresPrograms !== null &&
  existsSync(join('/usr/share/postgresql', postgresPrograms.split('/')[4] ?? '', 'extension', 'vector.control'));

/** A suite that needs a real PostgreSQL. On machines without it it is skipped by name; continuous integration must have it. */
export function describeWithPostgres(name: string, suite: () => void): void {
  if (postgresPrograms !== null || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (PostgreSQL is not installed)`, suite);
}

/** A suite that needs a real PostgreSQL with pgvector. */
export function describeWithPgvector(name: string, suite: () => void): void {
  if (hasPgvector || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (pgvector is not installed)`, suite);
}

/** Makes a cluster and starts it. */
export async function startTestPostgres({
  durable = false,
  settings = {},
}: TestPostgresOptions = {}): Promise<TestPostgres> {
  if (postgresPrograms === null) throw new Error(`No PostgreSQL server in ${VERSIONS}.`);
  const programs = postgresPrograms;
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-postgres-'));
  const user = unprivilegedUser();
  if (user !== null) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  const data = join(folder, 'data');
  execFileSync(
    join(programs, 'initdb'),
    ['-D', data, '-U', SUPERUSER, '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync'],
    { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const chosen = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: folder,
    max_connections: '60',
    shared_buffers: '64MB',
    logging_collector: 'off',
    autovacuum: 'off',
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
    ...settings,
  };
  let server: ChildProcess | null = null;

  async function start(): Promise<void> {
    const args = ['-D', data, ...Object.entries(chosen).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
    // In a group of its own, so that it can be killed with its children.
    const begun = spawn(join(programs, 'postgres'), args, {
      ...user,
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    server = begun;
    const said: string[] = [];
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: begun.stderr }).on('line', (line) => {
        said.push(line);
        if (line.includes('ready to accept connections')) resolve();
      });
    });
    await Promise.race([
      ready,
      once(begun, 'exit').then(([code]) => {
        throw new Error(`PostgreSQL ended with code ${code}: ${said.join('\n')}`);
      }),
    ]);
  }

  async function stop(how: 'fast' | 'kill' = 'fast'): Promise<void> {
    const ending = server;
    server = null;
    if (ending?.pid === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const exited = once(ending, 'exit');
    if (how === 'kill') process.kill(-ending.pid, 'SIGKILL');
    else ending.kill('SIGINT');
    await exited;
  }

  const address = (role: string, database: string) => `postgres://${role}@127.0.0.1:${port}/${database}`;

  async function createDatabase(name: string, { pgvector } = { pgvector: hasPgvector }): Promise<string> {
    await asSuperuser(address(SUPERUSER, 'postgres'), `create database ${name} owner ${OWNER}`);
    // pgvector is not a trusted extension: an administrator creates it.
    if (pgvector) await asSuperuser(address(SUPERUSER, name), 'create extension vector');
    return address(OWNER, name);
  }

  await start();
  await asSuperuser(address(SUPERUSER, 'postgres'), `create role ${OWNER} login`);
  const url = await createDatabase('chatsphere');
  return {
    url,
    superuserUrl: address(SUPERUSER, 'chatsphere'),
    port,
    createDatabase,
    stop,
    start,
    async remove() {
      await stop('kill');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function asSuperuser(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const idOf = (kind: '-u' | '-g') => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }));
  return { uid: idOf('-u'), gid: idOf('-g') };
}

function findPrograms(): string | null {
  if (!existsSync(VERSIONS)) return null;
  const versions = readdirSync(VERSIONS).filter((version) => existsSync(join(VERSIONS, version, 'bin', 'initdb')));
  const newest = versions.toSorted((a, b) => Number(a) - Number(b)).at(-1);
  return newest === undefined ? null : join(VERSIONS, newest, 'bin');
}
