import { stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { removeData } from '../../adapters/file-system/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import {
  type Copied,
  type CopyRefusal,
  type CopyRun,
  copyDatabase,
  createRowSource,
  forgetCopy,
  planCopy,
  type RowSource,
  type TransferProgress,
  undoCopy,
} from '../../store/index.ts';
import type { Config } from '../config.ts';
import { secretInFolder } from '../data-folder.ts';
import type { VectorStoreKind } from '../database-config.ts';
import { openSource, openTarget, refuseServers, refuseVectorStore, requireVectorStore } from './open-places.ts';
import { findOwnRowsWith } from './own-rows.ts';
import { type Place, placeName } from './places.ts';

export interface MigrationRequest {
  readonly config: Pick<Config, 'dataFolder' | 'secret'>;
  readonly from: Place;
  readonly to: Place;
  /** Where servers on the target will search vectors. */
  readonly vectorStore?: VectorStoreKind;
  /** Folder of the project's own documentation, which servers train the demo bot on. */
  readonly documentation: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onProgress: (progress: TransferProgress) => void;
  readonly signal: AbortSignal;
}

export interface Migrated extends Copied {
  /** Where the secret is that API keys were hashed with; null: in CHATSPHERE_SECRET of the servers. */
  readonly secretFile: string | null;
}

/**
 * Copies the installation into an empty place, and compares both. No server may work on either. The source is only read;
 * interrupted, the same call goes on.
 */
export async function migrateInstallation(request: MigrationRequest): Promise<Migrated> {
  refuseSamePlace(request);
  const places = { ...request, dataFolder: request.config.dataFolder };
  const source = await openSource(request.from, places);
  try {
    const target = await openTarget(request.to, places);
    try {
      await requireVectorStore(request.to, target, request.vectorStore ?? 'pgvector');
      const copied = await copyDatabase({
        source: createRowSource(source.connection),
        sourceName: placeName(request.from),
        target: target.connection,
        files: source.files,
        blobs: target.blobs,
        now: request.clock.now,
        findOwnRows: findOwnRowsWith(request.documentation),
        onProgress: request.onProgress,
        signal: request.signal,
      });
      await refuseServers(request.from, source.connection);
      return { ...copied, secretFile: await bringSecret(request) };
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** What a migration would do. Changes nothing. */
export interface MigrationPlan {
  readonly tables: Readonly<Record<string, number>>;
  readonly files: number;
  /** What is in the target: nothing that a migration made, or a copy that would go on, or that is done. */
  readonly target: CopyRun | null;
  /** Why the migration would be refused; null: it would not. */
  readonly refusal: CopyRefusal | null;
}

export async function planMigration(request: MigrationRequest): Promise<MigrationPlan> {
  refuseSamePlace(request);
  const source = await openSource(request.from, { ...request, dataFolder: request.config.dataFolder });
  try {
    const rows = createRowSource(source.connection);
    const tables: Record<string, number> = {};
    for (const table of await rows.tables()) tables[table.name] = await rows.count(table);
    const { run, refusal } = await planAt(request, rows);
    return { tables, files: source.files.hashes.length, target: run, refusal };
  } finally {
    await source.close();
  }
}

/** Empties the target of a migration; see `undoCopy`. The source is as it was all the time. */
export async function rollBackMigration(
  request: Pick<MigrationRequest, 'config' | 'to' | 'documentation' | 'clock' | 'logger' | 'signal'> & {
    readonly force: boolean;
  },
): Promise<CopyRun> {
  const { config, to, signal } = request;
  const missing = to.kind === 'sqlite' && !(await exists(join(to.folder, 'chatsphere.db')));
  if (missing) throw new AppError('nothing_to_roll_back', `There is no database in ${to.folder}: nothing was changed.`);
  const target = await openTarget(to, { ...request, dataFolder: config.dataFolder });
  try {
    const run = await undoCopy(target.connection, {
      evenIfChanged: request.force,
      findOwnRows: findOwnRowsWith(request.documentation),
      signal,
    });
    await target.removeBlobs();
    // What is still open of them goes with its last user. In the data folder of servers on another database, files may be theirs.
    const keep = to.kind === 'sqlite' && to.folder === resolve(config.dataFolder) ? ['blobs'] : [];
    if (to.kind === 'sqlite') await removeData(to.folder, { keep });
    else await forgetCopy(target.connection);
    return run;
  } finally {
    await target.close();
  }
}

/** Errors before the rows are looked at that a migration would meet, too. */
const REFUSALS: readonly string[] = ['migration_source_in_use', 'data_folder_locked', 'vector_extension_missing'];

async function planAt(request: MigrationRequest, source: RowSource): ReturnType<typeof planCopy> {
  const { from, to, config, signal } = request;
  if (to.kind === 'sqlite' && !(await exists(join(to.folder, 'chatsphere.db')))) return { run: null, refusal: null };
  try {
    const target = await openTarget(to, { ...request, dataFolder: config.dataFolder });
    try {
      await refuseVectorStore(to, target, request.vectorStore ?? 'pgvector');
      return await planCopy({ source, sourceName: placeName(from), target: target.connection, signal });
    } finally {
      await target.close();
    }
  } catch (error) {
    if (!(error instanceof AppError) || !REFUSALS.includes(error.code)) throw error;
    return { run: null, refusal: { code: error.code, message: error.message, rows: {} } };
  }
}

/** A data folder keeps the secret of its keys, so that it can be served as it is. */
async function bringSecret({ config, from, to }: MigrationRequest): Promise<string | null> {
  if (to.kind === 'sqlite') {
    const path = join(to.folder, 'secret');
    const secret = config.secret ?? (await secretInFolder(from.kind === 'sqlite' ? from.folder : config.dataFolder));
    if (secret !== null && !(await exists(path))) {
      await writeFile(path, `${secret}\n`, { mode: 0o600, flag: 'wx' });
    }
    return (await exists(path)) ? path : null;
  }
  if (config.secret !== null || from.kind === 'postgres') return null;
  return join(from.folder, 'secret');
}

function refuseSamePlace({ from, to }: MigrationRequest): void {
  if (placeName(from) !== placeName(to)) return;
  throw new AppError('configuration_invalid', `${placeName(to)} is the source already. Give another target with --to.`);
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
