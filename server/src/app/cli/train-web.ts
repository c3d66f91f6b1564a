import type { Clock } from '../../kernel/index.ts';
import { type ApiClient, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import { type CommandContext, numberOption, usageError } from './command.ts';
import { createProgressBar } from './progress-bar.ts';
import { paint, printable, printJson, printLine, say } from './terminal.ts';

const COMMAND = { name: 'train' };
const POLL_MS = { first: 200, most: 2_000, growth: 1.5 };

export const WEB_OPTIONS = {
  crawl: { type: 'boolean' },
  sitemap: { type: 'boolean' },
  include: { type: 'string' },
  exclude: { type: 'string' },
  'max-pages': { type: 'string' },
  every: { type: 'string' },
} as const;

export function isWebAddress(path: string): boolean {
  return /^https?:\/\//i.test(path);
}

/** `chatsphere train https://...`: each address is a source by that key; again, it is fetched again, and only what changed is trained. */
export async function trainOnWeb(context: CommandContext, bot: string, clock: Clock): Promise<ExitCode> {
  const bodies = context.positionals.map((url) => ({ url, body: bodyOf(context, url) }));
  const client = await context.connect();
  await client.request('GET', `/v1/bots/${encodeURIComponent(bot)}`, { signal: context.signal });
  const startedAt = clock.now();
  const started: Started[] = [];
  for (const { url, body } of bodies) started.push({ url, source: await start({ client, context, bot }, url, body) });
  const wait = context.values['no-wait'] !== true;
  const ended = wait ? await waitFor(started, { client, context, bot, clock }) : started;
  return report(context, ended, (clock.now() - startedAt) / 1_000);
}

interface Connection {
  readonly client: ApiClient;
  readonly context: CommandContext;
  readonly bot: string;
}

interface Started {
  readonly url: string;
  readonly source: Wire;
}

function bodyOf(context: CommandContext, url: string): Wire {
  const { crawl, sitemap } = context.values;
  if (crawl === true && sitemap === true) throw usageError(COMMAND, 'Give --crawl or --sitemap, not both');
  const type = crawl === true ? 'crawl' : sitemap === true ? 'sitemap' : 'url';
  const maxPages = numberOption(COMMAND, context, 'max-pages');
  const every = numberOption(COMMAND, context, 'every');
  const limits = {
    ...patternsOf(context, 'include'),
    ...patternsOf(context, 'exclude'),
    ...(maxPages === undefined ? {} : { max_pages: maxPages }),
  };
  const unused = Object.keys(limits)[0];
  if (type === 'url' && unused !== undefined) {
    throw usageError(COMMAND, `--${unused.replace('_', '-')} goes with --crawl or --sitemap`);
  }
  return { type, url, ...limits, ...(every === undefined ? {} : { sync_interval_seconds: every }) };
}

function patternsOf({ values }: CommandContext, name: 'include' | 'exclude'): Wire {
  const value = values[name];
  if (typeof value !== 'string') return {};
  const patterns = value.split(',').map((pattern) => pattern.trim());
  return { [name]: patterns.filter((pattern) => pattern !== '') };
}

async function start({ client, context, bot }: Connection, url: string, body: Wire): Promise<Wire> {
  const sources = `/v1/bots/${encodeURIComponent(bot)}/sources`;
  const { signal } = context;
  const source = await client.request('PUT', `${sources}/by-key/${encodeURIComponent(url)}`, { json: body, signal });
  // The source is there already: what it is made of is fetched again.
  const known = !isAtWork(source);
  const id = encodeURIComponent(asText(source['id']));
  const started = known ? await client.request('POST', `${sources}/${id}/sync`, { signal }) : source;
  if (context.json) printJson(context.terminal, { event: 'queued', external_key: url, source_id: started['id'] });
  return started;
}

function isAtWork(source: Wire): boolean {
  return source['status'] === 'queued' || source['status'] === 'processing';
}

async function waitFor(
  started: readonly Started[],
  { client, context, bot, clock }: Connection & { readonly clock: Clock },
): Promise<readonly Started[]> {
  const bar = createProgressBar(context.terminal, { now: clock.now, quiet: context.json });
  const ended: Started[] = [];
  for (const { url, source: first } of started) {
    let source = first;
    const path = `/v1/bots/${encodeURIComponent(bot)}/sources/${encodeURIComponent(asText(first['id']))}`;
    for (let pauseMs = POLL_MS.first; isAtWork(source); pauseMs = Math.min(POLL_MS.most, pauseMs * POLL_MS.growth)) {
      const { done, total } = asWire(source['progress']);
      bar.update(asNumber(done), asNumber(total), `${asText(source['stage']) || 'waiting'} ${printable(url)}`);
      await clock.sleep(pauseMs, context.signal);
      source = await client.request('GET', path, { signal: context.signal });
    }
    ended.push({ url, source });
    if (context.json) {
      const { id, status, counts, last_error } = source;
      printJson(context.terminal, { event: 'source', external_key: url, source_id: id, status, counts, last_error });
    }
  }
  bar.clear();
  return ended;
}

function report(context: CommandContext, ended: readonly Started[], seconds: number): ExitCode {
  const { terminal } = context;
  const count = (...statuses: readonly string[]): number =>
    ended.filter(({ source }) => statuses.includes(asText(source['status']))).length;
  const [ready, partial, failed, waiting] = [
    count('ready'),
    count('partial'),
    count('failed'),
    count('queued', 'processing'),
  ];
  const pages = ended.reduce((sum, { source }) => sum + asNumber(asWire(source['counts'])['documents']), 0);
  const exitCode = failed === ended.length ? EXIT.failure : failed + partial > 0 ? EXIT.partlyTrained : EXIT.ok;
  if (context.json) {
    printJson(terminal, { event: 'done', ready, partial, failed, waiting, pages, seconds });
    return exitCode;
  }
  for (const { url, source } of ended) {
    const error = asWire(source['last_error']);
    if (error['code'] === undefined) continue;
    const status = asText(source['status']);
    const line = `${printable(url)}: ${printable(asText(error['message']))} (${asText(error['code'])})`;
    say(terminal, `${paint(terminal, status === 'failed' ? 'red' : 'yellow', status)} ${line}`);
  }
  const parts = [
    `${ready} ready${partial > 0 ? `, ${partial} partly` : ''} with ${pages} ${pages === 1 ? 'page' : 'pages'}`,
    `${failed} failed`,
    ...(waiting > 0 ? [`${waiting} still training`] : []),
  ];
  printLine(terminal, `${parts.join(', ')} in ${seconds.toFixed(1)} s`);
  return exitCode;
}

/** Folders have what addresses do not. */
export function refuseMixture({ positionals, values }: CommandContext): void {
  if (!positionals.every(isWebAddress)) {
    throw new CliError(EXIT.usage, 'Train on web addresses or on files, one after the other.', {
      hint: 'Run the command once with the addresses and once with the paths.',
    });
  }
  for (const name of ['prune', 'watch', 'dry-run', 'prefix']) {
    if (values[name] !== undefined) throw usageError(COMMAND, `--${name} goes with files and folders`);
  }
}
