import { describeMessageBus } from './message-bus.contract.ts';
import { createMemoryBus } from './message-bus.ts';

describeMessageBus('memory', () => {
  const bus = createMemoryBus();
  return { here: bus, there: bus, stop: () => {} };
});
