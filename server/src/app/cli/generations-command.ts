import { type ApiClient, asNumber, asText, asWire, type Wire } from './api-client.ts';
import { EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, numberOption, requiredOption, usageError } from './command.ts';
import { confirm, listAll, printDeleted, printList, printObject } from './resource-commands.ts';
import { printJson, printLine, say } from './terminal.ts';

export const generationsCommand: Command = {
  name: 'generations',
  mostArguments: { list: 0, build: 0, show: 1, activate: 1, rollback: 0, delete: 1 },
  summary: 'change the embedder or chunking of a bot, and go back',
  help: `Usage: chatsphere generations [list] --bot BOT
       chatsphere generations build --bot BOT [--embedding-model MODEL] [--dimensions N] [--activate POLICY]
       chatsphere generations show GENERATION --bot BOT
       chatsphere generations activate GENERATION --bot BOT
       chatsphere generations rollback --bot BOT
       chatsphere generations delete GENERATION --bot BOT [--yes]

The new generation is built in the background while the one before answers. POLICY: if_not_worse (default),
when_ready, manual.`,
  options: {
    bot: { type: 'string', short: 'b' },
    'embedding-model': { type: 'string' },
    dimensions: { type: 'string' },
    activate: { type: 'string' },
  },
  async run(context) {
    const bot = requiredOption(generationsCommand, context, 'bot');
    const [action = 'list', id] = context.positionals;
    const client = await context.connect();
    const base = `/v1/bots/${encodeURIComponent(bot)}/generations`;
    if (action === 'list') return list(context, client, base);
    if (action === 'build') {
      return report(context, await client.request('POST', base, { json: requested(context), signal: context.signal }));
    }
    if (action === 'rollback') {
      return report(context, await client.request('POST', `${base}/rollback`, { json: {}, signal: context.signal }));
    }
    if (id === undefined) throw usageError(generationsCommand, `generations ${action} needs a generation id`);
    const path = `${base}/${encodeURIComponent(id)}`;
    if (action === 'show') return printObject(context, await client.request('GET', path, { signal: context.signal }));
    if (action === 'activate') {
      return report(context, await client.request('POST', `${path}/activate`, { json: {}, signal: context.signal }));
    }
    if (action !== 'delete') throw usageError(generationsCommand, `"${action}" is no action of generations`);
    await confirm(context, `Delete the generation ${id}?`);
    return printDeleted(context, await client.request('DELETE', path, { signal: context.signal }));
  },
};

async function list(context: CommandContext, client: ApiClient, base: string): Promise<ExitCode> {
  return printList(context, await listAll(client, base, context.signal), {
    head: ['ID', 'STATE', 'EMBEDDER', 'DIMENSIONS', 'CHUNKING', 'PROGRESS', 'COMPARISON'],
    row: (generation) => {
      const progress = asWire(generation['progress']);
      return [
        asText(generation['id']),
        asText(generation['state']),
        asText(generation['embedding_model']),
        String(asNumber(generation['dimensions'])),
        asText(generation['chunking_signature']),
        `${asNumber(progress['done'])}/${asNumber(progress['total'])}`,
        asText(asWire(generation['comparison'])['verdict']),
      ];
    },
    empty: 'No generations yet: the bot was not trained.',
  });
}

function requested(context: CommandContext): Wire {
  const model = context.values['embedding-model'];
  const policy = context.values['activate'];
  const dimensions = numberOption(generationsCommand, context, 'dimensions');
  return {
    ...(typeof model === 'string' ? { embedding_model: model } : {}),
    ...(dimensions === undefined ? {} : { dimensions }),
    ...(typeof policy === 'string' ? { activate: policy } : {}),
  };
}

function report(context: CommandContext, generation: Wire): ExitCode {
  const id = asText(generation['id']);
  const state = asText(generation['state']);
  if (context.json) printJson(context.terminal, generation);
  else printLine(context.terminal, id);
  if (!context.json) say(context.terminal, state === 'active' ? `${id} answers now.` : `${id} is ${state}.`);
  return EXIT.ok;
}
