// What several processes stand on, each started on a free port of this machine and in a folder that goes with it:
// PostgreSQL. HAProxy and nginx are in proxies.mjs.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './brokers.mjs';
import { sleep, startServer } from './server.mjs';

const VERSIONS = '/usr/lib/postgresql';
const READY_MS = 30_000;

/** A cluster with the database `chatsphere`; `url` is that of its owner. Not synced to disk: processes die here, not machines. */
export async function startPostgres() {
  const version = readdirSync(VERSIONS)
    .sort((a, b) => a - b)
    .at(-1);
  const program = (name) => join(VERSIONS, version, 'bin', name);
  const user = unprivileged();
  const folder = folderOf('postgres', user);
  const port = await freePort();
  const data = join(folder, 'data');
  const options = { ...user, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] };
  execFileSync(
    program('initdb'),
    ['-D', data, '-U', 'postgres', '-A', 'trust', '--locale=C.UTF-8', '--no-sync'],
    options,
  );
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: folder,
    max_connections: 120,
    shared_buffers: '128MB',
    fsync: 'off',
    full_page_writes: 'off',
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(program('postgres'), ['-D', data, ...args], { ...options, stdio: 'ignore' });
  await answering(port, server);
  const psql = (database, sql) =>
    execFileSync(program('psql'), ['-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-q', '-d', database, '-c', sql], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  for (let tries = 0; ; tries += 1) {
    try {
      psql('postgres', 'create role chatsphere login');
      break;
    } catch (error) {
      if (tries > 20) throw error;
      await sleep(250);
    }
  }
  psql('postgres', 'create database chatsphere owner chatsphere');
  psql('chatsphere', 'create extension vector');
  return {
    url: `postgres://chatsphere@127.0.0.1:${port}/chatsphere`,
    pid: server.pid,
    stop: stopperOf(server, folder, 'SIGINT'),
  };
}

/** A process of the fleet at a port that it has again after a restart. `restart` starts it anew once it has ended. */
export async function startMember({ name, command, port, env }) {
  const folder = folderOf(name);
  const start = () => startServer({ dataFolder: folder, env, command: [...command, '--port', String(port)] });
  let running = await start();
  return {
    name,
    port,
    url: () => running.url,
    pid: () => running.pid,
    kill: (signal) => running.kill(signal),
    async restart() {
      running = await start();
    },
    async stop() {
      await running.kill('SIGKILL').catch(() => {});
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function folderOf(name, user = {}) {
  const folder = mkdtempSync(join(tmpdir(), `chatsphere-${name}-`));
  if (user.uid !== undefined) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o700);
  return folder;
}

/** PostgreSQL refuses to run as root. */
function unprivileged() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Resolves once `server`, a process, takes connections at `port`; rejects when it has ended. */
export async function answering(port, server) {
  const endsAt = performance.now() + READY_MS;
  while (performance.now() < endsAt) {
    if (server.exitCode !== null) throw new Error(`what was to listen on ${port} has ended`);
    const socket = connect(port, '127.0.0.1');
    const isThere = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      sleep(1_000).then(() => false),
    ]);
    socket.destroy();
    if (isThere) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}`);
}

/** Ends a process, by SIGKILL when it takes more than ten seconds, and removes its `folder`. */
export function stopperOf(server, folder, signal = 'SIGTERM') {
  return async () => {
    if (server.exitCode === null) {
      const exited = once(server, 'exit');
      server.kill(signal);
      await Promise.race([exited, sleep(10_000).then(() => server.kill('SIGKILL'))]);
    }
    if (folder !== undefined && existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  };
}
