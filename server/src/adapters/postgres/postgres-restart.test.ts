import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppError, silentLogger, systemClock } from '../../kernel/index.ts';
import { everyItem, type TenantStore } from '../../store/index.ts';
import { createSamples, createTenantWithBot } from '../../store/store-samples.contract.ts';
import { openPostgres, type Postgres } from './index.ts';
import { describeWithPostgres, startTestPostgres, type TestPostgres } from './postgres-server.contract.ts';

const samples = createSamples('pgr');
const WRITERS = 16;

describeWithPostgres('a PostgreSQL that is restarted under load', () => {
  let server: TestPostgres;
  let postgres: Postgres;
  beforeAll(async () => {
    server = await startTestPostgres({ durable: true });
    postgres = openPostgres({ url: server.url, clock: systemClock, logger: silentLogger });
    await postgres.store.start();
  });
  afterAll(async () => {
    await postgres?.store.stop();
    await server?.remove();
  });

  async function load(tenant: TenantStore, botId: string) {
    const acknowledged: string[] = [];
    const refusals: unknown[] = [];
    const stopping = new AbortController();
    let onWritten = (): void => {};
    const write = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        const source = samples.source(botId);
        try {
          await tenant.transaction(async ({ sources }) => {
            await sources.create(source);
          });
          acknowledged.push(source.id);
          onWritten();
        } catch (error) {
          refusals.push(error);
          await systemClock.sleep(20);
        }
      }
    };
    const writers = Promise.all(Array.from({ length: WRITERS }, write));
    return {
      acknowledged,
      refusals,
      written: () =>
        new Promise<void>((resolve) => {
          onWritten = resolve;
        }),
      async stop() {
        stopping.abort();
        await writers;
      },
    };
  }

  it.each(['fast', 'kill'] as const)(
    'goes on by itself, loses nothing that it acknowledged, and says to try again: %s',
    async (how) => {
      const { tenant, botId } = await createTenantWithBot(postgres.store, samples);
      const running = await load(tenant, botId);
      await running.written();
      await server.stop(how);
      await expect(postgres.store.ping()).rejects.toMatchObject({ code: 'database_unavailable', retryable: true });
      await server.start();
      const started = performance.now();
      await running.written();
      const recoveredMs = performance.now() - started;
      await running.stop();
      expect(recoveredMs).toBeLessThan(5_000);
      expect(running.refusals.length).toBeGreaterThan(0);
      for (const refusal of running.refusals) {
        expect(refusal).toBeInstanceOf(AppError);
        expect(refusal).toMatchObject({ code: 'database_unavailable', retryable: true });
      }
      const kept = new Set<string>();
      for await (const { id } of everyItem((page) => tenant.sources.list(botId, page))) kept.add(id);
      expect(running.acknowledged.filter((id) => !kept.has(id))).toEqual([]);
    },
  );
});
