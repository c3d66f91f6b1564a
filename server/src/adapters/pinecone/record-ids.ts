import { createHash } from 'node:crypto';
import type { Namespace, VectorRecord } from '../../vector-store/index.ts';

const MOST_CHARACTERS = 512;

/** `tenant/bot/generation`, each part escaped, so that no two namespaces share a name. */
export function namespaceName({ tenantId, botId, generation }: Namespace): string {
  const name = [tenantId, botId, generation].map(encodeURIComponent).join('/');
  return name.length <= MOST_CHARACTERS ? name : shortened(name);
}

/** `document#chunk#window`, each part escaped: what belongs to a document can be listed by its prefix. */
export function recordId({
  documentId,
  chunkId,
  window,
}: Pick<VectorRecord, 'documentId' | 'chunkId' | 'window'>): string {
  return `${documentPrefix(documentId)}${encodeURIComponent(chunkId)}#${window}`;
}

export function documentPrefix(documentId: string): string {
  return `${encodeURIComponent(documentId)}#`;
}

/** The chunk that a record belongs to; null for what somebody else has put there. */
export function chunkIdOf(id: string): string | null {
  const [, chunkId, window, ...more] = id.split('#');
  if (chunkId === undefined || window === undefined || more.length > 0) return null;
  try {
    return decodeURIComponent(chunkId);
  } catch {
    return null;
  }
}

function shortened(name: string): string {
  return `${name.slice(0, MOST_CHARACTERS - 65)}~${createHash('sha256').update(name).digest('hex')}`;
}
