import { type LeaseRegistry, LIVES } from '../store/index.ts';

type SharedLeases = Pick<LeaseRegistry, 'processId' | 'acquire' | 'release' | 'live' | 'ofOthers' | 'end' | 'endAll'>;

/**
 * The leases that processes share; each call of what it gives is another process. Its promises settle without real time, so that the
 * clock of the test decides.
 */
export function createLeaseRows(): () => SharedLeases {
  const rows = new Map<string, { readonly owner: string; readonly expiresAt: number }>();
  let processes = 0;
  return function open() {
    processes += 1;
    const owner = String(processes);
    const acquire = async (name: string, { now, expiresAt }: { now: number; expiresAt: number }) => {
      const row = rows.get(name);
      if (row !== undefined && row.owner !== owner && row.expiresAt > now) return false;
      rows.set(name, { owner, expiresAt });
      return true;
    };
    const release = async (name: string) => {
      if (rows.get(name)?.owner === owner) rows.delete(name);
    };
    return {
      processId: owner,
      acquire,
      release,
      live: async (times) => void (await acquire(LIVES + owner, times)),
      end: () => release(LIVES + owner),
      endAll: async () => rows.clear(),
      ofOthers: async (beginning, now) =>
        [...rows]
          .filter(([name, row]) => name.startsWith(beginning) && row.owner !== owner && row.expiresAt > now)
          .map(([name, row]) => ({ name, ...row })),
    };
  };
}
