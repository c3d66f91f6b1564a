import { access, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../../kernel/index.ts';

const JOURNAL = 'swap.json';
const BEFORE = /^before-restore-(\d+)$/;

/** What the data of an installation is made of; everything else in the data folder belongs to running processes. */
const PARTS = ['chatsphere.db', 'chatsphere.db-wal', 'chatsphere.db-shm', 'blobs', 'secret'] as const;

const journalSchema = z.object({ moves: z.array(z.object({ from: z.string(), to: z.string() })) });

type Move = z.infer<typeof journalSchema>['moves'][number];

/** Whether there is data of an installation in the folder. */
export async function holdsData(dataFolder: string): Promise<boolean> {
  return exists(join(dataFolder, 'chatsphere.db'));
}

/**
 * Removes the data of an installation. Its secret stays: servers on another database that use this data folder may have
 * hashed their API keys with it. So does what `keep` names. The caller holds the lock of the data folder.
 */
export async function removeData(dataFolder: string, { keep }: { readonly keep: readonly string[] }): Promise<void> {
  const kept: readonly string[] = ['secret', ...keep];
  // The database last: as long as it is there, it says that it is being emptied.
  const parts = ['blobs', ...PARTS.filter((part) => part !== 'blobs')];
  for (const name of parts.filter((part) => !kept.includes(part)))
    await rm(join(dataFolder, name), { recursive: true, force: true });
  await syncFolder(dataFolder);
}

/**
 * Puts the data in `staged` (a folder in the data folder) in the place of what is there, which moves to a folder
 * `before-restore-TIME`: all of it or, whatever happens in between, none. A part that is not staged stays as it is when
 * `keep` names it. The caller holds the lock of the data folder. Returns the name of the folder, null when nothing was there.
 */
export async function swapIn(
  dataFolder: string,
  options: { readonly staged: string; readonly now: number; readonly keep: readonly string[] },
): Promise<string | null> {
  const before = `before-restore-${options.now}`;
  const staged = await partsIn(join(dataFolder, options.staged));
  const old = (await partsIn(dataFolder)).filter((name) => staged.includes(name) || !options.keep.includes(name));
  if (old.length > 0) await mkdir(join(dataFolder, before), { mode: 0o700 });
  await writeJournal(dataFolder, [
    ...old.map((name) => ({ from: name, to: join(before, name) })),
    ...staged.map((name) => ({ from: join(options.staged, name), to: name })),
  ]);
  await finishSwap(dataFolder);
  await rm(join(dataFolder, options.staged), { recursive: true, force: true });
  return old.length === 0 ? null : before;
}

/**
 * Brings back what was there before the last restore; what is there now moves to `undone-TIME`. The caller holds the lock.
 * Rejects with `nothing_to_roll_back`.
 */
export async function swapBack(
  dataFolder: string,
  now: number,
): Promise<{ readonly broughtBack: string; readonly movedTo: string }> {
  const times = (await readdir(dataFolder)).flatMap((name) => BEFORE.exec(name)?.[1] ?? []).map(Number);
  if (times.length === 0) {
    throw new AppError('nothing_to_roll_back', `There is nothing from before a restore in ${dataFolder}.`);
  }
  const before = `before-restore-${Math.max(...times)}`;
  const undone = `undone-${now}`;
  const old = await partsIn(join(dataFolder, before));
  // A secret that the restore left alone is in neither folder, and stays.
  const current = (await partsIn(dataFolder)).filter((name) => name !== 'secret' || old.includes(name));
  await mkdir(join(dataFolder, undone), { mode: 0o700 });
  await writeJournal(dataFolder, [
    ...current.map((name) => ({ from: name, to: join(undone, name) })),
    ...old.map((name) => ({ from: join(before, name), to: name })),
  ]);
  await finishSwap(dataFolder);
  await rm(join(dataFolder, before), { recursive: true, force: true });
  return { broughtBack: before, movedTo: undone };
}

/**
 * Finishes a swap that was begun, however often it was interrupted. The caller holds the lock of the data folder. Whoever
 * opens the data must have called this before.
 */
export async function finishSwap(dataFolder: string): Promise<void> {
  const path = join(dataFolder, JOURNAL);
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return;
  const { moves } = journalSchema.parse(JSON.parse(text));
  for (const { from, to } of moves) {
    // What has moved already is not there, and its place is taken.
    if (await exists(join(dataFolder, to))) continue;
    if (await exists(join(dataFolder, from))) await rename(join(dataFolder, from), join(dataFolder, to));
  }
  for (const folder of new Set(moves.map(({ to }) => dirname(join(dataFolder, to))))) await syncFolder(folder);
  await rm(path);
  await syncFolder(dataFolder);
}

/** From the moment that the journal has its name, the swap is done sooner or later. */
async function writeJournal(dataFolder: string, moves: readonly Move[]): Promise<void> {
  const path = join(dataFolder, JOURNAL);
  const file = await open(`${path}.part`, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify({ moves }));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
  await syncFolder(dataFolder);
}

async function partsIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return PARTS.filter((name) => names.includes(name));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
