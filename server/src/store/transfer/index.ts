export { readBackupHeader } from './backup-reader.ts';
export type { BackupHeader, BackupManifest } from './backup-records.ts';
export { type ReadBackup, type RestoreOptions, restoreBackup, verifyBackup } from './backup-restore.ts';
export {
  type BackupOptions,
  type HeldFiles,
  type TransferProgress,
  type WrittenBackup,
  writeBackup,
} from './backup-writer.ts';
export { type Copied, type CopyOptions, type CopyRefusal, copyDatabase, planCopy } from './copy-database.ts';
export { type CopyRun, forgetCopy, refuseUnfinishedCopy } from './copy-progress.ts';
export { undoCopy } from './copy-rollback.ts';
export { restoreIntoDatabase } from './database-restore.ts';
export type { FindOwnRows } from './kept-rows.ts';
export { createRowSource, type RowSource } from './row-source.ts';
export type { TransferConnection, TransferEngine } from './transfer-engine.ts';
