import { afterEach, describe, expect, it } from 'vitest';
import type { CircuitStates, OpenCircuit } from './circuit-states.ts';

export interface CircuitStatesSetup {
  /** Two processes' views of the same circuits; the same object where there is but one process. */
  readonly here: CircuitStates;
  readonly there: CircuitStates;
  /** The time that the states go by (milliseconds since 1970). */
  now(): number;
  /** Lets the time pass. */
  pass(milliseconds: number): Promise<void> | void;
  /** Resolves once what was told on one side is known on the other. */
  settle(): Promise<void> | void;
  stop(): Promise<void> | void;
}

/** What every store of circuits must do. */
export function describeCircuitStatesContract(
  name: string,
  make: () => Promise<CircuitStatesSetup> | CircuitStatesSetup,
): void {
  describe(`circuit states contract: ${name}`, () => {
    const setups: CircuitStatesSetup[] = [];
    const setUp = async (): Promise<CircuitStatesSetup> => {
      const setup = await make();
      setups.push(setup);
      return setup;
    };
    afterEach(async () => {
      await Promise.all(setups.splice(0).map((setup) => setup.stop()));
    });

    const circuit = (setup: CircuitStatesSetup, changes: Partial<OpenCircuit> = {}): OpenCircuit => ({
      until: setup.now() + 5000,
      after: 'probe',
      reason: 'provider_error',
      times: 1,
      ...changes,
    });

    it('takes a circuit that was never opened for closed', async () => {
      const { here } = await setUp();
      expect(here.read('openai|k1|gpt')).toBeNull();
    });

    it('tells what was opened, at once here and soon there, and of no other circuit', async () => {
      const setup = await setUp();
      const opened = circuit(setup, { after: 'close', reason: 'provider_rate_limited', times: 3 });
      const done = setup.here.open('openai|k1|gpt', opened);
      expect(setup.here.read('openai|k1|gpt')).toEqual(opened);
      await done;
      await setup.settle();
      expect(setup.there.read('openai|k1|gpt')).toEqual(opened);
      expect(setup.there.read('openai|k2|gpt')).toBeNull();
    });

    it('replaces what was opened, and forgets what was closed', async () => {
      const setup = await setUp();
      await setup.here.open('a', circuit(setup));
      await setup.settle();
      const longer = circuit(setup, { until: setup.now() + 9000, times: 2 });
      await setup.there.open('a', longer);
      await setup.settle();
      expect(setup.here.read('a')).toEqual(longer);
      await setup.here.close('a');
      expect(setup.here.read('a')).toBeNull();
      await setup.settle();
      expect(setup.there.read('a')).toBeNull();
      await setup.there.close('a');
    });

    it('gives the probe to exactly one of many', async () => {
      const setup = await setUp();
      await setup.here.open('a', circuit(setup));
      await setup.settle();
      const expiresAt = setup.now() + 60_000;
      const sides = Array.from({ length: 20 }, (_, number) => (number % 2 === 0 ? setup.here : setup.there));
      const claims = await Promise.all(sides.map((side) => side.claimProbe('a', expiresAt)));
      expect(claims.filter(Boolean)).toHaveLength(1);
    });

    it('gives the probe again when it was given back, when its time is over, and when the circuit was opened anew', async () => {
      const setup = await setUp();
      await setup.here.open('a', circuit(setup));
      await setup.settle();
      expect(await setup.here.claimProbe('a', setup.now() + 60_000)).toBe(true);
      await setup.here.releaseProbe('a');
      expect(await setup.there.claimProbe('a', setup.now() + 1000)).toBe(true);
      expect(await setup.here.claimProbe('a', setup.now() + 1000)).toBe(false);
      await setup.pass(1001);
      expect(await setup.here.claimProbe('a', setup.now() + 60_000)).toBe(true);
      await setup.there.open('a', circuit(setup, { times: 2 }));
      await setup.settle();
      expect(await setup.here.claimProbe('a', setup.now() + 60_000)).toBe(true);
    });

    it('gives no probe of a circuit that is closed', async () => {
      const setup = await setUp();
      expect(await setup.here.claimProbe('a', setup.now() + 1000)).toBe(false);
      await setup.here.open('a', circuit(setup));
      await setup.here.close('a');
      await setup.settle();
      expect(await setup.there.claimProbe('a', setup.now() + 1000)).toBe(false);
      await setup.here.releaseProbe('a');
      expect(setup.here.read('a')).toBeNull();
    });
  });
}
