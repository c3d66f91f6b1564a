#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../kernel/index.ts';
import { openConnection } from './cli/connection.ts';
import { runCli } from './cli/run-cli.ts';
import { createDoctorCommand } from './doctor-command.ts';
import { createLocalServers } from './local-server.ts';
import { createServeCommand, createWorkerCommand } from './serve-command.ts';
import { createTransferCommands } from './transfer-commands.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const documentation = fileURLToPath(new URL('../../../', import.meta.url));
const local = createLocalServers({ version, documentation });

// Loaded when needed: most commands only talk to a server, and should not wait for what they do not use.
const config = async (overrides: Parameters<typeof import('./config.ts').configWith>[0]) =>
  (await import('./config.ts')).configWith(overrides);

const processes: Parameters<typeof createServeCommand>[0] = {
  config,
  startApplication: async (own, options) =>
    (await import('./application.ts')).startApplication(own, {
      ...{ version, documentation, makeAdminKey: true },
      ...options,
    }),
  startWorker: async (own) => (await import('./application.ts')).startWorker(own, { version }),
};

const interrupt = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (interrupt.signal.aborted) process.exit(130);
    interrupt.abort(new Error(name));
  });
}
// A reader that went away (`| head`) is no failure of ours.
process.stdout.on('error', () => process.exit(0));

process.exitCode = await runCli(process.argv.slice(2), {
  version,
  terminal: {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    color: process.stdout.hasColors?.() ?? false,
  },
  clock: systemClock,
  signal: interrupt.signal,
  applicationCommands: [
    createServeCommand(processes),
    createWorkerCommand(processes),
    createDoctorCommand({ config, ...local }),
    ...createTransferCommands({ version, documentation }),
  ],
  connect: (target) =>
    openConnection(target, {
      fetch,
      findRunning: local.findRunning,
      startInProcess: local.startInProcess,
      tell: (note) => process.stderr.write(`${note}\n`),
    }),
});
