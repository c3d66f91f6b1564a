import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type ApiClient, asList, asText, asWire, type Wire } from './api-client.ts';
import { CliError, EXIT } from './cli-error.ts';
import type { HashedFile } from './file-hashes.ts';

/** What the server said to one file: the source that it made of it, or why it did not. */
export type UploadAnswer =
  | { readonly type: 'taken'; readonly source: Wire; readonly unchanged: boolean }
  | { readonly type: 'refused'; readonly code: string; readonly message: string; readonly told: boolean };

export interface UploadRequest {
  readonly client: ApiClient;
  readonly bot: string;
  readonly runId: string;
  readonly files: readonly HashedFile[];
  readonly signal: AbortSignal;
  readonly onAnswer: (file: HashedFile, answer: UploadAnswer) => void;
}

const FORMS_AT_ONCE = 3;
const FILES_A_FORM = 100;
const BYTES_A_FORM = 8 * 1024 * 1024;
/** Characters that forms cannot carry in a name as they are. */
const NOT_IN_FORMS = /["%\\\p{Cc}]/u;

/** Uploads what a sync run asks for: many small files in one form, large ones and those of odd names by themselves. */
export async function uploadFiles(request: UploadRequest): Promise<void> {
  const groups = groupsOf(request.files);
  const work = async (): Promise<void> => {
    for (let group = groups.shift(); group !== undefined; group = groups.shift()) await uploadGroup(request, group);
  };
  await Promise.all(Array.from({ length: Math.min(FORMS_AT_ONCE, groups.length) }, work));
}

function groupsOf(files: readonly HashedFile[]): HashedFile[][] {
  const groups: HashedFile[][] = [];
  let open: HashedFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (file.bytes > BYTES_A_FORM || NOT_IN_FORMS.test(file.externalKey)) {
      groups.push([file]);
      continue;
    }
    if (open.length === FILES_A_FORM || bytes + file.bytes > BYTES_A_FORM) {
      groups.push(open);
      open = [];
      bytes = 0;
    }
    open.push(file);
    bytes += file.bytes;
  }
  return open.length === 0 ? groups : [...groups, open];
}

async function uploadGroup(request: UploadRequest, group: readonly HashedFile[]): Promise<void> {
  const only = group.length === 1 ? group[0] : undefined;
  if (only !== undefined) return putFile(request, only);
  const { client, bot, runId, signal, onAnswer } = request;
  const sent: HashedFile[] = [];
  const form = new FormData();
  for (const file of group) {
    const content = await contentOf(file);
    if (content === null) onAnswer(file, unreadable(file));
    else {
      form.append('file', content, file.externalKey);
      sent.push(file);
    }
  }
  if (sent.length === 0) return;
  const path = `/v1/bots/${encodeURIComponent(bot)}/sync_runs/${runId}/sources`;
  try {
    const { data } = await client.request('POST', path, { form, signal });
    const answers = new Map(asList(data).map((answer) => [asText(answer['external_key']), answer]));
    for (const file of sent) {
      const answer = answers.get(file.externalKey);
      if (answer === undefined) await putFile(request, file);
      else onAnswer(file, toAnswer(answer));
    }
  } catch (error) {
    // The server takes less at once than we thought.
    if (!(error instanceof CliError) || error.code !== 'payload_too_large') throw error;
    for (const file of sent) await putFile(request, file);
  }
}

function toAnswer(answer: Wire): UploadAnswer {
  if (asText(answer['status']) !== 'refused')
    return { type: 'taken', source: asWire(answer['source']), unchanged: answer['status'] === 'unchanged' };
  const error = asWire(answer['error']);
  return { type: 'refused', code: asText(error['code']), message: asText(error['message']), told: true };
}

async function putFile(request: UploadRequest, file: HashedFile): Promise<void> {
  const { client, bot, signal, onAnswer } = request;
  const content = await contentOf(file);
  if (content === null) return onAnswer(file, unreadable(file));
  const form = new FormData();
  form.append('file', content, file.externalKey.split('/').at(-1));
  const path = `/v1/bots/${encodeURIComponent(bot)}/sources/by-key/${encodeURIComponent(file.externalKey)}`;
  try {
    const source = await client.request('PUT', path, { form, signal });
    onAnswer(file, { type: 'taken', source, unchanged: false });
  } catch (error) {
    const refused = error instanceof CliError && (error.exitCode === EXIT.failure || error.exitCode === EXIT.usage);
    if (!refused) throw error;
    onAnswer(file, { type: 'refused', code: error.code, message: error.message, told: false });
  }
}

/** Null when the file cannot be read any more. Small files are read whole, so that a form never breaks off in one. */
async function contentOf({ path, bytes }: HashedFile): Promise<Blob | null> {
  const type = mediaTypeOf(path);
  try {
    return bytes > BYTES_A_FORM ? await openAsBlob(path, { type }) : new Blob([await readFile(path)], { type });
  } catch {
    return null;
  }
}

function unreadable(file: HashedFile): UploadAnswer {
  const message = `"${file.path}" cannot be read. Check that it is there and that you may read it.`;
  return { type: 'refused', code: 'file_unreadable', message, told: false };
}

/** Of formats that their names do not tell apart for every server; the server looks into the others itself. */
function mediaTypeOf(path: string): string {
  if (/\.x?html?$/i.test(path)) return 'text/html';
  if (/\.(md|mdx|markdown)$/i.test(path)) return 'text/markdown';
  return /\.(txt|text|rst|adoc|log)$/i.test(path) ? 'text/plain' : 'application/octet-stream';
}
