import type { Clock } from '../../kernel/index.ts';
import { CliError } from './cli-error.ts';
import { stampOf } from './file-hashes.ts';
import { type WalkResult, walkPaths } from './folder-walk.ts';

/** The files below some paths at one moment, told apart from any other moment by size, times and inode. */
export interface Snapshot {
  readonly walk: WalkResult;
  readonly stamps: ReadonlyMap<string, string>;
}

export interface FolderWatch {
  readonly paths: readonly string[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const LOOK_EVERY_MS = 1_000;
/** A folder that takes long to look through is looked at less often. */
const SHARE_OF_TIME = 10;
/** Editors write, move and delete within moments: only what has come to rest is taken. */
const REST_MS = 300;

/** Null when a path is gone, as when a disk is not mounted. */
export async function takeSnapshot(paths: readonly string[]): Promise<Snapshot | null> {
  try {
    const walk = await walkPaths(paths);
    const stamps = new Map<string, string>();
    for (const { path } of walk.files) {
      const stamp = await stampOf(path).catch(() => ({ text: 'unreadable' }));
      if (stamp !== null) stamps.set(path, stamp.text);
    }
    return { walk, stamps };
  } catch (error) {
    if (error instanceof CliError && error.code === 'path_not_found') return null;
    // A folder that went away while it was read: the next look tells.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Looks at the files time and again, and resolves when they differ from what they were and have come to rest. Looking
 * works on every disk, also where a system does not tell of changes. Rejects when the signal aborts.
 */
export async function nextChange(before: Snapshot | null, { paths, clock, signal }: FolderWatch): Promise<Snapshot> {
  let pauseMs = LOOK_EVERY_MS;
  for (;;) {
    await clock.sleep(pauseMs, signal);
    const startedAt = clock.now();
    let now = await takeSnapshot(paths);
    pauseMs = Math.max(LOOK_EVERY_MS, (clock.now() - startedAt) * SHARE_OF_TIME);
    if (now === null || isSame(before, now)) continue;
    for (let last: Snapshot | null = null; now !== null && !isSame(last, now); now = await takeSnapshot(paths)) {
      last = now;
      await clock.sleep(REST_MS, signal);
    }
    if (now !== null && !isSame(before, now)) return now;
  }
}

function isSame(one: Snapshot | null, other: Snapshot): boolean {
  if (one === null || one.stamps.size !== other.stamps.size) return false;
  return [...other.stamps].every(([path, stamp]) => one.stamps.get(path) === stamp);
}
