import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../kernel/index.ts';
import type { ReadBackup, TransferProgress } from '../../store/index.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, usageError } from './command.ts';
import { printJson, printLine, say } from './terminal.ts';
import { createTransferProgress } from './transfer-progress.ts';

interface RestoreOutcome extends ReadBackup {
  readonly keys: 'valid' | 'other_secret';
  readonly before: string | null;
  readonly place: string;
}

export interface RestoreParts {
  readonly clock: Clock;
  readonly restore: (options: {
    readonly dataFolder: string | undefined;
    readonly file: string;
    readonly force: boolean;
    readonly onProgress: (progress: TransferProgress) => void;
    readonly signal: AbortSignal;
  }) => Promise<RestoreOutcome>;
  readonly verify: (file: string, signal: AbortSignal) => Promise<ReadBackup>;
  readonly undo: (options: {
    readonly dataFolder: string | undefined;
    readonly force: boolean;
    readonly signal: AbortSignal;
  }) => Promise<Undone>;
}

/** Folders in the data folder; null: a database was emptied. */
interface Undone {
  readonly broughtBack: string | null;
  readonly movedTo: string | null;
  readonly place: string;
}

/** `chatsphere restore`: the installation of a backup, and the way back. */
export function createRestoreCommand(parts: RestoreParts): Command {
  const command: Command = {
    name: 'restore',
    mostArguments: 1,
    summary: 'make the installation of a backup',
    help: `Usage: chatsphere restore FILE [--data-dir FOLDER] [--force]
       chatsphere restore FILE --verify
       chatsphere restore --rollback

Fills the data folder from FILE, which chatsphere backup wrote. The server must be stopped. Everything is checked before
anything is replaced, and replaced at once. Bots answer at once: nothing is embedded again. With DATABASE_URL it fills that
database, which must be empty; --rollback empties it again (--force: even when it was written to since).

  --force      put what is in the data folder aside, into before-restore-TIME in it; without it the folder must be empty
  --verify     read and check FILE, change nothing
  --rollback   bring back what was there before the last restore; what is there now goes to undone-TIME in the folder`,
    options: { force: { type: 'boolean' }, verify: { type: 'boolean' }, rollback: { type: 'boolean' } },
    async run(context) {
      if (context.values['server'] !== undefined) {
        throw usageError(command, 'A backup is restored where the data is; --server is not possible');
      }
      const given = context.values['data-dir'];
      const dataFolder = typeof given === 'string' ? given : undefined;
      const force = context.values['force'] === true;
      if (context.values['rollback'] === true) {
        return rollback(context, await parts.undo({ dataFolder, force, signal: context.signal }));
      }
      const [file] = context.positionals;
      if (file === undefined) throw usageError(command, 'The file is missing');
      await requireFile(file);
      const startedAt = parts.clock.now();
      const took = () => (parts.clock.now() - startedAt) / 1000;
      if (context.values['verify'] === true) {
        const read = await parts.verify(file, context.signal);
        return report(context, read, { object: 'backup.verified', seconds: took() });
      }
      const progress = createTransferProgress(context, parts.clock);
      const restored = await parts
        .restore({
          dataFolder,
          file,
          force,
          onProgress: progress.show,
          signal: context.signal,
        })
        .finally(progress.clear);
      const { place, before, keys } = restored;
      report(context, restored, { object: 'restore', restored_to: place, before, keys, seconds: took() });
      if (!context.json) advise(context, file, restored);
      return EXIT.ok;
    },
  };
  return command;
}

function rollback(context: CommandContext, { place, broughtBack, movedTo }: Undone): ExitCode {
  if (context.json) {
    const moved = { brought_back: broughtBack, moved_to: movedTo };
    printJson(context.terminal, { object: 'restore.rolled_back', restored_to: place, ...moved });
    return EXIT.ok;
  }
  printLine(context.terminal, place);
  say(
    context.terminal,
    movedTo === null
      ? 'It is empty again.'
      : `What was there before the restore is back. What it replaces is in ${movedTo}.`,
  );
  return EXIT.ok;
}

function report(context: CommandContext, read: ReadBackup, extra: Readonly<Record<string, unknown>>): ExitCode {
  const { header, manifest } = read;
  if (context.json) {
    printJson(context.terminal, {
      ...extra,
      created_at: Math.floor(header.created_at / 1000),
      engine: header.engine,
      schema: Math.max(...header.migrations),
      tables: manifest.tables,
      files: manifest.files,
    });
    return EXIT.ok;
  }
  const rows = Object.values(manifest.tables).reduce((sum, table) => sum + table.rows, 0);
  const made = new Date(header.created_at).toISOString();
  printLine(context.terminal, `backup of ${made}: ${rows} rows, ${manifest.files.count} files, whole`);
  return EXIT.ok;
}

function advise({ terminal }: CommandContext, file: string, restored: RestoreOutcome): void {
  const { place, before, keys } = restored;
  say(terminal, `Restored to ${place}. Start it with: chatsphere serve`);
  if (before !== null) {
    say(
      terminal,
      `What was there is in ${before}. Bring it back with: chatsphere restore --rollback. Delete that folder once all is well.`,
    );
  }
  if (keys === 'other_secret') {
    say(terminal, 'The API keys in it were made with another secret than the one that is set: no server starts so.');
    say(terminal, whereSecretIs(file, restored));
  }
}

function whereSecretIs(file: string, { place, header }: RestoreOutcome): string {
  const isDatabase = place.startsWith('postgres:');
  if (header.secret?.text === undefined) {
    const inFolder = isDatabase ? '' : `, or copy that file to ${join(place, 'secret')}`;
    return `Set CHATSPHERE_SECRET to that of the installation that was backed up (its CHATSPHERE_SECRET, else the file "secret" of its data folder)${inFolder}. If it is lost: chatsphere serve --new-secret, and make all API keys anew.`;
  }
  return isDatabase
    ? `Set CHATSPHERE_SECRET to the secret in the first line of the backup: gzip -dc ${file} | head -n 1`
    : `Set CHATSPHERE_SECRET to what is in ${join(place, 'secret')}, or leave it out.`;
}

async function requireFile(file: string): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found?.isFile() === true) return;
  throw new CliError(EXIT.notFound, `There is no file "${file}".`, { code: 'path_not_found', hint: 'Check the path.' });
}
