import { z } from 'zod';
import { wireReceipt } from './removals.ts';
import { externalKey, wireSource } from './sources.ts';
import { failure, metadata, unixSeconds } from './text.ts';

const MOST_MANIFEST_ENTRIES = 100_000;

const entry = z.strictObject({
  external_key: externalKey,
  content_hash: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { error: 'It must be the SHA-256 of the bytes of the file: 64 lower-case hex digits.' }),
  bytes: z.number().int().min(0).optional().describe('Size of the file; for your own book-keeping.'),
  metadata: metadata.optional().describe('When left out, what the source has stays.'),
});

export const newSyncRun = z
  .strictObject({
    manifest: z.array(entry).max(MOST_MANIFEST_ENTRIES).describe('Every file there is, each key once.'),
    prune: z.boolean().default(false).describe('Delete sources of files that the manifest does not name.'),
    prefix: z.string().max(500).default('').describe('Only keys that begin with it are looked at, and deleted.'),
  })
  .superRefine(({ manifest, prefix }, check) => {
    const seen = new Set<string>();
    for (const [position, { external_key: key }] of manifest.entries()) {
      const path = ['manifest', position, 'external_key'];
      if (seen.has(key)) check.addIssue({ code: 'custom', path, message: 'This key is in the manifest twice.' });
      else if (!key.startsWith(prefix))
        check.addIssue({ code: 'custom', path, message: 'It must begin with `prefix`.' });
      else {
        seen.add(key);
        continue;
      }
      return;
    }
  })
  .meta({ id: 'NewSyncRun' });

export type NewSyncRunBody = z.infer<typeof newSyncRun>;

export const syncCommit = z
  .strictObject({
    skip: z.array(externalKey).max(MOST_MANIFEST_ENTRIES).default([]).describe('Files that will not be uploaded.'),
  })
  .meta({ id: 'SyncCommit' });

export type SyncCommitBody = z.infer<typeof syncCommit>;

const count = z.number().int();

export const wireSyncRun = z
  .strictObject({
    id: z.string(),
    object: z.literal('sync_run'),
    bot_id: z.string(),
    status: z.enum(['open', 'committed', 'cancelled', 'expired']),
    prune: z.boolean(),
    prefix: z.string(),
    plan: z
      .strictObject({
        upload: z.array(z.string()).readonly().describe('Keys of the files that are still to be uploaded.'),
        unchanged: count,
        delete: z.array(z.string()).readonly().describe('Keys of the sources that the commit deletes.'),
      })
      .optional()
      .describe('Left out in lists.'),
    counts: z.strictObject({
      upload: count,
      uploaded: count,
      refused: count.describe('Files that cannot be trained on.'),
      skipped: count,
      unchanged: count,
      relabel: count.describe('The same bytes with other metadata.'),
      delete: count,
      deleted: count,
      kept: count.describe('To be deleted, but put again meanwhile.'),
    }),
    unsettled: z
      .array(
        z.strictObject({
          external_key: z.string(),
          source_id: z.string(),
          status: z.enum(['queued', 'processing', 'ready', 'partial', 'failed']),
          last_error: failure.nullable(),
        }),
      )
      .readonly()
      .optional()
      .describe(
        'Only in the answer that opens the run: unchanged files that are still being trained or only partly usable.',
      ),
    receipt: wireReceipt.describe('What the commit has deleted.'),
    created_at: unixSeconds,
    expires_at: unixSeconds,
    ended_at: unixSeconds.nullable(),
  })
  .meta({ id: 'SyncRun' });

export type WireSyncRun = z.infer<typeof wireSyncRun>;

/** Only for the documentation: forms are read as streams. */
export const syncUploadForm = z.strictObject({
  file: z
    .array(z.string().meta({ format: 'binary' }))
    .describe("The files. The name of each, with its folders, is the file's key."),
});

export const syncUploadFields = z.strictObject({});

export const wireSyncUpload = z
  .strictObject({
    object: z.literal('sync_run.upload'),
    sync_run: z.string(),
    data: z.array(
      z.strictObject({
        external_key: z.string(),
        status: z.enum(['created', 'replaced', 'unchanged', 'refused']),
        source: wireSource.nullable(),
        error: failure.nullable(),
      }),
    ),
  })
  .meta({ id: 'SyncUpload' });

export type WireSyncUpload = z.infer<typeof wireSyncUpload>;
