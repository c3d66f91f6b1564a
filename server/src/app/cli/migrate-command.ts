import type { Clock } from '../../kernel/index.ts';
import type { Copied, CopyRefusal, CopyRun, TransferProgress } from '../../store/index.ts';
import { EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, usageError } from './command.ts';
import { printJson, printLine, say } from './terminal.ts';
import { createTransferProgress } from './transfer-progress.ts';

interface Places {
  readonly dataFolder: string | undefined;
  /** As they were given: `postgres://...` or `sqlite:FOLDER`. Without `from`: what the configuration names. */
  readonly from: string | undefined;
  readonly to: string;
  readonly signal: AbortSignal;
}

/** The names of both places, without secrets. */
interface Named {
  readonly from: string;
  readonly to: string;
}

export interface MigrateParts {
  readonly clock: Clock;
  readonly migrate: (
    options: Places & {
      readonly vectorStore: VectorStoreName | undefined;
      readonly onProgress: (progress: TransferProgress) => void;
    },
  ) => Promise<Copied & Named & { readonly secretFile: string | null }>;
  readonly plan: (options: Places) => Promise<
    Named & {
      readonly tables: Readonly<Record<string, number>>;
      readonly files: number;
      readonly target: CopyRun | null;
      readonly refusal: CopyRefusal | null;
    }
  >;
  readonly rollBack: (options: Places & { readonly force: boolean }) => Promise<CopyRun & { readonly to: string }>;
}

const VECTOR_STORES = ['auto', 'embedded', 'pgvector', 'pinecone', 'langchain'] as const;

type VectorStoreName = (typeof VECTOR_STORES)[number];

/** `chatsphere migrate`: the installation on another database, and back. */
export function createMigrateCommand(parts: MigrateParts): Command {
  const command: Command = {
    name: 'migrate',
    mostArguments: 0,
    summary: 'bring everything to PostgreSQL, or back to a data folder',
    help: `Usage: chatsphere migrate --to postgres://USER:PASSWORD@HOST/DATABASE
       chatsphere migrate --to sqlite:FOLDER
       chatsphere migrate --to PLACE --dry-run
       chatsphere migrate --to PLACE --rollback

Copies all rows and uploaded files from the configured database (DATABASE_URL, else the data folder) into an empty one, with
all vectors: nothing is embedded again. All servers must be stopped. The source is only read and stays as it is. Interrupted,
the same command goes on where it stopped. In the end counts and checksums of each table and of each bot are compared.

  --to PLACE      where to: postgres://... or sqlite:FOLDER (a new data folder)
  --from PLACE    where from, when it is not what the configuration names
  --vector-store  which one the servers will use there (pgvector, embedded, pinecone, langchain; default pgvector, which must be
                  there). Vectors are in the database; the store is filled from there at the first start, without an embedder
  --dry-run       say what would be copied and whether it would be refused (exit code 1), change nothing
  --rollback      empty PLACE again; the source is what it was. Refused when something was written there since that would be
                  lost (content, conversations, keys, usage)
  --force         with --rollback: lose that
  --json          a line a second of progress, then what was done, as JSON`,
    options: {
      to: { type: 'string' },
      from: { type: 'string' },
      'vector-store': { type: 'string' },
      'dry-run': { type: 'boolean' },
      rollback: { type: 'boolean' },
      force: { type: 'boolean' },
    },
    async run(context) {
      const { values } = context;
      if (values['server'] !== undefined) {
        throw usageError(command, 'A migration is made where the databases can be reached; --server is not possible');
      }
      const text = (name: string) => (typeof values[name] === 'string' ? values[name] : undefined);
      const to = text('to');
      if (to === undefined) throw usageError(command, '--to is missing');
      const chosen = text('vector-store');
      const vectorStore = VECTOR_STORES.find((name) => name === chosen);
      if (chosen !== undefined && vectorStore === undefined) {
        throw usageError(command, `--vector-store must be one of ${VECTOR_STORES.join(', ')}`);
      }
      const places = { dataFolder: text('data-dir'), from: text('from'), to, signal: context.signal };
      if (values['rollback'] === true) {
        return reportRollback(context, await parts.rollBack({ ...places, force: values['force'] === true }));
      }
      if (values['dry-run'] === true) return reportPlan(context, await parts.plan(places));
      const startedAt = parts.clock.now();
      const progress = createTransferProgress(context, parts.clock);
      const copied = await parts.migrate({ ...places, vectorStore, onProgress: progress.show }).finally(progress.clear);
      return report(context, { ...copied, vectorStore }, (parts.clock.now() - startedAt) / 1000);
    },
  };
  return command;
}

