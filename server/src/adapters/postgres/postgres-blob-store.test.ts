import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeBlobStoreContract } from '../../store/blob-store.contract.ts';
import { createFileBlobStore } from '../file-system/index.ts';
import { createPostgresBlobStore, openPostgres, type Postgres } from './index.ts';
import type { LocalBlobs } from './postgres-blob-store.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

describeWithPostgres('blobs in PostgreSQL', () => {
  let server: TestPostgres;
  const opened: Postgres[] = [];
  const folders: string[] = [];
  let databases = 0;
  beforeAll(async () => {
    server = await startTestPostgres();
  });
  afterAll(async () => {
    for (const { store } of opened) await store.stop();
    await server.remove();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  /** A machine of its own: another folder on the same database. */
  async function machine({ databases: own }: Postgres, now = systemClock.now) {
    const folder = mkdtempSync(join(tmpdir(), 'chatsphere-blobs-'));
    folders.push(folder);
    const local = createFileBlobStore({ folder: join(folder, 'blobs') });
    const blobs = createPostgresBlobStore({ databases: own, local, now });
    await blobs.start();
    return { blobs, local };
  }

  async function database(): Promise<Postgres> {
    databases += 1;
    const url = await server.createDatabase(`blobs_${databases}`);
    const postgres = openPostgres({ url, clock: systemClock, logger: silentLogger });
    opened.push(postgres);
    return postgres;
  }

  describeBlobStoreContract('PostgreSQL', async () => (await machine(await database())).blobs);

  it('gives one machine what was put on another, part by part, and keeps a copy for parsers', async () => {
    const shared = await database();
    const [here, there] = [await machine(shared), await machine(shared)];
    const bytes = randomBytes(3 * 1024 ** 2 + 5);
    const { hash } = await here.blobs.put(Readable.from([bytes]), { maxBytes: bytes.length });
    expect((await there.blobs.read(hash)).equals(bytes)).toBe(true);
    const paths = await Promise.all([there.blobs.localPath(hash), there.blobs.localPath(hash)]);
    expect(paths).toEqual([there.local.pathOf(hash), there.local.pathOf(hash)]);
    expect((await readFile(paths[0] ?? '')).equals(bytes)).toBe(true);
    await writeFile(paths[0] ?? '', 'the copy is used again');
    expect(await readFile(await there.blobs.localPath(hash), 'utf8')).toBe('the copy is used again');
  });

  it('fetches a copy for all who want it, until the last of them leaves', async () => {
    const shared = await database();
    const [here, there] = [await machine(shared), await machine(shared)];
    let begun = 0;
    let isOpen = false;
    const signals: (AbortSignal | undefined)[] = [];
    const slow: LocalBlobs = {
      ...there.local,
      async put(content, options) {
        begun += 1;
        signals.push(options.signal);
        while (!isOpen) await new Promise((resolve) => setImmediate(resolve));
        return there.local.put(content, options);
      },
    };
    const blobs = createPostgresBlobStore({ databases: shared.databases, local: slow, now: systemClock.now });
    const { hash } = await here.blobs.put(Readable.from([Buffer.from('wanted by two')]), { maxBytes: 100 });
    const [first, second] = [new AbortController(), new AbortController()];
    const path = blobs.localPath(hash, first.signal);
    const same = blobs.localPath(hash, second.signal);
    await expect.poll(() => begun).toBe(1);
    first.abort(new Error('the first has left'));
    await expect(path).rejects.toThrow('the first has left');
    isOpen = true;
    expect(await readFile(await same, 'utf8')).toBe('wanted by two');
    expect(begun).toBe(1);

    isOpen = false;
    const { hash: unwanted } = await here.blobs.put(Readable.from([Buffer.from('wanted by none')]), { maxBytes: 100 });
    const leaving = new AbortController();
    const never = blobs.localPath(unwanted, leaving.signal);
    await expect.poll(() => begun).toBe(2);
    leaving.abort(new Error('all have left'));
    await expect(never).rejects.toThrow('all have left');
    expect(signals[1]?.aborted).toBe(true);
    isOpen = true;
    expect(await readFile(await blobs.localPath(unwanted), 'utf8')).toBe('wanted by none');
  });

  it('lets copies go that are not used, and fetches them again', async () => {
    let time = systemClock.now();
    const shared = await database();
    const [here, there] = [await machine(shared), await machine(shared, () => time)];
    const [one, other] = await Promise.all(
      ['one', 'other'].map((text) => here.blobs.put(Readable.from([Buffer.from(text)]), { maxBytes: 100 })),
    );
    for (const put of [one, other]) await there.blobs.localPath(put?.hash ?? '');
    time += 7_200_000;
    await there.blobs.localPath(one?.hash ?? '');
    expect(await there.blobs.forgetCopies(3_600_000)).toBe(1);
    expect(await readFile(await there.blobs.localPath(other?.hash ?? ''), 'utf8')).toBe('other');
    await expect(readFile(await there.blobs.localPath('a'.repeat(64)))).rejects.toThrow('ENOENT');
  });

  it('stores the same bytes once when several machines put them at the same moment', async () => {
    const shared = await database();
    const machines = await Promise.all([machine(shared), machine(shared), machine(shared)]);
    const bytes = randomBytes(2 * 1024 ** 2);
    const put = await Promise.all(
      machines.map(({ blobs }) => blobs.put(Readable.from([bytes]), { maxBytes: bytes.length })),
    );
    expect(new Set(put.map(({ hash }) => hash)).size).toBe(1);
    expect(await machines[0].blobs.sweep(new Set(), Number.MAX_SAFE_INTEGER)).toBe(1);
    await expect(machines[1].blobs.read(put[0]?.hash ?? '')).rejects.toMatchObject({ code: 'internal_error' });
  });
});
