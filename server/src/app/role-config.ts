import { oneOf, wholeNumber } from './environment-values.ts';

/** What a process does: take requests and run jobs, or one of both. */
export type Role = 'all' | 'serve' | 'worker';

/** The settings of roles, for the schema of the environment. */
export const roleEnvironment = {
  ROLE: oneOf(['all', 'serve', 'worker']).default('all'),
  WORKER_PORT: wholeNumber(0, 65_535).default(3001),
  SHUTDOWN_DELAY_MS: wholeNumber(0, 600_000).default(0),
};

export interface RoleSettings {
  readonly role: Role;
  /** Where a worker of its own says how it is. */
  readonly workerPort: number;
  /** How long a server that was told to stop serves on while it says that it is not ready. */
  readonly shutdownDelayMs: number;
}

export function roleSettingsOf(environment: {
  readonly ROLE: Role;
  readonly WORKER_PORT: number;
  readonly SHUTDOWN_DELAY_MS: number;
}): RoleSettings {
  const { ROLE: role, WORKER_PORT: workerPort, SHUTDOWN_DELAY_MS: shutdownDelayMs } = environment;
  return { role, workerPort, shutdownDelayMs };
}
