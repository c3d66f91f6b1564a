import { beforeAll, describe, expect, it } from 'vitest';
import type { Store, TenantStore } from './ports.ts';
import { createSamples, createTenantWithBot } from './store-samples.contract.ts';

const samples = createSamples('rev');
const updatedAt = samples.now + 1;

/** A bot's content revision is another one after everything that an answer may rest on, and stays otherwise. */
export function describeContentRevision(name: string, open: () => Promise<Store>): void {
  describe(`content revision: ${name}`, () => {
    let store: Store;
    let tenant: TenantStore;
    let botId: string;
    let bystander: string;
    const seen = new Set<string>();
    beforeAll(async () => {
      store = await open();
      ({ tenant, botId } = await createTenantWithBot(store, samples));
      const other = samples.bot();
      await tenant.bots.create(other);
      bystander = other.id;
    });

    const revision = async (id = botId): Promise<string | undefined> => (await tenant.bots.get(id))?.contentRevision;

    async function expectRevised(what: string, change: () => Promise<unknown>): Promise<void> {
      await change();
      const current = (await revision()) ?? '';
      expect(current, what).not.toBe('');
      expect(seen.has(current), `${what} is a change`).toBe(false);
      seen.add(current);
    }

    it('is none for a bot that nothing has happened to', async () => {
      expect(await revision()).toBeUndefined();
    });

    it('is another one after each change, and that of other bots stays', async () => {
      const source = samples.source(botId);
      const unseen = samples.document(['to come'], { state: 'building' });
      const shown = samples.document(['seen at once']);
      const next = samples.generation(botId, { state: { type: 'ready', at: samples.now } });
      await tenant.generations.create(next);
      const change = { updatedAt };
      await expectRevised('a new source', () => tenant.sources.create(source));
      await expectRevised('a document that is found at once', () => tenant.documents.add(botId, source.id, shown));
      await tenant.documents.add(botId, source.id, unseen);
      await expectRevised('a document that is found now', () =>
        tenant.documents.setState([unseen.document.id], 'searchable'),
      );
      await expectRevised('a title', () => tenant.sources.update(source.id, { ...change, title: 'Other' }));
      await expectRevised('metadata', () => tenant.sources.update(source.id, { ...change, metadata: { a: 1 } }));
      await expectRevised('settings', () => tenant.bots.update(botId, { ...change, instructions: 'Be brief.' }));
      await expectRevised('another generation', () =>
        tenant.generations.update(next.id, { ...change, state: { type: 'active', at: updatedAt } }),
      );
      await expectRevised('a document that is gone', () => tenant.documents.delete([unseen.document.id]));
      await expectRevised('a source that is gone', () => tenant.sources.delete(botId, source.id));
      expect(await revision(bystander)).toBeUndefined();
    });

    it('stays while nothing changes that answers show', async () => {
      const source = samples.source(botId);
      await tenant.sources.create(source);
      const before = await revision();
      await tenant.documents.add(botId, source.id, samples.document(['not yet'], { state: 'building' }));
      await tenant.documents.setState([], 'searchable');
      await tenant.sources.update(source.id, { updatedAt, status: 'processing', progress: { done: 1, total: 2 } });
      expect(await revision()).toBe(before);
    });

    it('changes with its transaction or not at all', async () => {
      const source = samples.source(botId);
      await tenant.sources.create(source);
      const before = await revision();
      const work = tenant.transaction(async ({ sources }) => {
        await sources.delete(botId, source.id);
        throw new Error('undone');
      });
      await expect(work).rejects.toThrow('undone');
      expect(await revision()).toBe(before);
    });
  });
}
