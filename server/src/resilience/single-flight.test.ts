import { describe, expect, it } from 'vitest';
import { createSingleFlight } from './single-flight.ts';

function makeHeld() {
  const flights = createSingleFlight<string>();
  const runs: { signal: AbortSignal; resolve: (value: string) => void; reject: (error: Error) => void }[] = [];
  const work = (signal: AbortSignal): Promise<string> =>
    new Promise((resolve, reject) => void runs.push({ signal, resolve, reject }));
  return { flights, runs, work };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('single flight', () => {
  it('runs equal work once while it is under way, and again after it', async () => {
    const { flights, runs, work } = makeHeld();
    const both = Promise.all([flights.run('key', work), flights.run('key', work)]);
    await turn();
    runs[0]?.resolve('done');
    expect(await both).toEqual(['done', 'done']);
    void flights.run('key', work);
    void flights.run('other', work);
    await turn();
    expect(runs).toHaveLength(3);
  });

  it('shares failures and keeps none', async () => {
    const { flights, runs, work } = makeHeld();
    const both = Promise.allSettled([flights.run('key', work), flights.run('key', work)]);
    await turn();
    runs[0]?.reject(new Error('broken'));
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(flights.run('key', async () => 'fine')).resolves.toBe('fine');
  });

  it('goes on while one caller is left, and stops with the last', async () => {
    const { flights, runs, work } = makeHeld();
    const callers = [new AbortController(), new AbortController()];
    const settled = Promise.allSettled(callers.map(({ signal }) => flights.run('key', work, signal)));
    await turn();
    callers[0]?.abort(new Error('left'));
    await turn();
    expect(runs[0]?.signal.aborted).toBe(false);
    callers[1]?.abort(new Error('left'));
    await settled;
    expect(runs[0]?.signal.aborted).toBe(true);
    const next = flights.run('key', work);
    await turn();
    runs[1]?.resolve('anew');
    expect(await next).toBe('anew');
  });

  it('turns away a caller that has left already', async () => {
    const { flights, runs, work } = makeHeld();
    await expect(flights.run('key', work, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    expect(runs).toHaveLength(0);
  });
});
