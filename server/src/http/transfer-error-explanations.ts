/** What the codes mean that are about the place of the data, its backup, restore and migration. */
export const TRANSFER_ERROR_EXPLANATIONS = {
  backup_invalid: {
    meaning: 'The file is no backup, or it is damaged or cut off. Nothing was changed.',
    remedy: 'Use another backup. `chatsphere restore FILE --verify` checks one without changing anything.',
  },
  backup_version_unsupported: {
    meaning: 'A newer version of ChatSphere AI wrote the backup. Nothing was changed.',
    remedy: 'Restore it with the version that wrote it, or a later one.',
  },
  installation_not_found: {
    meaning: 'There is no database in the data folder that the command should read. Nothing was changed.',
    remedy: 'Name the folder with `--data-dir` or `CHATSPHERE_DATA_DIR`, or the database with `DATABASE_URL`.',
  },
  restore_target_not_empty: {
    meaning: 'There is data already where the backup or the copy should go. Nothing was changed.',
    remedy: 'Choose an empty place, or look at `chatsphere restore --help` for `--force`.',
  },
  nothing_to_roll_back: {
    meaning: 'There was no restore or migration whose state before it is still there.',
    remedy: 'Check the data folder that the command works on.',
  },
  migration_unfinished: {
    meaning: 'The database is the target of a migration that was begun and not finished.',
    remedy: 'Run `chatsphere migrate` again, which goes on where it stopped, or empty the target with `--rollback`.',
  },
  migration_mismatch: {
    meaning: 'After a migration the rows of source and target were not the same. The source is as it was.',
    remedy: 'Stop all servers, empty the target with `chatsphere migrate --rollback`, and begin again.',
  },
  migration_source_in_use: {
    meaning:
      'Servers or workers are on the database that is to be migrated, or were 20 seconds ago: what they write would be left behind. Or another migration fills it.',
    remedy: 'Stop them, wait 20 seconds and run the migration again.',
  },
  migration_target_changed: {
    meaning:
      'The target was written to after the migration, so that rolling back would lose something. Nothing was changed.',
    remedy: 'Migrate the other way, or add `--force` to lose it.',
  },
  path_not_writable: {
    meaning: 'A file or folder that the command should write cannot be made.',
    remedy: 'Check that the folder exists, is yours and is not read-only.',
  },
  storage_full: {
    meaning: 'There is no space left to store content.',
    remedy: 'The operator of the server must free space in the data folder.',
  },
  data_folder_locked: {
    meaning: 'Another process uses the data folder.',
    remedy:
      'Stop the other process, or name another folder in `CHATSPHERE_DATA_DIR`. Several processes need `DATABASE_URL`.',
  },
} as const;
