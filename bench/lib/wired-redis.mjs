// A Redis of the benchmark's own behind a wire that can be cut or made slow.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { startRedis } from './brokers.mjs';

/** Needs `redis-server` on the path. `delayMs` holds back what Redis answers; `stop` and `start` end and begin it, empty. */
export async function startWiredRedis() {
  const redis = await startRedis();
  const port = Number(new URL(redis.url).port);
  const wire = { delayMs: 0 };

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
  return {
    url: `redis://127.0.0.1:${proxy.address().port}`,
    wire,
    start: redis.start,
    stop: redis.stop,
    async end() {
      await redis.stop();
      proxy.close();
    },
  };
}
