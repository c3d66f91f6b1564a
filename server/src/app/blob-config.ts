import { oneOf } from './environment-values.ts';

export type BlobStoreKind = 'folder' | 'database';

/** Where uploaded files are kept, for the schema of the environment. */
export const blobEnvironment = {
  BLOB_STORE: oneOf(['auto', 'folder', 'database']).default('auto'),
};

interface BlobEnvironment {
  readonly BLOB_STORE: 'auto' | BlobStoreKind;
  readonly DATABASE_URL?: string | undefined;
}

/** `auto`: in the database when processes share one, as a folder belongs to one machine. */
export function blobStoreOf({ BLOB_STORE: chosen, DATABASE_URL: url }: BlobEnvironment): BlobStoreKind {
  if (chosen !== 'auto') return chosen;
  return url === undefined ? 'folder' : 'database';
}

export function blobFaults({ BLOB_STORE: chosen, DATABASE_URL: url }: BlobEnvironment): readonly string[] {
  return chosen === 'database' && url === undefined ? ['BLOB_STORE=database needs a PostgreSQL: set DATABASE_URL'] : [];
}