function report(
  { json, terminal }: CommandContext,
  copied: Awaited<ReturnType<MigrateParts['migrate']>> & { readonly vectorStore: string | undefined },
  seconds: number,
): ExitCode {
  const { from, to, resumed, tables, bots, files, secretFile, vectorStore } = copied;
  if (json) {
    const embedded = { embedder_calls: 0 };
    printJson(terminal, {
      object: 'migration',
      ...{ from, to, resumed, tables, bots, files, ...embedded },
      secret_file: secretFile,
      vector_store: vectorStore ?? 'auto',
      seconds,
    });
    return EXIT.ok;
  }
  const rows = Object.values(tables).reduce((sum, table) => sum + table.rows, 0);
  printLine(terminal, to);
  say(
    terminal,
    `Copied ${rows} rows of ${Object.keys(tables).length} tables and ${files.count} files from ${from} in ${seconds.toFixed(1)} s. Counts and checksums of all tables and of ${bots} bots are the same.`,
  );
  if (to.startsWith('postgres:')) {
    say(terminal, 'Start servers and workers on it with DATABASE_URL set to the address.');
    if (secretFile !== null) {
      say(terminal, `Set CHATSPHERE_SECRET to what is in ${secretFile}: API keys depend on it.`);
    }
  } else say(terminal, `Start it without DATABASE_URL: chatsphere serve --data-dir ${to.replace(/^sqlite:/, '')}`);
  if (vectorStore !== undefined)
    say(terminal, `Set VECTOR_STORE=${vectorStore} for them; it fills itself from the database.`);
  if (files.lost.length > 0) {
    say(
      terminal,
      `${files.lost.length} uploaded files were not found or damaged and are not there: their sources answer, but cannot be trained again.`,
    );
  }
  say(terminal, 'The source is as it was. To take this back: chatsphere migrate --to ... --rollback');
  return EXIT.ok;
}

function reportPlan({ json, terminal }: CommandContext, plan: Awaited<ReturnType<MigrateParts['plan']>>): ExitCode {
  const { refusal, target } = plan;
  const rows = Object.values(plan.tables).reduce((sum, count) => sum + count, 0);
  const exitCode = refusal === null ? EXIT.ok : EXIT.failure;
  if (json) {
    printJson(terminal, { object: 'migration.plan', ...plan, rows });
    return exitCode;
  }
  printLine(terminal, `${rows} rows and ${plan.files} files would go from ${plan.from} to ${plan.to}`);
  if (target !== null) say(terminal, `The target was filled from ${target.source}: ${target.state}.`);
  if (refusal !== null) say(terminal, `It would be refused (${refusal.code}): ${refusal.message}`);
  return exitCode;
}

function reportRollback(
  { json, terminal }: CommandContext,
  undone: Awaited<ReturnType<MigrateParts['rollBack']>>,
): ExitCode {
  if (json) printJson(terminal, { object: 'migration.rolled_back', emptied: undone.to, source: undone.source });
  else {
    printLine(terminal, undone.to);
    say(terminal, `It is empty again. ${undone.source} is as it was: start the server on it.`);
  }
  return EXIT.ok;
}
