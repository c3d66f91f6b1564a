import { existsSync } from 'node:fs';
import { describe } from 'vitest';
import { RABBIT_PROGRAM, startRabbit } from '../../../../bench/lib/brokers.mjs';

/** A RabbitMQ of its own for tests: on free ports of this machine, with its files in a folder that goes with it. */
export interface TestRabbit {
  readonly url: string;
  stop(): Promise<void>;
}

/** A suite that needs a real RabbitMQ. Continuous integration must have it. */
export function describeWithRabbit(name: string, suite: () => void): void {
  if (existsSync(RABBIT_PROGRAM) || process.env['CI'] === 'true') describe(name, suite);
  else describe.skip(`${name} (rabbitmq-server is not installed)`, suite);
}

export const startTestRabbit: () => Promise<TestRabbit> = startRabbit;
