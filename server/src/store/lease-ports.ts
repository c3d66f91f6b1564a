/** What the names of lives begin with; the id of the process follows. */
export const LIVES = 'process/';

/**
 * Who does what only one process may do at a time, and which processes live, by rows of the database that expire. Times
 * are those of the processes: their clocks may differ by less than the time that a lease has.
 */
export interface LeaseRegistry {
  /** What other processes know this one by. */
  readonly processId: string;
  /** Takes a lease that is free or expired, or extends one's own. False: another process holds it. Atomic. */
  acquire(name: string, times: { readonly now: number; readonly expiresAt: number }): Promise<boolean>;
  /** Without effect when it is another's by now. */
  release(name: string): Promise<void>;
  /** Marks work that this process has begun; whoever comes after its death can find it. */
  mark(name: string): Promise<void>;
  unmark(name: string): Promise<void>;
  /** Names of marks that begin so and whose process is dead. */
  abandoned(beginning: string, now: number): Promise<readonly string[]>;
  /** Says that this process lives. Its marks and the keys that it claimed are its own until then. */
  live(times: { readonly now: number; readonly expiresAt: number }): Promise<void>;
  /** What other processes hold at that moment, of the leases whose names begin so; `LIVES`: which of them live. */
  ofOthers(beginning: string, now: number): Promise<readonly HeldLease[]>;
  /** Removes leases and lives that ended before; they say nothing any more. */
  removeExpired(before: number): Promise<number>;
  /** Says that it ends. */
  end(): Promise<void>;
  /** Ends all leases and lives. Only for a database that one process owns, at its start: whoever held them is dead. */
  endAll(): Promise<void>;
}

/** A lease that another process holds. `owner`: the id of the process. */
interface HeldLease {
  readonly name: string;
  readonly owner: string;
  readonly expiresAt: number;
}
