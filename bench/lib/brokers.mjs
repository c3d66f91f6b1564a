// Brokers of a benchmark's own: on free ports of this machine, with their files in a folder that goes with them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const RABBIT = '/usr/lib/rabbitmq/bin/rabbitmq-server';

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

function said(child, pattern) {
  return new Promise((resolve, reject) => {
    let log = '';
    const read = (part) => {
      log = (log + part).slice(-20_000);
      if (pattern.test(log)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', () => reject(new Error(`a broker has ended:\n${log}`)));
  });
}

export async function startRedis() {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-redis-'));
  const child = spawn('redis-server', ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', folder]);
  await said(child, /Ready to accept connections/);
  return {
    url: `redis://127.0.0.1:${port}/0`,
    async stop() {
      child.removeAllListeners('exit');
      child.kill('SIGKILL');
      await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export async function startRabbit() {
  const [port, distPort, epmdPort] = [await freePort(), await freePort(), await freePort()];
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-rabbit-'));
  await writeFile(join(folder, 'plugins'), '[].\n');
  await writeFile(join(folder, 'rabbitmq.conf'), 'loopback_users = none\n');
  const env = {
    PATH: process.env.PATH,
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
    RABBITMQ_CONF_ENV_FILE: join(folder, 'no-env'),
    RABBITMQ_LOGS: '-',
  };
  const epmd = spawn('/usr/bin/epmd', ['-port', String(epmdPort), '-address', '127.0.0.1'], { stdio: 'ignore' });
  const child = spawn(RABBIT, { env, cwd: folder, detached: true });
  await said(child, /Server startup complete|started TCP listener on 127/);
  return {
    url: `amqp://guest:guest@127.0.0.1:${port}/`,
    async stop() {
      child.removeAllListeners('exit');
      process.kill(-child.pid, 'SIGKILL');
      await once(child, 'exit');
      epmd.kill('SIGKILL');
      await rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
    },
  };
}
