import { describe, expect, it } from 'vitest';
import { type Lifecycle, silentLogger } from '../kernel/index.ts';
import { createLifecycle } from './lifecycle.ts';

describe('lifecycle', () => {
  const events: string[] = [];
  const part = (name: string, failing?: 'start' | 'stop'): Lifecycle => ({
    name,
    async start() {
      events.push(`start ${name}`);
      if (failing === 'start') throw new Error('cannot start');
    },
    async stop() {
      events.push(`stop ${name}`);
      if (failing === 'stop') throw new Error('cannot stop');
    },
  });

  it('starts in order and stops in reverse, also past a failing stop', async () => {
    events.length = 0;
    const all = createLifecycle([part('a'), part('b', 'stop'), part('c')], silentLogger);
    await all.start();
    await all.stop();
    expect(events).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
    await all.stop();
    expect(events).toHaveLength(6);
  });

  it('stops what was started when a start fails', async () => {
    events.length = 0;
    const all = createLifecycle([part('a'), part('b', 'start'), part('c')], silentLogger);
    await expect(all.start()).rejects.toThrow('cannot start');
    expect(events).toEqual(['start a', 'start b', 'stop b', 'stop a']);
  });
});
