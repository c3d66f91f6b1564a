import { systemClock } from '../kernel/index.ts';
import { createBackupCommand } from './cli/backup-command.ts';
import type { Command } from './cli/command.ts';
import { createRestoreCommand } from './cli/restore-command.ts';

/** The commands that move whole installations. What they need is loaded when one of them runs. */
export function createTransferCommands(options: { readonly version: string }): readonly Command[] {
  const clock = systemClock;
  async function open(dataFolder: string | undefined) {
    const [{ configWith }, { createLogger }] = await Promise.all([
      import('./config.ts'),
      import('../monitoring/index.ts'),
    ]);
    const config = configWith(dataFolder === undefined ? {} : { dataFolder });
    const level = config.logLevel === 'info' ? 'warn' : config.logLevel;
    const logger = createLogger({ level, secrets: config.secret === null ? [] : [config.secret] });
    return { config, logger, clock };
  }
  return [
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
        const { restoreInstallation } = await import('./transfer/restore-installation.ts');
        const opened = await open(dataFolder);
        const restored = await restoreInstallation({ ...opened, ...request });
        return { ...restored, place: opened.config.dataFolder };
      },
      verify: async (file, signal) => (await import('../store/index.ts')).verifyBackup(file, signal),
      async undo(dataFolder) {
        const { undoRestore } = await import('./transfer/restore-installation.ts');
        const { config } = await open(dataFolder);
        return { ...(await undoRestore(config.dataFolder, clock)), place: config.dataFolder };
      },
    }),
  ];
}
