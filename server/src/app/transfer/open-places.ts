import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createFileBlobStore, finishSwap, holdBlobs, lockDataFolder } from '../../adapters/file-system/index.ts';
import {
  createPostgresBlobStore,
  hasServers,
  openPostgresForFilling,
  openPostgresSnapshot,
  openStoredBlobs,
  refuseVectorExtension,
  removeStoredBlobs,
  requireVectorExtension,
} from '../../adapters/postgres/index.ts';
import { openSqliteForFilling, openSqliteSnapshot } from '../../adapters/sqlite/index.ts';
import { AppError, type Clock, type Logger } from '../../kernel/index.ts';
import {
  type BlobStore,
  findBlobsInUse,
  type HeldFiles,
  refuseUnfinishedCopy,
  type TransferConnection,
} from '../../store/index.ts';
import { ensureDataFolder } from '../data-folder.ts';
import type { VectorStoreKind } from '../database-config.ts';
import { type Place, placeName } from './places.ts';

/** Rows of one moment and the files that they speak of. */
export interface SourcePlace {
  readonly connection: TransferConnection;
  readonly files: HeldFiles;
  close(): Promise<void>;
}

export interface TargetPlace {
  readonly connection: TransferConnection;
  readonly blobs: Pick<BlobStore, 'put'>;
  /** Removes the uploaded files that were put there. */
  removeBlobs(): Promise<void>;
  close(): Promise<void>;
}

export interface PlaceOptions {
  /** The data folder of this machine: servers on PostgreSQL keep copies of uploaded files there. */
  readonly dataFolder: string;
  readonly logger: Logger;
  readonly clock: Pick<Clock, 'now'>;
}

/** How often the snapshot is taken again when files went away between it and the moment that they were held. */
const MOST_SNAPSHOTS = 3;

/** A snapshot of the place. Servers may work on it meanwhile. Rejects with `migration_unfinished` for one that is being filled. */
export async function openSnapshot(place: Place, { dataFolder, logger }: PlaceOptions): Promise<SourcePlace> {
  const folder = place.kind === 'sqlite' ? place.folder : dataFolder;
  if (place.kind === 'sqlite') await finishInterruptedRestore(folder);
  for (let turn = 1; ; turn += 1) {
    const connection = await openConnection(place, logger);
    try {
      await refuseUnfinishedCopy(connection.database);
      const files = await holdFiles(connection, folder);
      // Their source may have been deleted just after the snapshot; what is still missing then was lost before.
      if (place.kind === 'postgres' || files.missing.length === 0 || turn === MOST_SNAPSHOTS) {
        return {
          connection,
          files,
          async close() {
            await connection.close();
            await files.release();
          },
        };
      }
      await files.release();
      await connection.close();
    } catch (error) {
      await connection.close();
      throw error;
    }
  }
}

/** A snapshot of the place, which no server may work on. Rejects with `data_folder_locked` or `migration_source_in_use`. */
export function openSource(place: Place, options: PlaceOptions): Promise<SourcePlace> {
  if (place.kind === 'sqlite') return holding(place.folder, () => openSnapshot(place, options));
  return openSnapshot(place, options).then((opened) => withoutServers(place, opened));
}

/** The place for being filled or emptied, which no server may work on. */
export async function openTarget(place: Place, { dataFolder, logger, clock }: PlaceOptions): Promise<TargetPlace> {
  if (place.kind === 'sqlite') {
    await ensureDataFolder(place.folder);
    return holding(place.folder, async () => {
      const connection = openSqliteForFilling({ file: join(place.folder, 'chatsphere.db'), logger });
      const blobs = blobsIn(place.folder);
      return { connection, blobs, removeBlobs: async () => {}, close: () => connection.close() };
    });
  }
  await ensureDataFolder(dataFolder);
  const connection = await openPostgresForFilling({ url: place.url, logger });
  const { database } = connection;
  const opened = await withoutServers(place, { connection, close: () => connection.close() });
  const blobs = createPostgresBlobStore({ databases: { database }, local: blobsIn(dataFolder), now: clock.now });
  let started: Promise<void> | null = null;
  return {
    ...opened,
    removeBlobs: () => removeStoredBlobs(database),
    blobs: {
      async put(content, limits) {
        started ??= blobs.start();
        await started;
        return blobs.put(content, limits);
      },
    },
  };
}

