import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../kernel/index.ts';
import { API_KEY_SCOPES } from '../../store/index.ts';
import { createDoctorCommand } from '../doctor-command.ts';
import { createServeCommand, createWorkerCommand } from '../serve-command.ts';
import { createTransferCommands } from '../transfer-commands.ts';
import { COMMON_OPTIONS } from './command.ts';
import { SCOPES } from './resource-commands.ts';
import { commandsOf, runCli } from './run-cli.ts';

const never = () => Promise.reject(new Error('nothing is started'));
const parts = {
  ...{ config: never, startApplication: never, startWorker: never },
  ...{ findRunning: never, findWorkers: never, tryApplication: never },
};
const applicationCommands = [
  ...[createServeCommand(parts), createWorkerCommand(parts), createDoctorCommand(parts)],
  ...createTransferCommands({ version: 'test', documentation: 'none' }),
];

async function run(...args: readonly string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await runCli(args, {
    version: 'test',
    terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
    clock: systemClock,
    signal: new AbortController().signal,
    applicationCommands,
    connect: never,
  });
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

describe('arguments of commands', () => {
  it.each([
    ['serve', 'now'],
    ['worker', 'now'],
    ['doctor', 'all'],
    ['migrate', 'there', '--to', 'sqlite:x'],
    ['backup', 'one', 'two'],
    ['restore', 'one', 'two'],
    ['bots', 'list', 'all'],
    ['bots', 'show', 'one', 'two'],
    ['bots', 'delete', 'one', 'two', '--yes'],
    ['sources', 'list', 'x', '--bot', 'b'],
    ['sources', 'delete', 's', 't', '--bot', 'b', '--yes'],
    ['keys', 'revoke', 'k', 'l', '--yes'],
    ['jobs', 'cancel', 'j', 'k'],
    ['generations', 'rollback', 'g', '--bot', 'b'],
    ['usage', 'today'],
    ['export', 'b', '--bot', 'b'],
    ['import', 'one', 'two'],
    ['chat', 'hello', '--bot', 'b'],
  ])('refuses what it would not look at: %s %s', async (...args) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain('is one too many');
  });

  it('refuses scopes that do not exist and names those that do, before anything is started', async () => {
    const { code, stderr } = await run('keys', 'create', 'My', 'site', '--scopes', 'chat,bogus');
    expect(code).toBe(2);
    expect(stderr).toContain('"bogus"');
    for (const scope of API_KEY_SCOPES) expect(stderr).toContain(scope);
    expect((await run('keys', 'create', 'x', '--scopes', ',')).code).toBe(2);
    expect(SCOPES).toEqual(API_KEY_SCOPES);
  });
});

describe('the help of commands', () => {
  it.each(commandsOf({ applicationCommands, clock: systemClock }))('tells every option of $name', async (command) => {
    const { code, stdout } = await run(command.name, '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Usage: chatsphere ${command.name}\\b`));
    const told = [...stdout.matchAll(/--([a-z-]+)/g)].map(([, option]) => option);
    expect(told).toEqual(expect.arrayContaining(Object.keys(command.options)));
  });

  it('has every command and every common option in the overview', async () => {
    const { stdout } = await run('--help');
    for (const { name } of commandsOf({ applicationCommands, clock: systemClock }))
      expect(stdout).toContain(`\n  ${name} `);
    for (const option of Object.keys(COMMON_OPTIONS)) expect(stdout).toContain(`--${option}`);
  });
});
