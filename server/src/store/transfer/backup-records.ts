import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';

/** The version of the file format; readers take this one and earlier ones. */
export const BACKUP_FORMAT_VERSION = 1;
export const BACKUP_FORMAT = 'chatsphere-backup';

const digestSchema = z.object({ rows: z.number().int().min(0), sha256: z.string() });

/** The first line: what wrote the file and from what. */
export const headerSchema = z.object({
  format: z.literal(BACKUP_FORMAT),
  version: z.number().int().min(1),
  /** Milliseconds since 1970. */
  created_at: z.number(),
  program: z.string(),
  engine: z.string(),
  migrations: z.array(z.number().int()),
  /**
   * The secret of the installation, with which API keys are hashed. Its text is there only when it was kept in the data
   * folder and was not left out; the fingerprint tells two secrets apart and gives none away.
   */
  secret: z.object({ fingerprint: z.string(), text: z.string().optional() }).nullable(),
});

export type BackupHeader = z.infer<typeof headerSchema>;

/** Opens the rows of a table, which follow line by line as arrays in the order of the columns. */
export const tableSchema = z.object({
  table: z.string(),
  key: z.array(z.string()).min(1),
  columns: z.array(z.string()).min(1),
});

/** Opens an uploaded file, whose bytes follow in parts. */
export const blobSchema = z.object({ blob: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.number().int().min(0) });

/** A piece of the last opened file, in base64. */
export const partSchema = z.object({ part: z.string() });

/** The last line: without it the file is not whole. */
export const manifestSchema = z.object({
  tables: z.record(z.string(), digestSchema),
  /** `lost`: hashes of files that rows speak of and that were gone or damaged where the backup was made. */
  files: z.object({ count: z.number().int(), bytes: z.number().int(), lost: z.array(z.string()) }),
  /** Of all bytes before this line, unpacked. */
  sha256: z.string(),
});

export type BackupManifest = z.infer<typeof manifestSchema>;

export function invalidBackup(what: string, cause?: unknown): AppError {
  return new AppError(
    'backup_invalid',
    `The file is no whole backup: ${what}. Nothing was changed. Use another backup.`,
    cause === undefined ? {} : { cause },
  );
}