/**
 * Before anything is copied: whether servers could keep their vectors there as they will want to.
 *
 * @throws AppError `vector_extension_missing`
 */
export function requireVectorStore(place: Place, { connection }: TargetPlace, wanted: VectorStoreKind) {
  return checkVectorStore(place, wanted, () => requireVectorExtension(connection.database));
}

/** Rejects as `requireVectorStore` would. Changes nothing. */
export function refuseVectorStore(place: Place, { connection }: TargetPlace, wanted: VectorStoreKind) {
  return checkVectorStore(place, wanted, () => refuseVectorExtension(connection.database));
}

async function checkVectorStore(place: Place, wanted: VectorStoreKind, check: () => Promise<void>): Promise<void> {
  if (place.kind === 'sqlite' || wanted !== 'pgvector') return;
  try {
    await check();
  } catch (cause) {
    if (!(cause instanceof AppError) || cause.code !== 'vector_extension_missing') throw cause;
    throw new AppError(cause.code, `${cause.message} Nothing was copied.`, { cause });
  }
}

/** Rejects with `migration_source_in_use` when servers work on it. */
export async function refuseServers(place: Place, connection: TransferConnection): Promise<void> {
  if (place.kind === 'sqlite' || !(await hasServers(connection))) return;
  throw new AppError(
    'migration_source_in_use',
    `Servers or workers are on ${placeName(place)}, or were so seconds ago: what they write would be left behind. Stop them all, wait 20 seconds and run it again.`,
  );
}

function openConnection(place: Place, logger: Logger): Promise<TransferConnection> {
  return place.kind === 'sqlite'
    ? openSqliteSnapshot({ file: join(place.folder, 'chatsphere.db'), logger })
    : openPostgresSnapshot({ url: place.url, logger });
}

function blobsIn(folder: string) {
  return createFileBlobStore({ folder: join(folder, 'blobs') });
}

/** The files that the rows speak of: those in the database, else those in the folder. */
async function holdFiles(connection: TransferConnection, folder: string) {
  const hashes = [...(await findBlobsInUse(connection.database))].sort();
  await ensureDataFolder(folder);
  const local = await holdBlobs(folder, blobsIn(folder), hashes);
  if (connection.engine.name === 'sqlite') return local;
  const stored = openStoredBlobs(connection.database);
  return { ...local, open: async (hash: string) => (await stored.open(hash)) ?? local.open(hash) };
}

async function withoutServers<Opened extends { readonly connection: TransferConnection; close(): Promise<void> }>(
  place: Place,
  opened: Opened,
): Promise<Opened> {
  try {
    await refuseServers(place, opened.connection);
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** No server can start on the folder until what was opened is closed. */
async function holding<Opened extends { close(): Promise<void> }>(
  folder: string,
  open: () => Promise<Opened>,
): Promise<Opened> {
  const lock = await lockDataFolder(folder);
  try {
    await finishSwap(folder);
    const opened = await open();
    return {
      ...opened,
      async close() {
        await opened.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** A server finishes it at its start; when none was started since, it is done here. */
async function finishInterruptedRestore(folder: string): Promise<void> {
  const found = await stat(join(folder, 'swap.json')).catch(() => null);
  if (found === null) return;
  const lock = await lockDataFolder(folder).catch((error: unknown) => {
    if (error instanceof AppError && error.code === 'data_folder_locked') return null;
    throw error;
  });
  if (lock === null) return;
  await finishSwap(folder).finally(() => lock.release());
}
