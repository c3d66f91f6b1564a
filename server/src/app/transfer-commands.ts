import { systemClock } from '../kernel/index.ts';
import { createBackupCommand } from './cli/backup-command.ts';
import type { Command } from './cli/command.ts';
import { createMigrateCommand } from './cli/migrate-command.ts';
import { createRestoreCommand } from './cli/restore-command.ts';
import type { Config } from './config.ts';
import type { VectorStoreKind } from './database-config.ts';
import type { Place } from './transfer/places.ts';

/** The commands that move whole installations. What they need is loaded when one of them runs. */
export function createTransferCommands(options: {
  readonly version: string;
  /** Folder of the project's own documentation. */
  readonly documentation: string;
}): readonly Command[] {
  const clock = systemClock;
  async function open(dataFolder: string | undefined) {
    const [{ configWith }, { createLogger }] = await Promise.all([
      import('./config.ts'),
      import('../monitoring/index.ts'),
    ]);
    const config = configWith(dataFolder === undefined ? {} : { dataFolder });
    const level = config.logLevel === 'info' ? 'warn' : config.logLevel;
    const logger = createLogger({ level, secrets: config.secret === null ? [] : [config.secret] });
    return { config, logger, clock, documentation: options.documentation, place: placeOf(config) };
  }
  async function openPlaces(given: {
    readonly dataFolder: string | undefined;
    readonly from: string | undefined;
    readonly to: string;
    readonly vectorStore?: 'auto' | VectorStoreKind | undefined;
  }) {
    const [opened, { parsePlace, placeName }] = await Promise.all([
      open(given.dataFolder),
      import('./transfer/places.ts'),
    ]);
    const from = given.from === undefined ? opened.place : parsePlace(given.from);
    const to = parsePlace(given.to);
    const vectorStore = vectorStoreAfter(opened.config, given.vectorStore ?? 'auto');
    return { request: { ...opened, from, to, vectorStore }, names: { from: placeName(from), to: placeName(to) } };
  }
  return [
    createMigrateCommand({
      clock,
      async migrate({ onProgress, signal, ...given }) {
        const { migrateInstallation } = await import('./transfer/migrate-installation.ts');
        const { request, names } = await openPlaces(given);
        return { ...(await migrateInstallation({ ...request, onProgress, signal })), ...names };
      },
      async plan({ signal, ...given }) {
        const { planMigration } = await import('./transfer/migrate-installation.ts');
        const { request, names } = await openPlaces(given);
        return { ...(await planMigration({ ...request, onProgress: () => {}, signal })), ...names };
      },
      async rollBack({ signal, force, ...given }) {
        const { rollBackMigration } = await import('./transfer/migrate-installation.ts');
        const { request, names } = await openPlaces(given);
        return { ...(await rollBackMigration({ ...request, force, signal })), to: names.to };
      },
    }),
    createBackupCommand({
      clock,
      async backup({ dataFolder, ...request }) {
        const { backupInstallation } = await import('./transfer/backup-installation.ts');
        return backupInstallation({ ...(await open(dataFolder)), program: options.version, ...request });
      },
    }),
    createRestoreCommand({
      clock,
      async restore({ dataFolder, ...request }) {
        const opened = await open(dataFolder);
        if (opened.place.kind === 'postgres') {
          const [{ restoreDatabase }, { placeName }] = await Promise.all([
            import('./transfer/restore-database.ts'),
            import('./transfer/places.ts'),
          ]);
          return { ...(await restoreDatabase({ ...opened, ...request })), place: placeName(opened.place) };
        }
        const { restoreInstallation } = await import('./transfer/restore-installation.ts');
        const restored = await restoreInstallation({ ...opened, ...request });
        return { ...restored, place: opened.config.dataFolder };
      },
      verify: async (file, signal) => (await import('../store/index.ts')).verifyBackup(file, signal),
      async undo({ dataFolder, ...request }) {
        const opened = await open(dataFolder);
        if (opened.place.kind === 'postgres') {
          const [{ undoDatabaseRestore }, { placeName }] = await Promise.all([
            import('./transfer/restore-database.ts'),
            import('./transfer/places.ts'),
          ]);
          await undoDatabaseRestore({ ...opened, ...request });
          return { broughtBack: null, movedTo: null, place: placeName(opened.place) };
        }
        const { undoRestore } = await import('./transfer/restore-installation.ts');
        const { dataFolder: folder } = opened.config;
        return { ...(await undoRestore(folder, clock)), place: folder };
      },
    }),
  ];
}

/** What servers on a PostgreSQL will search vectors with. Without one so far, `embedded` may merely be what `auto` means. */
function vectorStoreAfter(
  { database, vectorStore }: Pick<Config, 'database' | 'vectorStore'>,
  chosen: 'auto' | VectorStoreKind,
): VectorStoreKind {
  if (chosen !== 'auto') return chosen;
  return database === null && vectorStore === 'embedded' ? 'pgvector' : vectorStore;
}

function placeOf({ database, dataFolder }: Pick<Config, 'database' | 'dataFolder'>): Place {
  return database === null ? { kind: 'sqlite', folder: dataFolder } : { kind: 'postgres', url: database.url };
}
