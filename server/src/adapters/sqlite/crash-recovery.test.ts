import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { openSqlite } from './index.ts';

/** Writes documents as fast as it can and names each one once it has been told that it is stored. */
const WRITER = `
import { openSqlite } from ${JSON.stringify(fileURLToPath(new URL('./index.ts', import.meta.url)))};
import { createSamples, createTenantWithBot } from ${JSON.stringify(
  fileURLToPath(new URL('../../store/store-samples.contract.ts', import.meta.url)),
)};
const samples = createSamples('crash' + process.pid);
const logger = { debug() {}, info() {}, warn() {}, error() {} };
const { store } = openSqlite({ file: process.argv[2], clock: { now: Date.now }, logger });
await store.start();
const { tenant, tenantId, botId } = await createTenantWithBot(store, samples);
const source = samples.source(botId);
await tenant.sources.create(source);
process.send({ tenantId, botId });
await Promise.all([1, 2, 3, 4].map(async () => {
  for (;;) {
    const document = samples.document(['crashword one', 'crashword two']);
    await tenant.documents.add(botId, source.id, document);
    process.send({ stored: document.document.id });
  }
}));
`;

describe('after kill -9', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'chatsphere-crash-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('every acknowledged document is there, whole, and found by words', async () => {
    const script = join(folder, 'writer.mts');
    await writeFile(script, WRITER);
    const file = join(folder, 'crash.db');
    const child = fork(script, [file], {
      execArgv: ['--import', import.meta.resolve('tsx')],
      cwd: fileURLToPath(new URL('../../../../', import.meta.url)),
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const [{ tenantId, botId }] = (await once(child, 'message')) as [{ tenantId: string; botId: string }];
    const stored: string[] = [];
    child.on('message', (message: { readonly stored: string }) => {
      stored.push(message.stored);
      if (stored.length === 40) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');

    const { store, lexicalIndex } = openSqlite({ file, clock: systemClock, logger: silentLogger });
    await store.start();
    const tenant = store.forTenant(tenantId);
    expect(stored.length).toBeGreaterThanOrEqual(40);
    const documents = await tenant.documents.getMany(stored);
    expect(documents).toHaveLength(stored.length);
    const found = await lexicalIndex.search({ tenantId, botId }, { terms: ['crashword'], limit: 100_000 });
    const chunks = await tenant.chunks.getSearchable(
      botId,
      found.map(({ chunkId }) => chunkId),
    );
    const chunksOf = groupByDocument(chunks);
    for (const id of stored) expect(chunksOf.get(id)).toHaveLength(2);
    for (const [, ofDocument] of chunksOf) expect(ofDocument).toHaveLength(2);
    await store.stop();
  });
});

function groupByDocument<Chunk extends { readonly documentId: string }>(
  chunks: readonly Chunk[],
): Map<string, Chunk[]> {
  const groups = new Map<string, Chunk[]>();
  for (const chunk of chunks) groups.set(chunk.documentId, [...(groups.get(chunk.documentId) ?? []), chunk]);
  return groups;
}
