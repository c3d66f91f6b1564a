import { sql } from 'kysely';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { silentLogger, systemClock } from '../../kernel/index.ts';
import { indexKey } from '../../store/index.ts';
import { createSamples } from '../../store/store-samples.contract.ts';
import type { Namespace, VectorStore } from '../../vector-store/index.ts';
import {
  clusteredVector,
  describeVectorStoreContract,
  record,
  unit,
} from '../../vector-store/vector-store.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
import { describeWithPgvector, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const STARTING_MS = 60_000;
const PATIENT = { timeout: 30_000, interval: 50 };

describeWithPgvector('vectors in PostgreSQL', () => {
  let server: TestPostgres;
  let postgres: Postgres;
  beforeAll(async () => {
    server = await startTestPostgres();
    postgres = openPostgres({ url: server.url, clock: systemClock, logger: silentLogger });
    await postgres.store.start();
  }, STARTING_MS);
  afterAll(async () => {
    await postgres.store.stop();
    await server.remove();
  });

  const started = async (options: Parameters<Postgres['openVectorStore']>[0] = {}): Promise<VectorStore> => {
    const store = postgres.openVectorStore(options);
    await store.start();
    return store;
  };

  describeVectorStoreContract('pgvector', async () => withDocuments(postgres, await started()));
  describe('with graphs', () => {
    let other: Postgres;
    beforeAll(async () => {
      const url = await server.createDatabase('graphs');
      other = openPostgres({ url, clock: systemClock, logger: silentLogger });
      await other.store.start();
    }, STARTING_MS);
    afterAll(() => other.store.stop());

    describeVectorStoreContract('pgvector, graphs from 30 vectors on', async () => {
      const store = withDocuments(other, other.openVectorStore({ mostExact: 30 }));
      await store.start();
      return store;
    });
  });

  describe('pgvector', () => {
    const samples = createSamples('vec');
    const stores: VectorStore[] = [];
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.stop();
    });
    const open = async (options: Parameters<Postgres['openVectorStore']>[0] = {}): Promise<VectorStore> => {
      const store = await started(options);
      stores.push(store);
      return store;
    };
    const newBot = async () => {
      const [tenant, bot] = [samples.tenant(), samples.bot()];
      await postgres.store.tenants.create(tenant);
      const own = postgres.store.forTenant(tenant.id);
      await own.bots.create(bot);
      const source = samples.source(bot.id);
      await own.sources.create(source);
      const generation = indexKey({ space: 'fake@1:2', chunkSet: 'auto@1' });
      const namespace: Namespace = { tenantId: tenant.id, botId: bot.id, generation };
      return { own, botId: bot.id, sourceId: source.id, namespace };
    };
    const x = unit([1, 0]);
    const idsIn = async (store: VectorStore, namespace: Namespace): Promise<string[]> =>
      (await store.search(namespace, { vector: x, limit: 100 })).map(({ chunkId }) => chunkId);

    it('searches a large namespace by a graph of its own, which goes with it', async () => {
      const namespace = { tenantId: 'tnt_large', botId: 'bot', generation: 'g' };
      const dimensions = 32;
      const records = Array.from({ length: 4_000 }, (_, seed) =>
        record(`chunk-${seed}`, clusteredVector({ seed, cluster: seed % 50, dimensions }), {
          sourceId: seed % 100 === 0 ? 'few' : 'many',
        }),
      );
      const builder = withDocuments(postgres, await started({ mostExact: 1_000 }));
      await builder.upsert(namespace, records);
      // Stopping waits for the graph.
      await builder.stop();
      const graphs = async () => {
        const { rows } = await sql<{ name: string; scans: number }>`select indexrelname as name, idx_scan as scans
          from pg_stat_user_indexes where indexrelname = 'vector_graph_' || (
            select number from vector_namespaces where tenant_id = 'tnt_large'
          )`.execute(postgres.databases.database);
        return rows;
      };
      expect(await graphs()).toHaveLength(1);
      const exact = await open();
      const store = await open({ mostExact: 1_000 });
      let found = 0;
      for (let seed = 0; seed < 20; seed += 1) {
        const query = { vector: clusteredVector({ seed: 70_000 + seed, cluster: seed, dimensions }), limit: 10 };
        for (const filter of [{}, { filter: { sourceIds: ['few'] } }, { filter: { sourceIds: ['many'] } }]) {
          const nearest = await store.search(namespace, { ...query, ...filter });
          expect(nearest).toHaveLength(10);
          const sources = { filter: filter.filter ?? { sourceIds: ['few', 'many'] } };
          // With so few vectors let through, `exact` compares each.
          const expected = (await exact.search(namespace, { ...query, ...sources })).map(({ chunkId }) => chunkId);
          found += nearest.filter(({ chunkId }) => expected.includes(chunkId)).length;
        }
      }
      expect(found / 600).toBeGreaterThanOrEqual(0.97);
      await vi.waitFor(async () => expect((await graphs())[0]?.scans).toBeGreaterThan(0), PATIENT);
      await store.deleteNamespace(namespace);
      expect(await idsIn(store, namespace)).toEqual([]);
      const { rows } = await sql`select 1 from pg_class where relname = 'vector_graph_' || 'x'
        or relname in (select indexrelname from pg_stat_user_indexes where indexrelname like 'vector_graph_%'
          and substring(indexrelname from 14)::bigint not in (select number from vector_namespaces))`.execute(
        postgres.databases.database,
      );
      expect(rows).toEqual([]);
    });

    it('brings in what was stored by a process that ended before it had told the index', async () => {
      const { own, botId, sourceId, namespace } = await newBot();
      const document = samples.document(['one', 'two', 'three']);
      await own.documents.add(botId, sourceId, document);
      const [one = '', two = '', three = ''] = document.chunks.map(({ id }) => id);
      const { generation } = namespace;
      await own.chunks.putVectors(generation, [
        { chunkId: one, windows: [x] },
        { chunkId: two, windows: [unit([1, 1]), unit([0, 1])] },
        { chunkId: three, windows: [] },
      ]);
      const store = await open({ backlogPatienceMs: 0 });
      await vi.waitFor(async () => expect(await idsIn(store, namespace)).toEqual([one, two]), PATIENT);
      const { rows } = await sql`select 1 from vector_backlog where tenant_id = ${namespace.tenantId}`.execute(
        postgres.databases.database,
      );
      expect(rows).toEqual([]);
    });

    it('leaves nothing in the backlog of what it was told', async () => {
      const { own, botId, sourceId, namespace } = await newBot();
      const document = samples.document(['one']);
      await own.documents.add(botId, sourceId, document);
      const chunkId = document.chunks[0]?.id ?? '';
      await own.chunks.putVectors(namespace.generation, [{ chunkId, windows: [x] }]);
      const backlog = async () => {
        const { rows } = await sql`select 1 from vector_backlog where tenant_id = ${namespace.tenantId}`.execute(
          postgres.databases.database,
        );
        return rows.length;
      };
      expect(await backlog()).toBe(1);
      const store = await open();
      await store.upsert(namespace, [record(chunkId, x, { documentId: document.document.id, sourceId })]);
      expect(await backlog()).toBe(0);
    });

    it('forgets with the store what the store forgets', async () => {
      const { own, botId, sourceId, namespace } = await newBot();
      const store = await open();
      const documents = [samples.document(['one']), samples.document(['two'])];
      for (const document of documents) {
        await own.documents.add(botId, sourceId, document);
        const of = { documentId: document.document.id, sourceId };
        await store.upsert(namespace, [record(document.chunks[0]?.id ?? '', x, of)]);
      }
      await own.documents.delete([documents[0]?.document.id ?? '']);
      expect(await idsIn(store, namespace)).toEqual([documents[1]?.chunks[0]?.id]);
      await own.bots.delete(botId);
      expect(await idsIn(store, namespace)).toEqual([]);
    });

    it.each(['before', 'after'] as const)(
      'keeps nothing of a document that another process deletes at the same time, committed %s',
      async (order) => {
        const { own, botId, sourceId, namespace } = await newBot();
        const store = await open();
        const document = samples.document(['one']);
        await own.documents.add(botId, sourceId, document);
        const of = { documentId: document.document.id, sourceId };
        await store.upsert(namespace, [record('known', x, of)]);
        const rows = async () => {
          const found = await sql`select 1 from vector_windows where tenant_id = ${namespace.tenantId}`.execute(
            postgres.databases.database,
          );
          return found.rows.length;
        };
        expect(await rows()).toBe(1);
        const [deleting, watching] = [1, 2].map(() => new Client({ connectionString: server.superuserUrl }));
        if (deleting === undefined || watching === undefined) throw new Error('no clients');
        await Promise.all([deleting.connect(), watching.connect()]);
        const waiting = async () => {
          const { rows: waits } = await watching.query(
            "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
          );
          return waits.length;
        };
        const remove = () => deleting.query('delete from documents where id = $1', [of.documentId]);
        try {
          if (order === 'before') {
            await deleting.query('begin');
            await remove();
            const upserting = store.upsert(namespace, [record('late', x, of)]);
            await vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENT);
            await deleting.query('commit');
            await upserting;
          } else {
            // Holds the upsert up behind the lock that it takes on the document.
            await watching.query('begin');
            await watching.query('lock table vector_windows in share mode');
            const upserting = store.upsert(namespace, [record('late', x, of)]);
            const removing = vi.waitFor(async () => expect(await waiting()).toBe(1), PATIENT).then(remove);
            await vi.waitFor(async () => expect(await waiting()).toBe(2), PATIENT);
            await watching.query('commit');
            await Promise.all([upserting, removing]);
          }
        } finally {
          await Promise.all([deleting.end(), watching.end()]);
        }
        expect(await rows()).toBe(0);
      },
    );

    it('makes no namespace for documents that are gone', async () => {
      const namespace = { tenantId: 'tnt_gone', botId: 'bot', generation: 'g' };
      const store = await open();
      await store.upsert(namespace, [record('a', x)]);
      expect(await idsIn(store, namespace)).toEqual([]);
      const { rows } = await sql`select 1 from vector_namespaces where tenant_id = 'tnt_gone'`.execute(
        postgres.databases.database,
      );
      expect(rows).toEqual([]);
    });

    it('ends the query in the database when the caller leaves', async () => {
      const { namespace } = await newBot();
      const store = withDocuments(postgres, await open());
      await store.upsert(namespace, [record('a', x)]);
      const client = new Client({ connectionString: server.superuserUrl });
      await client.connect();
      // Within one transaction, PostgreSQL shows the same again.
      const watching = new Client({ connectionString: server.superuserUrl });
      await watching.connect();
      const searching = async () => {
        const { rows } = await watching.query(
          `select 1 from pg_stat_activity where state = 'active' and starts_with(query, '/* vectors')`,
        );
        return rows.length;
      };
      try {
        await client.query('begin');
        await client.query('lock table vector_windows in access exclusive mode');
        const controller = new AbortController();
        const search = store.search(namespace, { vector: x, limit: 1 }, controller.signal);
        const left = expect(search).rejects.toThrow('left');
        await vi.waitFor(async () => expect(await searching()).toBe(1), PATIENT);
        controller.abort(new Error('left'));
        await left;
        await vi.waitFor(async () => expect(await searching()).toBe(0), PATIENT);
      } finally {
        await client.query('rollback');
        await Promise.all([client.end(), watching.end()]);
      }
      expect(await idsIn(store, namespace)).toEqual(['a']);
    });

    it('says what to do about a database without pgvector', async () => {
      const url = await server.createDatabase('without_pgvector');
      const client = new Client({
        connectionString: server.superuserUrl.replace(/\/[^/?]*(?=\?|$)/, '/without_pgvector'),
      });
      await client.connect();
      await client.query('drop extension vector');
      await client.end();
      const other = openPostgres({ url, clock: systemClock, logger: silentLogger });
      try {
        await other.store.start();
        await expect(other.openVectorStore().start()).rejects.toMatchObject({
          code: 'vector_extension_missing',
          message: expect.stringContaining('CREATE EXTENSION vector'),
        });
      } finally {
        await other.store.stop();
      }
    });
  });
});

