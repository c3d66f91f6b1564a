import type { Selectable } from 'kysely';
import type { Failure } from './entities.ts';
import { readJsonOrNull, writeJsonOrNull } from './json-columns.ts';
import type { SourcePagesTable } from './schema.ts';
import type { PageCopy, SourcePage, SourcePageRepository } from './source-page-ports.ts';
import type { TenantScope } from './tenant-scope.ts';

/** Keeps a statement's parameters (12 a page) below every engine's limit. */
const PAGES_PER_INSERT = 100;

export function createSourcePageRepository(scope: TenantScope): SourcePageRepository {
  const ofRun = (sourceId: string, run: string) =>
    scope.select('source_pages').where('source_id', '=', sourceId).where('run', '=', run);
  return {
    meet: (sourceId, run, pages) =>
      scope.atomically(async (transaction) => {
        let met = 0;
        for (let first = 0; first < pages.length; first += PAGES_PER_INSERT) {
          const rows = pages.slice(first, first + PAGES_PER_INSERT).map((page) => ({
            source_id: sourceId,
            url: page.url,
            address: page.address,
            kind: page.kind,
            run,
            depth: page.depth,
            lastmod: page.lastmod,
            state: 'pending',
            last_error_json: null,
            copy_json: null,
            blob_hash: null,
          }));
          const { numInsertedOrUpdatedRows } = await transaction
            .insert('source_pages', rows)
            .onConflict((conflict) =>
              conflict
                .columns(['tenant_id', 'source_id', 'url'])
                .doUpdateSet((set) => ({
                  address: set.ref('excluded.address'),
                  kind: set.ref('excluded.kind'),
                  run,
                  depth: set.ref('excluded.depth'),
                  lastmod: set.ref('excluded.lastmod'),
                  state: 'pending',
                  last_error_json: null,
                }))
                .where('source_pages.run', '!=', run),
            )
            .executeTakeFirst();
          met += Number(numInsertedOrUpdatedRows ?? 0n);
        }
        return met;
      }),
    async get(sourceId, url) {
      const row = await scope
        .select('source_pages')
        .selectAll('source_pages')
        .where('source_id', '=', sourceId)
        .where('url', '=', url)
        .executeTakeFirst();
      return row === undefined ? null : toPage(row);
    },
    async nextPending(sourceId, run, limit) {
      const rows = await ofRun(sourceId, run)
        .selectAll('source_pages')
        .where('state', '=', 'pending')
        .orderBy('kind', 'desc')
        .orderBy('depth')
        .orderBy('number')
        .limit(limit)
        .execute();
      return rows.map(toPage);
    },
    async settle(sourceId, url, { state, lastError, copy }) {
      await scope
        .update('source_pages')
        .set({
          state,
          last_error_json: writeJsonOrNull(lastError),
          ...(copy === undefined ? {} : { copy_json: writeJsonOrNull(copy), blob_hash: copy?.blobHash ?? null }),
        })
        .where('source_id', '=', sourceId)
        .where('url', '=', url)
        .execute();
    },
    async countOf(sourceId, run) {
      const rows = await ofRun(sourceId, run)
        .select((select) => ['source_pages.state', select.fn.countAll<number>().as('pages')])
        .where((where) => where.or([where('kind', '=', 'page'), where('state', '=', 'pending')]))
        .groupBy('state')
        .execute();
      const counts = { pending: 0, usable: 0, failed: 0, 'left-out': 0 };
      for (const { state, pages } of rows) counts[state as SourcePage['state']] = Number(pages);
      return counts;
    },
    async list(sourceId, run) {
      const rows = await ofRun(sourceId, run).selectAll('source_pages').orderBy('depth').orderBy('number').execute();
      return rows.map(toPage);
    },
    async retryFailed(sourceId, run) {
      await scope
        .update('source_pages')
        .set({ state: 'pending', last_error_json: null })
        .where('source_id', '=', sourceId)
        .where('run', '=', run)
        .where('state', '=', 'failed')
        .execute();
    },
    async forgetOthers(sourceId, run) {
      await scope.delete('source_pages').where('source_id', '=', sourceId).where('run', '!=', run).execute();
    },
  };
}

function toPage(row: Selectable<SourcePagesTable>): SourcePage {
  return {
    url: row.url,
    address: row.address,
    kind: row.kind as SourcePage['kind'],
    run: row.run,
    depth: row.depth,
    lastmod: row.lastmod,
    state: row.state as SourcePage['state'],
    lastError: readJsonOrNull<Failure>(row.last_error_json),
    copy: readJsonOrNull<PageCopy>(row.copy_json),
  };
}
