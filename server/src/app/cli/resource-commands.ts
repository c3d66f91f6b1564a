import { createInterface } from 'node:readline/promises';
import { type ApiClient, asList, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { CliError, EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, numberOption, requiredOption, usageError } from './command.ts';
import { paint, printable, printJson, printLine, printTable, say } from './terminal.ts';

const BOT_OPTION = { bot: { type: 'string' as const, short: 'b' } };

export const botsCommand: Command = {
  name: 'bots',
  mostArguments: { list: 0, show: 1, delete: 1 },
  summary: 'list, create, show or delete bots',
  help: `Usage: chatsphere bots [list]
       chatsphere bots create NAME [--slug S] [--instructions TEXT]
       chatsphere bots show BOT
       chatsphere bots delete BOT [--yes]`,
  options: { slug: { type: 'string' }, instructions: { type: 'string' } },
  async run(context) {
    const [action = 'list', ...rest] = context.positionals;
    const client = await context.connect();
    if (action === 'list') {
      const bots = await listAll(client, '/v1/bots', context.signal);
      return printList(context, bots, {
        head: ['ID', 'SLUG', 'NAME'],
        row: (bot) => [asText(bot['id']), asText(bot['slug']), asText(bot['name'])],
        empty: 'No bots yet. Make one: chatsphere bots create "My bot"',
      });
    }
    if (action === 'create') {
      const name = rest.join(' ');
      if (name === '') throw usageError(botsCommand, 'The name of the new bot is missing');
      const bot = await client.request('POST', '/v1/bots', {
        json: { name, ...given(context, ['slug', 'instructions']) },
        signal: context.signal,
      });
      if (context.json) printJson(context.terminal, bot);
      else {
        printLine(context.terminal, asText(bot['slug']));
        say(
          context.terminal,
          `Made ${asText(bot['id'])}. Train it: chatsphere train FOLDER --bot ${asText(bot['slug'])}`,
        );
      }
      return EXIT.ok;
    }
    const id = rest[0];
    if (id === undefined) throw usageError(botsCommand, `bots ${action} needs a bot`);
    const path = `/v1/bots/${encodeURIComponent(id)}`;
    if (action === 'show') return printObject(context, await client.request('GET', path, { signal: context.signal }));
    if (action !== 'delete') throw usageError(botsCommand, `"${action}" is no action of bots`);
    await confirm(context, `Delete the bot ${id} and all it was trained on?`);
    return printDeleted(context, await client.request('DELETE', path, { signal: context.signal }));
  },
};

export const sourcesCommand: Command = {
  name: 'sources',
  mostArguments: { list: 0, duplicates: 0, show: 1, delete: 1 },
  summary: 'list, show or delete what a bot was trained on',
  help: `Usage: chatsphere sources [list] --bot BOT
       chatsphere sources show SOURCE --bot BOT
       chatsphere sources delete SOURCE --bot BOT [--yes]
       chatsphere sources duplicates --bot BOT      (documents that say the same)`,
  options: BOT_OPTION,
  async run(context) {
    const bot = requiredOption(sourcesCommand, context, 'bot');
    const [action = 'list', id] = context.positionals;
    const client = await context.connect();
    const base = `/v1/bots/${encodeURIComponent(bot)}/sources`;
    if (action === 'list') {
      return printList(context, await listAll(client, base, context.signal), {
        head: ['ID', 'STATUS', 'CHUNKS', 'KEY', 'TITLE', 'ERROR'],
        row: (source) => [
          asText(source['id']),
          asText(source['status']),
          String(asNumber(asWire(source['counts'])['chunks'])),
          asText(source['external_key']),
          asText(source['title']).slice(0, 60),
          asText(asWire(source['last_error'])['code']),
        ],
        empty: `No sources yet. Add some: chatsphere train FOLDER --bot ${bot}`,
      });
    }
    if (action === 'duplicates') {
      const groups = await listAll(client, `/v1/bots/${encodeURIComponent(bot)}/duplicates`, context.signal);
      const first = (group: Wire): Wire => asList(group['documents'])[0] ?? {};
      return printList(context, context.json ? groups : groups.flatMap(rowsOfGroup), {
        head: ['LIKE', 'SIMILARITY', 'SOURCE', 'KEY', 'TITLE'],
        row: (document) => [
          asText(document['group']),
          asNumber(document['similarity']).toFixed(2),
          asText(document['source_id']),
          asText(document['external_key']),
          asText(document['title']).slice(0, 60),
        ],
        empty: 'No two documents say the same.',
      });
      function rowsOfGroup(group: Wire): Wire[] {
        const name = asText(first(group)['external_key']) || asText(first(group)['title']);
        return asList(group['documents']).map((document) => ({ ...document, group: name.slice(0, 40) }));
      }
    }
    if (id === undefined) throw usageError(sourcesCommand, `sources ${action} needs a source id`);
    const path = `${base}/${encodeURIComponent(id)}`;
    if (action === 'show') return printObject(context, await client.request('GET', path, { signal: context.signal }));
    if (action !== 'delete') throw usageError(sourcesCommand, `"${action}" is no action of sources`);
    await confirm(context, `Delete the source ${id}?`);
    return printDeleted(context, await client.request('DELETE', path, { signal: context.signal }));
  },
};

/** As `POST /v1/api_keys` takes them; a test compares. */
export const SCOPES: readonly string[] = [
  ...['chat', 'search', 'sources:read', 'sources:write', 'bots:read', 'bots:write'],
  ...['keys', 'usage:read', 'privacy', 'metrics', 'admin'],
];

/** Rejects with a usage error for scopes that do not exist. */
function scopes(value: string | boolean | undefined): readonly string[] {
  const given = splitList(value);
  const unknown = given.find((scope) => !SCOPES.includes(scope));
  if (unknown !== undefined) {
    throw usageError(keysCommand, `There is no scope "${unknown}"; the scopes are ${SCOPES.join(', ')}`);
  }
  if (value !== undefined && given.length === 0) throw usageError(keysCommand, '--scopes names no scope');
  return given;
}

export const keysCommand: Command = {
  name: 'keys',
  mostArguments: { list: 0, revoke: 1 },
  summary: 'list, create or revoke API keys',
  help: `Usage: chatsphere keys [list]
       chatsphere keys create NAME [--scopes chat,search] [--bots BOT,BOT]
       chatsphere keys revoke KEY_ID [--yes]

Scopes: ${SCOPES.join(' ')}.
The secret is printed once, to stdout.`,
  options: { scopes: { type: 'string' }, bots: { type: 'string' } },
  async run(context) {
    const [action = 'list', ...rest] = context.positionals;
    if (action === 'create') scopes(context.values['scopes']);
    const client = await context.connect();
    if (action === 'list') {
      return printList(context, await listAll(client, '/v1/api_keys', context.signal), {
        head: ['ID', 'NAME', 'HINT', 'STATE', 'SCOPES'],
        row: (key) => [
          asText(key['id']),
          asText(key['name']),
          asText(key['hint']),
          key['revoked_at'] === null || key['revoked_at'] === undefined ? 'active' : 'revoked',
          (key['scopes'] as string[] | undefined)?.join(',') ?? '',
        ],
        empty: 'No API keys yet. Make one: chatsphere keys create "My site" --scopes chat',
      });
    }
    if (action === 'create') {
      const name = rest.join(' ');
      if (name === '') throw usageError(keysCommand, 'The name of the new key is missing');
      const bots = splitList(context.values['bots']);
      const json = {
        name,
        scopes: scopes(context.values['scopes'] ?? 'chat,search'),
        ...(bots.length > 0 ? { bots } : {}),
      };
      const key = await client.request('POST', '/v1/api_keys', { json, signal: context.signal });
      if (context.json) printJson(context.terminal, key);
      else {
        printLine(context.terminal, asText(key['secret']));
        say(context.terminal, `Made ${asText(key['id'])}. The secret above is shown this once only.`);
      }
      return EXIT.ok;
    }
    const id = rest[0];
    if (action !== 'revoke' || id === undefined)
      throw usageError(keysCommand, action === 'revoke' ? 'The key id is missing' : `"${action}" is no action of keys`);
    await confirm(context, `Revoke the key ${id}?`);
    return printDeleted(
      context,
      await client.request('DELETE', `/v1/api_keys/${encodeURIComponent(id)}`, { signal: context.signal }),
    );
  },
};

export const searchCommand: Command = {
  name: 'search',
  summary: 'find passages without asking a model',
  help: `Usage: chatsphere search "query" --bot BOT [--limit N] [--json]`,
  options: { ...BOT_OPTION, limit: { type: 'string' } },
  async run(context) {
    const bot = requiredOption(searchCommand, context, 'bot');
    const query = context.positionals.join(' ').trim();
    if (query === '') throw usageError(searchCommand, 'The query is missing');
    const limit = numberOption(searchCommand, context, 'limit') ?? 5;
    const client = await context.connect();
    const page = await client.request('POST', `/v1/bots/${encodeURIComponent(bot)}/search`, {
      json: { query, max_num_results: limit },
      signal: context.signal,
    });
    if (context.json) printJson(context.terminal, page);
    const hits = context.json ? [] : asList(page['data']);
    for (const [position, hit] of hits.entries()) {
      const title = [asText(hit['title']), ...((hit['heading_path'] as string[] | undefined) ?? [])].join(' › ');
      printLine(
        context.terminal,
        paint(context.terminal, 'bold', `${position + 1}. ${printable(title)}  ${asNumber(hit['score']).toFixed(3)}`),
      );
      printLine(context.terminal, `   ${printable(asText(hit['text'])).replace(/\s+/g, ' ').slice(0, 240)}`);
    }
    if (!context.json && hits.length === 0) say(context.terminal, 'Nothing found.');
    return EXIT.ok;
  },
};

export async function listAll(client: ApiClient, path: string, signal: AbortSignal): Promise<Wire[]> {
  const items: Wire[] = [];
  for (let after = ''; ; ) {
    const page = await client.request(
      'GET',
      `${path}${path.includes('?') ? '&' : '?'}limit=100&order=asc${after === '' ? '' : `&after=${after}`}`,
      {
        signal,
      },
    );
    items.push(...asList(page['data']));
    after = asText(page['last_id']);
    if (page['has_more'] !== true || after === '') return items;
  }
}

export function printList(
  context: CommandContext,
  items: readonly Wire[],
  view: { readonly head: readonly string[]; readonly row: (item: Wire) => readonly string[]; readonly empty: string },
): ExitCode {
  if (context.json) for (const item of items) printJson(context.terminal, item);
  else printTable(context.terminal, { head: view.head, rows: items.map(view.row), empty: view.empty });
  return EXIT.ok;
}

export function printObject(context: CommandContext, object: Wire): ExitCode {
  printLine(context.terminal, JSON.stringify(object, null, context.json ? 0 : 2));
  return EXIT.ok;
}

export function printDeleted(context: CommandContext, answer: Wire): ExitCode {
  if (context.json) printJson(context.terminal, answer);
  else say(context.terminal, `Deleted ${asText(answer['id'])}.`);
  return EXIT.ok;
}

/** Asks before something is lost. Without a person to ask, `--yes` must have been given. */
export async function confirm(context: CommandContext, question: string): Promise<void> {
  if (context.values['yes'] === true) return;
  const canAsk = context.terminal.stdin.isTTY === true && context.values['no-input'] !== true && !context.json;
  if (!canAsk)
    throw new CliError(EXIT.usage, `${question} Nobody can be asked here.`, { hint: 'Say --yes to go ahead.' });
  const lines = createInterface({ input: context.terminal.stdin, output: context.terminal.stderr });
  const reply = await lines.question(`${question} [y/N] `);
  lines.close();
  if (!/^y(es)?$/i.test(reply.trim())) throw new CliError(EXIT.failure, 'Nothing was changed.', { code: 'declined' });
}

function splitList(value: string | boolean | undefined): string[] {
  return typeof value === 'string'
    ? value
        .split(',')
        .map((item) => item.trim())
        .filter((item) => item !== '')
    : [];
}

export function given(context: CommandContext, names: readonly string[]): Wire {
  return Object.fromEntries(
    names.flatMap((name) => (typeof context.values[name] === 'string' ? [[name, context.values[name]]] : [])),
  );
}
