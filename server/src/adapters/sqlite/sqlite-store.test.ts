import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { describeLeaseContract } from '../../store/leases.contract.ts';
import { describeStoreContract } from '../../store/store.contract.ts';
import { describeUsageContract } from '../../store/usage.contract.ts';
import { describeLexicalIndexContract } from '../../vector-store/lexical-index.contract.ts';
import { openSqlite, type Sqlite } from './index.ts';

/** One database for the whole file: the suites keep apart by tenants. */
function openOnce(file: () => Promise<string>): () => Promise<Sqlite> {
  let opened: Promise<Sqlite> | null = null;
  afterAll(async () => (await opened)?.store.stop());
  const open = async (): Promise<Sqlite> => {
    const sqlite = openSqlite({ file: await file(), clock: systemClock, logger: silentLogger });
    await sqlite.store.start();
    return sqlite;
  };
  return () => {
    opened ??= open();
    return opened;
  };
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

const onFile = openOnce(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-sqlite-'));
  folders.push(folder);
  return join(folder, 'store.db');
});
const inMemory = openOnce(async () => ':memory:');

describeStoreContract('SQLite on a file', async () => (await onFile()).store);
describeStoreContract('SQLite in memory', async () => (await inMemory()).store);

describeUsageContract('SQLite on a file', async () => (await onFile()).store);
describeUsageContract('SQLite in memory', async () => (await inMemory()).store);

describeLexicalIndexContract('SQLite on a file', onFile);
describeLexicalIndexContract('SQLite in memory', inMemory);

describeLeaseContract('SQLite on a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'chatsphere-sqlite-'));
  folders.push(folder);
  const open = () => openSqlite({ file: join(folder, 'store.db'), clock: systemClock, logger: silentLogger }).store;
  const stores = [open(), open()] as const;
  for (const store of stores) await store.start();
  afterAll(() => Promise.all(stores.map((store) => store.stop())));
  return stores;
});
