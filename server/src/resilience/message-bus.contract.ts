import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageBus } from './message-bus.ts';

export interface MessageBusSetup {
  /** Two processes' ends of the same bus; the same object where there is but one process. */
  readonly here: MessageBus;
  readonly there: MessageBus;
  stop(): Promise<void> | void;
}

/** What every bus must do. */
export function describeMessageBus(name: string, make: () => Promise<MessageBusSetup> | MessageBusSetup): void {
  describe(`message bus: ${name}`, () => {
    let setup: MessageBusSetup;
    beforeEach(async () => {
      setup = await make();
    });
    afterEach(() => setup.stop());

    /** Listens, and gives the first messages of a topic. */
    async function collect(
      bus: MessageBus,
      topic: string,
      count: number,
    ): Promise<{ readonly done: Promise<string[]> }> {
      const heard: string[] = [];
      let enough = (_: string[]): void => {};
      const done = new Promise<string[]>((resolve) => {
        enough = resolve;
      });
      const { ready } = bus.subscribe(topic, {
        message(text) {
          heard.push(text);
          if (heard.length === count) enough(heard);
        },
      });
      await ready;
      return { done };
    }

    it('brings messages in order to everybody who listens, here and there, character for character', async () => {
      const [own, other, third] = await Promise.all([
        collect(setup.here, 'a', 3),
        collect(setup.there, 'a', 3),
        collect(setup.there, 'a', 3),
      ]);
      for (const text of ['one', '', 'drei 🦉\n']) setup.here.publish('a', text);
      for (const { done } of [own, other, third]) expect(await done).toEqual(['one', '', 'drei 🦉\n']);
    });

    it('keeps topics apart, and tells nothing to whoever has left', async () => {
      const heard: string[] = [];
      const gone = setup.there.subscribe('a', { message: (text) => void heard.push(text) });
      await gone.ready;
      const [a, b] = await Promise.all([collect(setup.there, 'a', 1), collect(setup.there, 'b', 1)]);
      gone.close();
      gone.close();
      setup.here.publish('a', 'to a');
      setup.here.publish('b', 'to b');
      setup.here.publish('nobody', 'listens');
      expect([await a.done, await b.done]).toEqual([['to a'], ['to b']]);
      expect(heard).toEqual([]);
    });
  });
}
