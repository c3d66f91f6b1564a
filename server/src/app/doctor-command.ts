import { access, constants, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { pingRedis } from '../adapters/redis/index.ts';
import { toAppError } from '../kernel/index.ts';
import { asList, asNumber, asWire, type Wire } from './cli/api-client.ts';
import { EXIT, pathError } from './cli/cli-error.ts';
import type { Command, CommandContext } from './cli/command.ts';
import { paint, printable, printJson, printLine } from './cli/terminal.ts';
import type { Config } from './config.ts';
import { ensureDataFolder } from './data-folder.ts';
import { checkDatabase } from './database-check.ts';
import { describeChain, unreachable } from './provider-check.ts';

type CheckResult = { readonly level: 'ok' | 'warn' | 'fail'; readonly detail: string };

interface Check {
  readonly name: string;
  run(): Promise<CheckResult>;
}

const MIN_FREE_BYTES = 1024 ** 3;

export interface DoctorParts {
  readonly config: (overrides: { readonly dataFolder?: string }) => Promise<Config>;
  readonly findRunning: (dataFolder: string | undefined) => Promise<{ readonly url: string } | null>;
  /** What the running server says of `GET /v1/workers`; null when none runs. */
  readonly findWorkers: (dataFolder: string | undefined) => Promise<Wire | null>;
  /** Opens the application on the data folder, asks it for one embedding, and closes it again. */
  readonly tryApplication: (
    dataFolder: string | undefined,
  ) => Promise<{ readonly embedder: string; readonly chatModel: string }>;
}

/** `chatsphere doctor`: says what is wrong with the machine, the settings or the data folder, and what to do. */
export function createDoctorCommand(parts: DoctorParts): Command {
  return {
    name: 'doctor',
    mostArguments: 0,
    summary: 'check the machine, the settings and the data folder',
    help: `Usage: chatsphere doctor [--json]

Checks Node.js, the configuration, the data folder, free disk space, the providers of models, Redis, the database, the
embedder, the port and whether anybody runs jobs.
Exit code 1 when something must be mended.`,
    options: {},
    async run(context) {
      const folder = context.values['data-dir'];
      const dataFolder = typeof folder === 'string' ? folder : undefined;
      const results: CheckResult[] = [];
      for (const check of checksFor(parts, dataFolder)) {
        const result = await check.run().catch(
          (error: unknown): CheckResult => ({
            level: 'fail',
            detail: describe(error),
          }),
        );
        results.push(result);
        show(context, check.name, result);
      }
      return results.some((result) => result.level === 'fail') ? EXIT.failure : EXIT.ok;
    },
  };
}

function checksFor(parts: DoctorParts, dataFolder: string | undefined): readonly Check[] {
  const overrides = dataFolder === undefined ? {} : { dataFolder };
  return [
    { name: 'node', run: async () => checkNode() },
    { name: 'configuration', run: async () => checkConfiguration(await parts.config(overrides)) },
    { name: 'data folder', run: async () => checkFolder((await parts.config(overrides)).dataFolder) },
    { name: 'disk', run: async () => checkDisk((await parts.config(overrides)).dataFolder) },
    { name: 'providers', run: async () => checkProviders(await parts.config(overrides)) },
    { name: 'database', run: async () => checkDatabase(await parts.config(overrides)) },
    { name: 'redis', run: async () => checkRedis((await parts.config(overrides)).redis) },
    { name: 'server', run: () => checkServer(parts, dataFolder) },
    { name: 'workers', run: () => checkWorkers(parts, dataFolder) },
    { name: 'application', run: () => checkApplication(parts, dataFolder) },
  ];
}

function describe(error: unknown): string {
  const { code, message } = toAppError(error);
  return code === 'internal_error' ? (pathError(error)?.message ?? String(error)) : message;
}

function checkNode(): CheckResult {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const supported = major > 20 || (major === 20 && minor >= 12);
  return supported
    ? { level: 'ok', detail: process.version }
    : { level: 'fail', detail: `${process.version} is too old. Install Node.js 20.12 or later.` };
}

function checkConfiguration(config: Config): CheckResult {
  const models = `chat ${describeChain(config)}; embeddings ${config.embeddingModel.provider}/${config.embeddingModel.model}`;
  return config.warnings.length === 0
    ? { level: 'ok', detail: models }
    : { level: 'warn', detail: config.warnings.join(' ') };
}

/** A provider that is away is no fault of this machine: answers come from elsewhere meanwhile. */
async function checkProviders({
  chatModel,
  chatModelFallbacks,
  chatModelCheaper,
  embeddingModel,
  providers,
}: Config): Promise<CheckResult> {
  const used = [chatModel, ...chatModelFallbacks, ...chatModelCheaper, embeddingModel];
  const found = used.flatMap(({ provider }) => providers.get(provider)?.baseUrl ?? []);
  const addresses = [...new Set(found)];
  if (addresses.length === 0) return { level: 'ok', detail: 'none is used' };
  const away = await unreachable(addresses);
  return away.length === 0
    ? { level: 'ok', detail: `${addresses.join(', ')}: connected` }
    : { level: 'warn', detail: `${away.join(', ')} takes no connection. Check the address and the network.` };
}

async function checkFolder(folder: string): Promise<CheckResult> {
  await ensureDataFolder(folder);
  const writable = await access(folder, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return writable
    ? { level: 'ok', detail: folder }
    : { level: 'fail', detail: `${folder} cannot be written to. Change its owner or set CHATSPHERE_DATA_DIR.` };
}

async function checkDisk(folder: string): Promise<CheckResult> {
  const stats = await statfs(folder);
  const free = stats.bavail * stats.bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  return free > MIN_FREE_BYTES
    ? { level: 'ok', detail }
    : { level: 'warn', detail: `${detail}: less than 1 GiB. Make room before training.` };
}

/** Never a fault: without it everything works, each process by itself. */
async function checkRedis(settings: Config['redis']): Promise<CheckResult> {
  if (settings === null) return { level: 'ok', detail: 'not set: what processes share is in memory' };
  const ping = await pingRedis(settings);
  return ping.isThere
    ? { level: 'ok', detail: `Redis ${ping.version} answers in ${ping.tookMs.toFixed(1)} ms` }
    : { level: 'warn', detail: `away (${ping.reason}); the server goes on with its own memory. Check REDIS_URL.` };
}

async function checkServer(parts: DoctorParts, dataFolder: string | undefined): Promise<CheckResult> {
  const running = await parts.findRunning(dataFolder);
  if (running !== null) return { level: 'ok', detail: `running at ${running.url}` };
  const { host, port } = await parts.config({});
  const free = await portIsFree(host, port);
  return free
    ? { level: 'ok', detail: `not running; ${host}:${port} is free` }
    : { level: 'warn', detail: `not running, and ${host}:${port} is taken by another program. Set PORT.` };
}

async function checkWorkers(parts: DoctorParts, dataFolder: string | undefined): Promise<CheckResult> {
  const answer = await parts.findWorkers(dataFolder);
  if (answer === null) return { level: 'ok', detail: 'not running; the server runs jobs itself' };
  const heardOf = asList(answer['data']).filter((worker) => worker['alive'] === true);
  // Runners of one process give signs of life of their own.
  const alive = new Set(heardOf.map(({ host, pid }) => `${String(pid)} ${String(host)}`)).size;
  const jobs = asNumber(asWire(answer['waiting'])['jobs']);
  const seconds = Math.round(asNumber(asWire(answer['waiting'])['oldest_seconds']));
  const waiting = jobs === 0 ? 'no job waits' : `${jobs} jobs wait, one for ${seconds} s`;
  if (alive > 0) return { level: 'ok', detail: `${alive} alive; ${waiting}` };
  return { level: 'fail', detail: `no worker runs; ${waiting}. Look in the log of the server and restart it.` };
}

async function checkApplication(parts: DoctorParts, dataFolder: string | undefined): Promise<CheckResult> {
  if ((await parts.findRunning(dataFolder)) !== null)
    return { level: 'ok', detail: 'the running server holds the data folder' };
  const { embedder, chatModel } = await parts.tryApplication(dataFolder);
  return { level: 'ok', detail: `database opens, ${embedder} embeds, ${chatModel} answers` };
}

function portIsFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

const MARKS = { ok: ['green', 'ok  '], warn: ['yellow', 'warn'], fail: ['red', 'fail'] } as const;

function show(context: CommandContext, name: string, result: CheckResult): void {
  if (context.json) {
    printJson(context.terminal, { check: name, level: result.level, detail: result.detail });
    return;
  }
  const [color, mark] = MARKS[result.level];
  printLine(
    context.terminal,
    `${paint(context.terminal, color, mark)}  ${name.padEnd(14)} ${printable(result.detail)}`,
  );
}
