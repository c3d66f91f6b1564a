import { type DestinationStream, destination as openDestination, pino } from 'pino';
import type { LogFields, Logger } from '../kernel/index.ts';
import { createSecretScrubber } from './secret-scrubber.ts';

export interface LoggerOptions {
  /** The least urgent that is written. */
  readonly level: keyof Logger | 'silent';
  /** Where lines go; stderr when absent, since stdout belongs to the data of the command line. */
  readonly destination?: DestinationStream;
  /** Secrets of the configuration (provider keys, admin key, pepper), taken out wherever they turn up. */
  readonly secrets?: readonly string[];
}

const STDERR = 2;

/** A logger of JSON lines, from which secrets are removed at any depth of fields, messages and errors. */
export function createLogger({ level, destination, secrets }: LoggerOptions): Logger {
  const scrubber = createSecretScrubber(secrets);
  const lines = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? openDestination({ dest: STDERR, sync: false }),
  );
  const at =
    (name: keyof Logger) =>
    (fields: LogFields, message: string): void => {
      if (lines.isLevelEnabled(name)) lines[name](scrubber.value(fields), scrubber.text(message));
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