/** Makes the documents that vectors are of, where a suite has vectors alone. Ids of documents are unique among tenants. */
function withDocuments({ databases }: Postgres, store: VectorStore): VectorStore {
  const owned = ({ tenantId }: Namespace, documentId: string) => `${tenantId}/${documentId}`;
  return {
    ...store,
    async upsert(namespace, records, signal) {
      const { tenantId } = namespace;
      const own = records.map((each) => ({ ...each, documentId: owned(namespace, each.documentId) }));
      const ids = JSON.stringify([...new Set(own.map(({ documentId }) => documentId))]);
      const id = owned(namespace, 'parent');
      await sql`with made_tenant as (
          insert into tenants (id, name, created_at, updated_at) values (${tenantId}, '', 1, 1) on conflict do nothing
        ), made_bot as (
          insert into bots (tenant_id, id, name, slug, instructions, created_at, updated_at, retrieval_json, privacy_json, metadata_json)
          values (${tenantId}, ${id}, '', ${id}, '', 1, 1, '{}', '{}', '{}') on conflict do nothing
        ), made_source as (
          insert into sources (tenant_id, id, bot_id, type, title, status, content_hash, progress_done, progress_total,
            created_at, updated_at, counts_json, metadata_json, inputs_json)
          values (${tenantId}, ${id}, ${id}, 'text', '', 'ready', '', 0, 0, 1, 1, '{}', '{}', '[]') on conflict do nothing
        )
        insert into documents (tenant_id, id, bot_id, source_id, title, input_name, state, content_hash, tokens, created_at, text)
        select ${tenantId}, document, ${id}, ${id}, '', '', 'searchable', '', 0, 1, ''
        from json_array_elements_text(${ids}::json) as document on conflict do nothing`.execute(databases.database);
      await store.upsert(namespace, own, signal);
    },
    deleteDocuments: (namespace, documentIds, signal) =>
      store.deleteDocuments(
        namespace,
        documentIds.map((documentId) => owned(namespace, documentId)),
        signal,
      ),
  };
}
