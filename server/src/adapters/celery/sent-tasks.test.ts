import { describe, expect, it } from 'vitest';
import { createManualClock, silentLogger } from '../../kernel/index.ts';
import type { CeleryTaskError } from './failures.ts';
import { writeTask } from './message.ts';
import type { CeleryBroker } from './ports.ts';
import { createSentTasks, type SentMessage } from './sent-tasks.ts';

const SILENCE_MS = 4_000;

function setUp() {
  const clock = createManualClock();
  const sent: string[] = [];
  const state = { there: new Set<string>() as ReadonlySet<string> | null, isAway: false, looks: 0, isFrozen: false };
  const broker: CeleryBroker = {
    name: 'broker',
    start: async () => {},
    stop: async () => {},
    consume: async () => async () => {},
    publish: async (_queue, { headers }) => void sent.push(String(headers['id'])),
    async tasksIn() {
      state.looks += 1;
      if (state.isFrozen) return new Promise(() => {});
      if (state.isAway) throw new Error('away');
      return state.there;
    },
  };
  const tasks = createSentTasks({ broker, clock, logger: silentLogger, silenceMs: SILENCE_MS });
  const errors: CeleryTaskError[] = [];
  const watch = (more: Partial<SentMessage> = {}) =>
    tasks.watch({
      ...{ id: 'one', queue: 'python', envelope: writeTask({ id: 'one', name: 'do' }), eta: null, attempts: 3 },
      onLost: (error) => void errors.push(error),
      ...more,
    });
  const pass = async (looks: number): Promise<void> => {
    for (let look = 0; look < looks; look += 1) await clock.advance(SILENCE_MS / 4);
  };
  return { clock, state, sent, tasks, errors, watch, pass };
}

describe('sent tasks', () => {
  it('are sent again when the broker has not had them for a while, and given up after their attempts', async () => {
    const { sent, errors, watch, pass } = setUp();
    watch();
    await pass(4);
    expect(sent).toEqual([]);
    await pass(1);
    expect(sent).toEqual(['one']);
    await pass(5);
    expect(sent).toEqual(['one', 'one']);
    expect(errors).toEqual([]);
    await pass(5);
    expect(sent).toEqual(['one', 'one']);
    expect(errors).toMatchObject([{ type: 'WorkerLostError', message: expect.stringContaining('sent 3 times') }]);
  });

  it('stay as they are while the broker has them, cannot be asked, or their worker gives signs of life', async () => {
    const { state, sent, watch, pass } = setUp();
    state.there = new Set(['one']);
    const task = watch();
    await pass(20);
    state.there = new Set();
    await pass(4);
    task.seen();
    await pass(4);
    state.isAway = true;
    await pass(10);
    expect(sent).toEqual([]);
    state.isAway = false;
    await pass(1);
    expect(sent).toEqual(['one']);
  });

  it('are never sent again by a broker that gives them back by itself', async () => {
    const { state, sent, watch, pass } = setUp();
    state.there = null;
    watch();
    await pass(20);
    expect(sent).toEqual([]);
  });

  it('are not looked for before their time, nor after their end', async () => {
    const { clock, state, sent, watch, pass } = setUp();
    const task = watch({ eta: clock.now() + SILENCE_MS });
    await pass(3);
    expect(state.looks).toBe(0);
    await pass(4);
    expect(state.looks).toBe(4);
    task.end();
    await pass(10);
    expect([state.looks, sent]).toEqual([4, []]);
  });

  it('are left when the process stops', async () => {
    const { state, tasks, watch, pass } = setUp();
    watch();
    await tasks.stop();
    await pass(10);
    expect(state.looks).toBe(0);
  });

  it('do not hold up the end of the process when the broker does not answer', async () => {
    const { state, tasks, watch, pass } = setUp();
    state.isFrozen = true;
    watch();
    await pass(1);
    expect(state.looks).toBe(1);
    await tasks.stop();
  });
});
