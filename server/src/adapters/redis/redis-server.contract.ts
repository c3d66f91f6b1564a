import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';
import { startRedis } from '../../../../bench/lib/brokers.mjs';

/** A Redis of its own for tests: empty, on a free port of this machine, without files. */
export interface TestRedis {
  readonly url: string;
  /** Ends it at once; `start` begins an empty one at the same address. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** It takes connections and answers nothing. */
  pause(): void;
  resume(): void;
}

const BINARY = 'redis-server';
/** On machines without it the suites are skipped by name; continuous integration must have it. */
const isThere = (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, BINARY)));

/** A suite that needs a real Redis. */
export function describeWithRedis(name: string, suite: () => void): void {
  if (isThere || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (redis-server is not installed)`, suite);
}

export const startTestRedis: () => Promise<TestRedis> = startRedis;
