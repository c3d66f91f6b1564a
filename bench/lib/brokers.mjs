// Redis and RabbitMQ of one's own, for benchmarks and tests: on free ports of this machine, with their files in a folder that goes with them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Debian's script below its wrapper, which would change the user and the folder. */
export const RABBIT_PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const RABBIT_SETTINGS = 'loopback_users = none\nvm_memory_high_watermark.relative = 0.3\n';
const KEPT_LOG = 20_000;

/** Nobody listens on it now. */
export async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Needs `redis-server` on the path. `stop` ends it at once, `start` begins an empty one at the same address; paused, it answers nothing. */
export async function startRedis() {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-redis-'));
  let child = null;

  async function start() {
    mkdirSync(folder, { recursive: true });
    const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    child = spawn('redis-server', args.map(String), { stdio: ['ignore', 'pipe', 'pipe'] });
    await said(child, /Ready to accept connections/);
  }

  async function stop() {
    const ending = child;
    child = null;
    if (ending !== null) await ended(ending, () => ending.kill('SIGKILL'));
    rmSync(folder, { recursive: true, force: true });
  }

  await start();
  const pause = () => void child?.kill('SIGSTOP');
  const resume = () => void child?.kill('SIGCONT');
  const url = `redis://127.0.0.1:${port}`;
  return {
    ...{ url, start, stop, pause, resume },
    get pid() {
      return child?.pid;
    },
  };
}

/** Needs Debian's `rabbitmq-server`. */
export async function startRabbit() {
  const [port, distPort, epmdPort] = [await freePort(), await freePort(), await freePort()];
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-rabbit-'));
  writeFileSync(join(folder, 'plugins'), '[].\n');
  writeFileSync(join(folder, 'advanced.config'), '[].\n');
  writeFileSync(join(folder, 'rabbitmq.conf'), RABBIT_SETTINGS);
  const env = {
    PATH: process.env['PATH'],
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `chatsphere${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distPort),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'no-env'),
    RABBITMQ_LOGS: '-',
    // One scheduler is enough, and leaves the machine to others.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1',
  };
  const epmd = spawn('/usr/bin/epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], { stdio: 'ignore' });
  const child = spawn(RABBIT_PROGRAM, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });

  async function stop() {
    // Its shell and its Erlang are one group of processes, begun here.
    await ended(child, () => process.kill(-child.pid, 'SIGKILL'));
    await ended(epmd, () => epmd.kill('SIGKILL'));
    // What was killed lets go of its files a moment later.
    rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }

  try {
    await said(child, /Server startup complete|started TCP listener on 127/);
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  return { url: `amqp://guest:guest@127.0.0.1:${port}/`, stop };
}

/** Resolves when it has written such a text; rejects with its last words when it ends before. */
async function said(child, pattern) {
  let log = '';
  await new Promise((resolve, reject) => {
    const read = (part) => {
      log = (log + part).slice(-KEPT_LOG);
      if (pattern.test(log)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`A broker ended with code ${code}:\n${log}`)));
  });
  child.removeAllListeners('exit');
}

async function ended(child, kill) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  kill();
  await exited;
}
