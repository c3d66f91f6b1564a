import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { AppError } from '../../kernel/index.ts';
import type { Bot, Failure, Source, SyncRunRepository } from '../../store/index.ts';
import { isContentFault } from '../pipeline/content-faults.ts';
import type { Trainer, UploadedFile, Upsert } from '../ports.ts';

/** What became of one file of an upload. */
export type UploadOutcome =
  | { readonly externalKey: string; readonly status: Upsert['change']; readonly source: Source }
  | { readonly externalKey: string; readonly status: 'refused'; readonly error: Failure };

/** Sources that are written while the next file is still on its way: they share syncs of the disk. */
const WRITES_AT_ONCE = 16;

/**
 * Takes files whose names are the keys that a run asks for, each as a source of its own. One that cannot be trained on,
 * or was not asked for, is refused by itself. A broken form rejects; the files before it are kept.
 */
export async function uploadAll(
  files: AsyncIterable<UploadedFile>,
  context: {
    readonly bot: Bot;
    readonly runId: string;
    readonly syncRuns: Pick<SyncRunRepository, 'findItem' | 'setState'>;
    readonly trainer: Pick<Trainer, 'put'>;
  },
): Promise<readonly UploadOutcome[]> {
  const outcomes: Promise<UploadOutcome>[] = [];
  const writing = new Set<Promise<unknown>>();
  try {
    for await (const file of files) {
      const outcome = take(file, context);
      const settled = outcome.catch(() => {}).finally(() => writing.delete(settled));
      writing.add(settled);
      outcomes.push(outcome);
      // The next file comes when this one has been read.
      await Promise.race([settled, ended(file.content)]);
      if (writing.size >= WRITES_AT_ONCE) await Promise.race(writing);
    }
  } catch (error) {
    // A file that could not be stored also ends the form: that it could not is what counts.
    await Promise.all(outcomes);
    throw error;
  }
  return Promise.all(outcomes);
}

async function ended(content: Readable): Promise<void> {
  if (content.readableEnded || content.destroyed) return;
  await once(content, 'close').catch(() => {});
}

async function take(file: UploadedFile, context: Parameters<typeof uploadAll>[1]): Promise<UploadOutcome> {
  const { bot, runId, syncRuns, trainer } = context;
  const externalKey = file.name;
  const item = await syncRuns.findItem(runId, externalKey);
  if (item?.action !== 'upload') {
    file.content.resume();
    const message = `"${externalKey}" is not among the files that the sync run asks for. A file's name must be its key.`;
    return { externalKey, status: 'refused', error: { code: 'invalid_request', message } };
  }
  try {
    const name = externalKey.split('/').at(-1) || externalKey;
    const content = { type: 'file' as const, files: only({ ...file, name }) };
    const upsert = await trainer.put(bot, externalKey, { content, metadata: item.metadata ?? {} });
    if (item.state !== 'asked') await mark('done');
    return { externalKey, status: upsert.change, source: upsert.source };
  } catch (error) {
    if (!(error instanceof AppError) || !isContentFault(error.code)) throw error;
    await mark('refused');
    return { externalKey, status: 'refused', error: { code: error.code, message: error.message } };
  }

  function mark(state: 'done' | 'refused'): Promise<void> {
    return syncRuns.setState(runId, { externalKeys: [externalKey], action: 'upload', state });
  }
}

async function* only(file: UploadedFile): AsyncGenerator<UploadedFile> {
  yield file;
}
