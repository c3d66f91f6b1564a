// A Redis of the benchmark's own behind a wire that can be cut or made slow.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freePort } from './fleet.mjs';

/** Needs `redis-server` on the path. `delayMs` holds back what Redis answers; `stop` and `start` end and begin it, empty. */
export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'chatsphere-bench-redis-'));
  const port = await freePort();
  const wire = { delayMs: 0 };
  let child = null;

  async function start() {
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
    child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    for await (const line of lines) if (line.includes('Ready to accept connections')) break;
    child.stdout.resume();
  }

  async function stop() {
    if (child === null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    child = null;
  }

  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    near.pipe(far);
    far.on('data', (bytes) => {
      if (wire.delayMs === 0) near.write(bytes);
      else setTimeout(() => near.destroyed || near.write(bytes), wire.delayMs);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  await start();
  return {
    url: `redis://127.0.0.1:${proxy.address().port}`,
    wire,
    start,
    stop,
    async end() {
      await stop();
      proxy.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
