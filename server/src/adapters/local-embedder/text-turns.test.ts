import { describe, expect, it } from 'vitest';
import { createTextTurns } from './text-turns.ts';

/** Gives each text a vector of its length, turn by turn, when it is told to. */
function createMachine() {
  const turns: (readonly string[])[] = [];
  const waiting: { readonly end: () => void; readonly fail: (error: unknown) => void }[] = [];
  return {
    turns,
    run: (texts: readonly string[]): Promise<Float32Array[]> =>
      new Promise((resolve, reject) => {
        turns.push(texts);
        waiting.push({ end: () => resolve(texts.map((text) => Float32Array.of(text.length))), fail: reject });
      }),
    async endTurn(): Promise<void> {
      waiting.shift()?.end();
      await new Promise(setImmediate);
    },
    async failTurn(error: Error): Promise<void> {
      waiting.shift()?.fail(error);
      await new Promise(setImmediate);
    },
  };
}

const long = 'x'.repeat(500);

describe('turns of texts', () => {
  it('sends few long texts at a time, or many short ones', async () => {
    const machine = createMachine();
    const turns = createTextTurns(machine.run);
    const words = turns.run(
      Array.from({ length: 40 }, () => 'word'),
      { urgency: 'training' },
    );
    const texts = turns.run([long, 'y'.repeat(2_000), 'z'], { urgency: 'training' });
    for (let turn = 0; turn < 5; turn += 1) await machine.endTurn();
    expect(machine.turns.map((turn) => turn.length)).toEqual([32, 8, 1, 1, 1]);
    expect(await words).toHaveLength(40);
    expect((await texts).map(([length]) => length)).toEqual([500, 2_000, 1]);
  });

  it('lets the urgent go first, and goes on with the others behind them', async () => {
    const machine = createMachine();
    const turns = createTextTurns(machine.run);
    const background = turns.run([long, `${long}b`], { urgency: 'background' });
    const training = turns.run(['training'], { urgency: 'training' });
    const query = turns.run(['query'], { urgency: 'query' });
    for (let turn = 0; turn < 4; turn += 1) await machine.endTurn();
    expect(machine.turns).toEqual([[long], ['query'], ['training'], [`${long}b`]]);
    expect(await query).toEqual([Float32Array.of(5)]);
    expect(await training).toEqual([Float32Array.of(8)]);
    expect(await background).toEqual([Float32Array.of(500), Float32Array.of(501)]);
  });

  it('does not begin what nobody waits for any more', async () => {
    const machine = createMachine();
    const turns = createTextTurns(machine.run);
    const controller = new AbortController();
    const left = turns.run([long, long], { urgency: 'background', signal: controller.signal });
    const other = turns.run(['other'], { urgency: 'background' });
    controller.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    await machine.endTurn();
    await machine.endTurn();
    expect(await other).toEqual([Float32Array.of(5)]);
    expect(machine.turns).toEqual([[long], ['other']]);
    await expect(turns.run(['late'], { urgency: 'query', signal: controller.signal })).rejects.toThrow('left');
  });

  it('fails one call and goes on with the next', async () => {
    const machine = createMachine();
    const turns = createTextTurns(machine.run);
    const failing = turns.run([long, long], { urgency: 'query' });
    const other = turns.run(['other'], { urgency: 'query' });
    await Promise.all([machine.failTurn(new Error('broken')), expect(failing).rejects.toThrow('broken')]);
    await machine.endTurn();
    expect(await other).toEqual([Float32Array.of(5)]);
    expect(machine.turns).toEqual([[long], ['other']]);
    expect(await turns.run([], { urgency: 'query' })).toEqual([]);
  });

  it('gives way before turns in the background alone, and lets who comes meanwhile pass', async () => {
    const machine = createMachine();
    let isFree = false;
    const ways: { readonly signal: AbortSignal | undefined; readonly open: () => void }[] = [];
    const giveWay = (signal?: AbortSignal): Promise<void> | undefined =>
      isFree
        ? undefined
        : new Promise((resolve, reject) => {
            ways.push({ signal, open: resolve });
            signal?.addEventListener('abort', () => reject(signal.reason));
          });
    const turns = createTextTurns(machine.run, giveWay);
    const background = turns.run(['background'], { urgency: 'background' });
    expect(machine.turns).toEqual([]);
    const query = turns.run(['query'], { urgency: 'query' });
    await new Promise(setImmediate);
    expect(machine.turns).toEqual([['query']]);
    await machine.endTurn();
    await query;
    expect(machine.turns).toEqual([['query']]);
    expect(ways.map(({ signal }) => signal?.aborted)).toEqual([true, false]);
    isFree = true;
    ways.at(-1)?.open();
    await new Promise(setImmediate);
    expect(machine.turns).toEqual([['query'], ['background']]);
    await machine.endTurn();
    expect(await background).toEqual([Float32Array.of(10)]);
  });
});
