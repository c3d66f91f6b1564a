// What several processes stand on, each started on a free port of this machine and in a folder that goes with it:
// PostgreSQL, HAProxy or nginx.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
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

/** The example configuration of the proxy with this machine's ports in place of its own. */
export async function startProxy(kind, ports) {
  const folder = folderOf(kind);
  const port = await freePort();
  const file = join(folder, 'proxy.conf');
  writeFileSync(file, { haproxy: haproxyConfig, nginx: nginxConfig }[kind](port, ports, folder));
  const [program, args] = { haproxy: ['haproxy', ['-f', file]], nginx: ['nginx', ['-c', file, '-p', folder]] }[kind];
  const server = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await answering(port, server);
  return { url: `http://127.0.0.1:${port}`, stop: stopperOf(server, folder) };
}

function haproxyConfig(port, ports) {
  return `global
  maxconn 4000
defaults
  mode http
  option http-no-delay
  timeout connect 2s
  timeout http-request 10s
  timeout http-keep-alive 30s
  timeout client 75s
  timeout server 75s
  timeout queue 5s
  timeout check 5s
frontend chat
  bind 127.0.0.1:${port}
  default_backend chatsphere
backend chatsphere
  balance leastconn
  option abortonclose
  option httpchk GET /readyz
  http-check expect status 200
  retries 2
  retry-on conn-failure
  option redispatch 1
  default-server check inter 500ms fall 2 rise 1
${ports.map((own, number) => `  server s${number} 127.0.0.1:${own}`).join('\n')}
`;
}

/** nginx asks nobody how he is: a server that is leaving still answers, and one that is gone refuses the connection. */
function nginxConfig(port, ports, folder) {
  return `daemon off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  upstream chatsphere {
    least_conn;
${ports.map((own) => `    server 127.0.0.1:${own} max_fails=1 fail_timeout=2s;`).join('\n')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    client_max_body_size 100m;
    location / {
      proxy_pass http://chatsphere;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 75s;
      proxy_connect_timeout 2s;
      proxy_next_upstream error timeout http_503 non_idempotent;
    }
  }
}
`;
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

async function answering(port, server) {
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

function stopperOf(server, folder, signal = 'SIGTERM') {
  return async () => {
    if (server.exitCode === null) {
      const exited = once(server, 'exit');
      server.kill(signal);
      await Promise.race([exited, sleep(10_000).then(() => server.kill('SIGKILL'))]);
    }
    if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
  };
}
