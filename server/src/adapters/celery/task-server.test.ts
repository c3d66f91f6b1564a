import { describe, expect, it, onTestFinished } from 'vitest';
import { type Clock, silentLogger, silentMeter, systemClock } from '../../kernel/index.ts';
import { CeleryTaskError } from './failures.ts';
import { type TaskRequest, writeTask } from './message.ts';
import type { CeleryBroker, CeleryDelivery, CeleryResult, CeleryResults, ConsumeOptions } from './ports.ts';
import { type CeleryTaskHandler, createTaskServer } from './task-server.ts';

const signature = (task: string) => ({ task, args: [], kwargs: {}, options: { queue: task }, subtask_type: null });

/** A task server whose result backend is away for the first message, all its tries together. */
async function setUp(handler: CeleryTaskHandler) {
  const called: string[] = [];
  const kept: Pick<CeleryResult, 'status' | 'result'>[] = [];
  const settled = new Map<string, string>();
  let isAway = true;
  let onDelivery: ConsumeOptions['onDelivery'] = () => {};
  let time = systemClock.now();
  const clock: Clock = { now: () => time, sleep: async () => {} };
  const broker: CeleryBroker = {
    ...{ name: 'broker', start: async () => {}, stop: async () => {}, tasksIn: async () => null },
    publish: async (queue) => void called.push(queue),
    async consume(_queue, options) {
      ({ onDelivery } = options);
      return async () => {};
    },
  };
  const results: CeleryResults = {
    ...{ name: 'results', start: async () => {}, stop: async () => {}, replyTo: null, watch: () => () => {} },
    async store(_address, { status, result }) {
      if (isAway) throw new Error('away');
      kept.push({ status, result });
    },
  };
  const server = createTaskServer({
    ...{ broker, results, queue: 'own', clock, logger: silentLogger, meter: silentMeter },
    handlers: new Map([['do', handler]]),
    settlements: {
      async once(name, { note, act }) {
        const before = settled.get(name);
        if (before !== undefined) return before;
        await act();
        settled.set(name, note);
        return note;
      },
    },
  });
  await server.start();
  onTestFinished(() => server.stop());

  /** How the message of the task is left: done with, or to come again. */
  const deliver = (more: Partial<TaskRequest> = {}): Promise<'ack' | 'back'> =>
    new Promise((resolve) => {
      const links = { callbacks: [signature('linked')], errbacks: [signature('failed')] };
      const delivery: CeleryDelivery = {
        envelope: writeTask({ id: 'task', name: 'do', ...links, ...more }),
        ack: async () => resolve('ack'),
        giveBack: async () => resolve('back'),
        park: () => () => {},
      };
      onDelivery(delivery);
    });
  const comeBack = (laterMs = 0): void => {
    isAway = false;
    time += laterMs;
  };
  return { called, kept, clock, deliver, comeBack };
}

describe('a task of Celery whose message comes again', () => {
  it('ends as the first time, and calls what is linked to that end alone', async () => {
    const { called, kept, deliver, comeBack } = await setUp(async () => {
      if (called.length > 0) throw new CeleryTaskError('bot_not_found', { type: 'LookupError' });
      return { answer: 1 };
    });
    expect(await deliver()).toBe('back');
    comeBack();
    expect(await deliver()).toBe('ack');
    expect(called).toEqual(['linked']);
    expect(kept).toEqual([{ status: 'SUCCESS', result: { answer: 1 } }]);
  });

  it('stays failed when it would succeed now', async () => {
    const { called, kept, deliver, comeBack } = await setUp(async () => {
      if (called.length === 0) throw new CeleryTaskError('wrong', { type: 'Special', module: 'own.errors' });
      return 1;
    });
    expect([await deliver(), comeBack(), await deliver()]).toEqual(['back', undefined, 'ack']);
    expect(called).toEqual(['failed']);
    const result = { exc_type: 'Special', exc_message: ['wrong'], exc_module: 'own.errors' };
    expect(kept).toEqual([{ status: 'FAILURE', result }]);
  });

  it('is not too late when it had ended in time', async () => {
    const { called, kept, clock, deliver, comeBack } = await setUp(async () => 1);
    const expires = clock.now() + 1_000;
    expect(await deliver({ expires })).toBe('back');
    comeBack(2_000);
    expect(await deliver({ expires })).toBe('ack');
    expect(called).toEqual(['linked']);
    expect(kept).toEqual([{ status: 'SUCCESS', result: 1 }]);
    expect(await deliver({ id: 'other', expires })).toBe('ack');
    expect(called).toEqual(['linked']);
    expect(kept[1]).toMatchObject({ status: 'REVOKED' });
  });
});
