import { expect, it } from 'vitest';
import { createManualClock } from '../kernel/index.ts';
import { describeCircuitStatesContract } from './circuit-states.contract.ts';
import { createMemoryCircuitStates } from './memory-circuit-states.ts';

describeCircuitStatesContract('memory', () => {
  const clock = createManualClock();
  const states = createMemoryCircuitStates(clock);
  return {
    here: states,
    there: states,
    now: () => clock.now(),
    pass: (milliseconds) => clock.advance(milliseconds),
    settle: () => {},
    stop: () => {},
  };
});

it('forgets the circuit that was opened longest ago when there are too many', () => {
  const clock = createManualClock();
  const states = createMemoryCircuitStates(clock);
  for (let number = 0; number <= 10_000; number += 1) {
    void states.open(`c${number}`, { until: clock.now() + 1000, after: 'probe', reason: 'x', times: 1 });
  }
  expect(states.read('c0')).toBeNull();
  expect(states.read('c1')).not.toBeNull();
  expect(states.read('c10000')).not.toBeNull();
});
