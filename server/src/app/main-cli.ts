#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../kernel/index.ts';
import { openConnection } from './cli/connection.ts';
import { runCli } from './cli/run-cli.ts';
import { configWith, wantsColor } from './config.ts';
import { createDoctorCommand } from './doctor-command.ts';
import { createLocalServers } from './local-server.ts';
import { createServeCommand } from './serve-command.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const documentation = fileURLToPath(new URL('../../../', import.meta.url));
const local = createLocalServers({ version, documentation });

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
  terminal: { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, color: wantsColor() },
  clock: systemClock,
  signal: interrupt.signal,
  applicationCommands: [
    createServeCommand({
      config: configWith,
      // Loaded when needed: most commands only talk to a server, and should not wait for its code.
      startApplication: async (config) =>
        (await import('./application.ts')).startApplication(config, { version, documentation, makeAdminKey: true }),
    }),
    createDoctorCommand({ config: configWith, ...local }),
  ],
  connect: (target) =>
    openConnection(target, { fetch, findRunning: local.findRunning, startInProcess: local.startInProcess }),
});
