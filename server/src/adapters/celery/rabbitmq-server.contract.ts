import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

/** A RabbitMQ of its own for tests: on free ports of this machine, with its files in a folder that goes with it. */
export interface TestRabbit {
  readonly url: string;
  stop(): Promise<void>;
}

/** Debian's script below its wrapper, which would change the user and the folder. */
const BINARY = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const EPMD = '/usr/bin/epmd';

/** A suite that needs a real RabbitMQ. Continuous integration must have it. */
export function describeWithRabbit(name: string, suite: () => void): void {
  if (existsSync(BINARY) || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (rabbitmq-server is not installed)`, suite);
}

export async function startTestRabbit(): Promise<TestRabbit> {
  const [port, distPort, epmdPort] = await freePorts(3);
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-rabbit-'));
  writeFileSync(join(folder, 'plugins'), '[].\n');
  writeFileSync(join(folder, 'advanced.config'), '[].\n');
  writeFileSync(join(folder, 'rabbitmq.conf'), 'loopback_users = none\nvm_memory_high_watermark.relative = 0.3\n');
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
    // One scheduler is enough for a test, and leaves the machine to others.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1',
  };
  const epmd = spawn(EPMD, ['-port', String(epmdPort), '-address', '127.0.0.1'], { stdio: 'ignore' });
  const child = spawn(BINARY, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let log = '';
  const isUp = new Promise<void>((resolve, reject) => {
    const read = (part: Buffer): void => {
      log = (log + part.toString()).slice(-20_000);
      if (/Server startup complete|started TCP listener on 127/.test(log)) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.once('exit', (code) => reject(new Error(`rabbitmq-server ended with code ${code}:\n${log}`)));
  });
  const stop = async (): Promise<void> => {
    const exited = child.exitCode === null ? once(child, 'exit') : null;
    // Its shell and its Erlang are one group of processes, begun here.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    await exited;
    const epmdExited = epmd.exitCode === null ? once(epmd, 'exit') : null;
    epmd.kill('SIGKILL');
    await epmdExited;
    // What was killed lets go of its files a moment later.
    rmSync(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  };
  isUp.catch(() => {});
  try {
    await isUp;
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
  child.removeAllListeners('exit');
  return { url: `amqp://guest:guest@127.0.0.1:${port}/`, stop };
}

async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(probes.map((probe) => once(probe, 'listening')));
  const ports = probes.map((probe) => (probe.address() as { port: number }).port);
  await Promise.all(
    probes.map((probe) => {
      probe.close();
      return once(probe, 'close');
    }),
  );
  return ports;
}
