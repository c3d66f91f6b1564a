import type { Clock } from '../../kernel/index.ts';
import type { TransferProgress, WrittenBackup } from '../../store/index.ts';
import { EXIT } from './cli-error.ts';
import { type Command, usageError } from './command.ts';
import { printJson, printLine, say } from './terminal.ts';
import { createTransferProgress } from './transfer-progress.ts';

export interface BackupParts {
  readonly clock: Clock;
  readonly backup: (options: {
    readonly dataFolder: string | undefined;
    readonly target: string;
    readonly leaveOutSecret: boolean;
    readonly onProgress: (progress: TransferProgress) => void;
    readonly signal: AbortSignal;
  }) => Promise<WrittenBackup & { readonly path: string }>;
}

/** `chatsphere backup`: everything of the installation in one file, while the server runs. */
export function createBackupCommand({ clock, backup }: BackupParts): Command {
  const command: Command = {
    name: 'backup',
    mostArguments: 1,
    summary: 'write everything to one file, also while the server runs',
    help: `Usage: chatsphere backup FILE|FOLDER [--no-secret]

Writes all tenants, bots, sources with their files, chunks with their vectors, conversations, jobs, usage and keys (as hashes)
to FILE, or to a new file in FOLDER. The server may go on running: the backup is of one moment. It can be restored
into a data folder, whatever database it came from, with: chatsphere restore FILE

The file also holds the secret of the data folder, without which API keys do not work: keep it as safe as the data folder.

  --no-secret   leave the secret out; restore then needs it in CHATSPHERE_SECRET
  --json        a line a second of progress, then what was written, as JSON`,
    options: { 'no-secret': { type: 'boolean' } },
    async run(context) {
      const [target] = context.positionals;
      if (target === undefined) throw usageError(command, 'The file is missing');
      if (context.values['server'] !== undefined) {
        throw usageError(command, 'A backup is made where the data is; --server is not possible');
      }
      const dataFolder = context.values['data-dir'];
      const progress = createTransferProgress(context, clock);
      const startedAt = clock.now();
      const written = await backup({
        dataFolder: typeof dataFolder === 'string' ? dataFolder : undefined,
        target,
        leaveOutSecret: context.values['no-secret'] === true,
        onProgress: progress.show,
        signal: context.signal,
      }).finally(progress.clear);
      const { header, manifest } = written;
      const seconds = (clock.now() - startedAt) / 1000;
      const secret = describeSecret(header.secret);
      if (context.json) {
        printJson(context.terminal, {
          object: 'backup',
          file: written.path,
          bytes: written.bytes,
          sha256: written.sha256,
          created_at: Math.floor(header.created_at / 1000),
          engine: header.engine,
          schema: Math.max(...header.migrations),
          tables: manifest.tables,
          files: manifest.files,
          secret,
          seconds,
        });
        return EXIT.ok;
      }
      printLine(context.terminal, written.path);
      const rows = Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0);
      say(
        context.terminal,
        `Wrote ${rows} rows and ${manifest.files.count} files (${written.bytes} bytes) in ${seconds.toFixed(1)} s. ${SECRETS[secret]}`,
      );
      if (manifest.files.lost.length > 0) {
        say(
          context.terminal,
          `${manifest.files.lost.length} uploaded files were gone or damaged already and are not in it: their sources answer, but cannot be trained again.`,
        );
      }
      return EXIT.ok;
    },
  };
  return command;
}

const SECRETS = {
  included: 'It holds the secret that API keys depend on: keep it safe.',
  left_out: 'It does not hold the secret: keep CHATSPHERE_SECRET, or the file "secret" of the data folder, elsewhere.',
  none: 'There is no secret yet.',
} as const;

function describeSecret(secret: WrittenBackup['header']['secret']): keyof typeof SECRETS {
  if (secret === null) return 'none';
  return secret.text === undefined ? 'left_out' : 'included';
}
