import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { KeyedSource } from '../../store/index.ts';
import { createSyncPlanner, type ManifestEntry, type SyncPlan } from './sync-plan.ts';

const KEYS = ['a', 'b', 'c', 'docs/a', 'docs/b'];
const HASHES = ['1', '2', '3'];

const manifests: fc.Arbitrary<ManifestEntry[]> = fc.uniqueArray(
  fc.record(
    {
      externalKey: fc.constantFrom(...KEYS),
      contentHash: fc.constantFrom(...HASHES),
      metadata: fc.record({ team: fc.constantFrom('x', 'y') }),
    },
    { requiredKeys: ['externalKey', 'contentHash'] },
  ),
  { selector: ({ externalKey }) => externalKey },
);

const states: fc.Arbitrary<KeyedSource[]> = fc
  .uniqueArray(
    fc.record({
      externalKey: fc.constantFrom(...KEYS),
      fileHash: fc.constantFrom(...HASHES, null),
      type: fc.constantFrom('file' as const, 'text' as const, 'url' as const),
      status: fc.constantFrom('ready' as const, 'failed' as const, 'processing' as const, 'partial' as const),
      metadata: fc.constantFrom({}, { team: 'x' }),
    }),
    { selector: ({ externalKey }) => externalKey },
  )
  .map((sources) =>
    sources.map((source, position) => ({ ...source, position, id: `src_${source.externalKey}`, lastError: null })),
  );

function planOf(manifest: readonly ManifestEntry[], sources: readonly KeyedSource[], prune: boolean): SyncPlan {
  const planner = createSyncPlanner(manifest, { prune });
  for (const source of sources) planner.take(source);
  return planner.finish();
}

/** The state after a client has done what the plan says, and all is trained. */
function apply(plan: SyncPlan, manifest: readonly ManifestEntry[], sources: readonly KeyedSource[]): KeyedSource[] {
  const after = new Map(sources.map((source) => [source.externalKey, source]));
  for (const { action, externalKey, metadata } of plan.items) {
    const entry = manifest.find((candidate) => candidate.externalKey === externalKey);
    const before = after.get(externalKey);
    if (action === 'delete') after.delete(externalKey);
    if (action === 'relabel' && before !== undefined) after.set(externalKey, { ...before, metadata: metadata ?? {} });
    if (action !== 'upload' || entry === undefined) continue;
    const made = { position: 0, id: `src_${externalKey}`, externalKey, lastError: null };
    const trained = { type: 'file', status: 'ready', fileHash: entry.contentHash } as const;
    after.set(externalKey, { ...made, ...trained, metadata: metadata ?? {} });
  }
  return [...after.values()];
}

describe('a sync plan', () => {
  it('makes the sources those of the manifest, and asks for nothing the second time', () => {
    fc.assert(
      fc.property(manifests, states, fc.boolean(), (manifest, sources, prune) => {
        const plan = planOf(manifest, sources, prune);
        const after = apply(plan, manifest, sources);
        for (const { externalKey, contentHash, metadata } of manifest) {
          const source = after.find((candidate) => candidate.externalKey === externalKey);
          expect(source).toMatchObject({ fileHash: contentHash, ...(metadata === undefined ? {} : { metadata }) });
          expect(source?.status).not.toBe('failed');
        }
        const named = new Set(manifest.map(({ externalKey }) => externalKey));
        const others = sources.filter(({ externalKey }) => !named.has(externalKey));
        const kept = after.filter(({ externalKey }) => !named.has(externalKey));
        expect(kept).toEqual(prune ? others.filter(({ type }) => type !== 'file') : others);
        expect(planOf(manifest, after, prune)).toMatchObject({ items: [], unchanged: manifest.length });
      }),
    );
  });

  it('uploads nothing that is there already, whatever the order of the sources', () => {
    fc.assert(
      fc.property(manifests, states, (manifest, sources) => {
        const plan = planOf(manifest, sources, true);
        const reversed = planOf(manifest, sources.toReversed(), true);
        const sorted = (items: SyncPlan['items']) => items.map((item) => JSON.stringify(item)).sort();
        expect(sorted(reversed.items)).toEqual(sorted(plan.items));
        expect(plan.items.length + plan.unchanged).toBeGreaterThanOrEqual(manifest.length);
        for (const { externalKey } of plan.items.filter(({ action }) => action === 'upload')) {
          const source = sources.find((candidate) => candidate.externalKey === externalKey);
          const entry = manifest.find((candidate) => candidate.externalKey === externalKey);
          expect(source?.status === 'failed' || source?.fileHash !== entry?.contentHash).toBe(true);
        }
      }),
    );
  });

  it('tells of unchanged files that are not ready', () => {
    const source = { position: 1, id: 'src_a', externalKey: 'a', fileHash: '1', metadata: {}, lastError: null };
    const busy = { ...source, type: 'file', status: 'processing' } as const;
    expect(planOf([{ externalKey: 'a', contentHash: '1' }], [busy], false)).toEqual({
      items: [],
      unchanged: 1,
      unsettled: [busy],
    });
  });
});
