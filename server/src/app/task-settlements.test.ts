import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TaskSettlements } from '../adapters/celery/index.ts';
import { openSqlite } from '../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../kernel/index.ts';
import type { Store } from '../store/index.ts';
import { DEFAULT_TENANT_ID } from './first-start-names.ts';
import { createTaskSettlements } from './task-settlements.ts';

const never = new AbortController().signal;

const SLOW_MS = 60_000;

describe('what is called after tasks', () => {
  let folder: string;
  let stores: readonly Store[];
  let [one, other]: TaskSettlements[] = [];
  /** One database, as two processes have it. */
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-settled-'));
    const open = () => openSqlite({ file: join(folder, 'store.db'), clock: systemClock, logger: silentLogger }).store;
    stores = [open(), open()];
    for (const store of stores) await store.start();
    await stores[0]?.tenants.create({ id: DEFAULT_TENANT_ID, name: 'default', createdAt: 1, updatedAt: 1 });
    [one, other] = stores.map((store) => createTaskSettlements({ store, clock: systemClock }));
    for (const store of stores) await live(store);
  }, SLOW_MS);
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.stop()));
    await rm(folder, { recursive: true, force: true });
  });
  const live = (store: Store) => store.system.leases.live({ now: Date.now(), expiresAt: Date.now() + 600_000 });

  it('is done once by processes that come to it at the same time, and later', async () => {
    let times = 0;
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const act = async (): Promise<void> => {
      times += 1;
      await held;
    };
    const both = [one?.once('once', act, never), other?.once('once', act, never), one?.once('once', act, never)];
    await expect.poll(() => times).toBe(1);
    letGo();
    await Promise.all(both);
    await other?.once('once', act, never);
    expect(times).toBe(1);
    await other?.once('another', act, never);
    expect(times).toBe(2);
  });

  it('is tried again when it failed, and by another when its process died', async () => {
    const fails = async (): Promise<void> => {
      throw new Error('The broker is away.');
    };
    await expect(one?.once('failing', fails, never)).rejects.toThrow('The broker is away.');
    let times = 0;
    const act = async (): Promise<void> => {
      times += 1;
    };
    // Its process gives no sign of life any more.
    await stores[1]?.system.leases.end();
    void other?.once('failing', () => new Promise(() => {}), never);
    void other?.once('left', () => new Promise(() => {}), never);
    await one?.once('failing', act, never);
    await one?.once('left', act, never);
    expect(times).toBe(2);
  });

  it('is not waited for by a process that stops', async () => {
    const stopping = new AbortController();
    let begun = (): void => {};
    const isBegun = new Promise<void>((resolve) => {
      begun = resolve;
    });
    void one?.once('waiting', () => new Promise(begun), never);
    await isBegun;
    const waiting = other?.once('waiting', async () => {}, stopping.signal);
    stopping.abort(new Error('stopping'));
    await expect(waiting).rejects.toThrow('stopping');
  });
});
