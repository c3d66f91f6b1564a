import { createInterface } from 'node:readline/promises';
import { type ApiClient, asList, asText, asWire, type Wire } from './api-client.ts';
import { EXIT, type ExitCode } from './cli-error.ts';
import { type Command, type CommandContext, requiredOption, usageError } from './command.ts';
import { paint, printable, printJson, printLine, say, type Terminal } from './terminal.ts';

const BOT_OPTION = { bot: { type: 'string' as const, short: 'b' } };

export const askCommand: Command = {
  name: 'ask',
  summary: 'ask a bot one question and print the answer with its sources',
  help: `Usage: chatsphere ask "question" --bot BOT [--json]

Streams the answer to stdout, then the passages it cites. With --json one object:
{answer, citations, grounded, served_by, usage}.

Examples:
  chatsphere ask "How do I start?" --bot demo
  chatsphere ask "How do I start?" --bot demo --json | jq .citations`,
  options: BOT_OPTION,
  async run(context) {
    const bot = requiredOption(askCommand, context, 'bot');
    const question = context.positionals.join(' ').trim();
    if (question === '') throw usageError(askCommand, 'The question is missing');
    const client = await context.connect();
    const answer = await streamAnswer(client, context, { model: bot, messages: [{ role: 'user', content: question }] });
    if (context.json) printJson(context.terminal, answer);
    else printSources(context.terminal, asList(answer['citations']));
    return EXIT.ok;
  },
};

export const chatCommand: Command = {
  name: 'chat',
  mostArguments: 0,
  summary: 'talk with a bot in a conversation',
  help: `Usage: chatsphere chat --bot BOT

Reads a question a line and remembers the conversation. Leave with /exit or Ctrl-D.
With input from a pipe it answers each line and ends; --json prints one object an answer.`,
  options: BOT_OPTION,
  async run(context) {
    const bot = requiredOption(chatCommand, context, 'bot');
    const client = await context.connect();
    await client.request('GET', `/v1/bots/${encodeURIComponent(bot)}`, { signal: context.signal });
    return converse(client, context, bot);
  },
};

async function converse(client: ApiClient, context: CommandContext, bot: string): Promise<ExitCode> {
  const { terminal } = context;
  const interactive = terminal.stdin.isTTY === true && !context.json;
  const lines = createInterface({
    input: terminal.stdin,
    ...(interactive ? { output: terminal.stderr, prompt: '> ' } : {}),
  });
  let conversation: string | true = true;
  if (interactive) {
    say(terminal, `Talking with ${bot}. Leave with /exit.`);
    lines.prompt();
  }
  for await (const line of lines) {
    const question = line.trim();
    if (question === '/exit' || question === '/quit') break;
    if (question !== '') {
      const answer = await streamAnswer(client, context, {
        model: bot,
        conversation,
        messages: [{ role: 'user', content: question }],
      });
      conversation = asText(answer['conversation']) || conversation;
      if (context.json) printJson(terminal, answer);
      else printSources(terminal, asList(answer['citations']));
    }
    if (interactive) lines.prompt();
  }
  lines.close();
  return EXIT.ok;
}

async function streamAnswer(client: ApiClient, context: CommandContext, request: Wire): Promise<Wire> {
  const parts: string[] = [];
  let extras: Wire = {};
  let usage: unknown = null;
  const body = { ...request, stream: true, stream_options: { include_usage: true } };
  for await (const event of client.stream('/v1/chat/completions', { json: body, signal: context.signal })) {
    const delta = asWire(asList(event['choices'])[0]?.['delta']);
    const text = asText(delta['content']);
    parts.push(text);
    if (!context.json) context.terminal.stdout.write(printable(text));
    extras = { ...extras, ...asWire(delta['chatsphere']), ...asWire(event['chatsphere']) };
    usage = event['usage'] ?? usage;
  }
  if (!context.json) printLine(context.terminal, '');
  return { answer: parts.join(''), ...extras, usage };
}

function printSources(terminal: Terminal, citations: readonly Wire[]): void {
  if (citations.length === 0) return;
  printLine(terminal, '');
  for (const citation of citations) {
    const where = asText(citation['external_key']) || asText(citation['url']) || asText(citation['document_id']);
    printLine(
      terminal,
      `${paint(terminal, 'cyan', `[${String(citation['index'])}]`)} ${printable(asText(citation['title']))} ${paint(terminal, 'dim', `(${printable(where)})`)}`,
    );
    printLine(terminal, paint(terminal, 'dim', `    "${shorten(printable(asText(citation['quote'])))}"`));
  }
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ');
  return line.length <= 160 ? line : `${line.slice(0, 159)}…`;
}
