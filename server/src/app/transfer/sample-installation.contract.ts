import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createFileBlobStore } from '../../adapters/file-system/index.ts';
import { openSqlite, type Sqlite } from '../../adapters/sqlite/index.ts';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { createSamples } from '../../store/store-samples.contract.ts';

export const SAMPLE_SECRET = 's'.repeat(64);

/** What is asked of an installation to see that it is the same one. */
export interface Sample {
  readonly tenantId: string;
  readonly botId: string;
  readonly chunkIds: readonly string[];
  readonly blobHash: string;
}

export const SAMPLE_SPACE = 'fake/model@1:2';

export async function openData(folder: string): Promise<Sqlite> {
  const sqlite = openSqlite({ file: join(folder, 'chatsphere.db'), clock: systemClock, logger: silentLogger });
  await sqlite.store.start();
  return sqlite;
}

/** A data folder with a bot that was trained on documents in two scripts, an uploaded file and a secret. */
export async function makeSampleData(folder: string, seed: string): Promise<Sample> {
  const samples = createSamples(seed);
  const { store } = await openData(folder);
  const blobs = createFileBlobStore({ folder: join(folder, 'blobs') });
  const { hash, bytes } = await blobs.put(Readable.from([Buffer.from(`file of ${seed}`)]), { maxBytes: 1_000 });
  const tenant = samples.tenant();
  await store.tenants.create(tenant);
  const owned = store.forTenant(tenant.id);
  const bot = samples.bot({ temperature: 0.25, metadata: { quote: '"\u2028\u{1f98a}' } });
  await owned.bots.create(bot);
  const source = samples.source(bot.id, {
    inputs: [{ name: 'a.txt', mediaType: 'text/plain', blobHash: hash, bytes }],
  });
  await owned.sources.create(source);
  const texts = ['badgers dig long setts', 'otters swim in rivers', '水獺は川で泳ぐ'];
  const document = samples.document(texts);
  await owned.documents.add(bot.id, source.id, document);
  const chunkIds = document.chunks.map(({ id }) => id);
  await owned.generations.create({
    ...samples.generation(bot.id),
    state: { type: 'active', at: 1 },
  });
  await owned.chunks.putVectors(
    SAMPLE_SPACE,
    chunkIds.map((chunkId, place) => ({ chunkId, windows: [new Float32Array([place, 1 / 3])] })),
  );
  await writeFile(join(folder, 'secret'), `${SAMPLE_SECRET}\n`);
  await store.stop();
  return { tenantId: tenant.id, botId: bot.id, chunkIds, blobHash: hash };
}
