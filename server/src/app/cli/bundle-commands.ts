import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { asNumber, asText, asWire } from './api-client.ts';
import { CliError, EXIT } from './cli-error.ts';
import { type Command, requiredOption, usageError } from './command.ts';
import { printJson, printLine, say } from './terminal.ts';

export const exportCommand: Command = {
  name: 'export',
  mostArguments: 0,
  summary: 'write a bot to one file: settings, files, documents, chunks, vectors',
  help: `Usage: chatsphere export --bot BOT [--output FILE] [--no-files]

Writes BOT.chatsphere.gz, or FILE. Make a bot of it with: chatsphere import FILE

  -o, --output FILE   where to write it; "-" is stdout
  --no-files          leave out the original files; sources cannot be trained again from them then`,
  options: {
    bot: { type: 'string', short: 'b' },
    output: { type: 'string', short: 'o' },
    'no-files': { type: 'boolean' },
  },
  async run(context) {
    const bot = requiredOption(exportCommand, context, 'bot');
    const given = context.values['output'];
    const file = typeof given === 'string' ? given : `${bot.replace(/[^\w.-]+/g, '-')}.chatsphere.gz`;
    const client = await context.connect();
    const query = context.values['no-files'] === true ? '?files=false' : '';
    const content = await client.download(`/v1/bots/${encodeURIComponent(bot)}/export${query}`, {
      signal: context.signal,
    });
    if (file === '-') {
      await pipeline(Readable.from(content), context.terminal.stdout, { signal: context.signal, end: false });
      return EXIT.ok;
    }
    const part = `${file}.part`;
    try {
      await pipeline(Readable.from(content), createWriteStream(part), { signal: context.signal });
      await rename(part, file);
    } catch (error) {
      await rm(part, { force: true });
      if (context.signal.aborted) throw error;
      throw exportFailure(file, error);
    }
    const { size } = await stat(file);
    if (context.json) printJson(context.terminal, { file, bytes: size });
    else {
      printLine(context.terminal, file);
      say(context.terminal, `Wrote ${size} bytes. Import it with: chatsphere import ${file}`);
    }
    return EXIT.ok;
  },
};

function exportFailure(file: string, error: unknown): CliError {
  const reason = error instanceof Error && 'syscall' in error ? ` ${error.message}.` : '';
  return new CliError(EXIT.failure, `The export to "${file}" broke off.${reason}`, {
    code: 'export_failed',
    hint:
      reason === ''
        ? "Look in the server's log, and run it again."
        : 'Check that the folder exists, may be written to and has room.',
  });
}

export const importCommand: Command = {
  name: 'import',
  mostArguments: 1,
  summary: 'make a bot of a file that export wrote',
  help: `Usage: chatsphere import FILE [--slug S] [--name NAME]

Makes a new bot. Its vectors are taken over; they are made again only when this server uses another embedder.`,
  options: { slug: { type: 'string' }, name: { type: 'string' } },
  async run(context) {
    const [file] = context.positionals;
    if (file === undefined) throw usageError(importCommand, 'The file is missing');
    const found = await stat(file).catch(() => null);
    if (found === null || !found.isFile()) {
      throw new CliError(EXIT.notFound, `There is no file "${file}".`, {
        code: 'path_not_found',
        hint: 'Check the path.',
      });
    }
    const client = await context.connect();
    const query = new URLSearchParams();
    for (const name of ['slug', 'name']) {
      const value = context.values[name];
      if (typeof value === 'string') query.set(name, value);
    }
    const bot = await client.request('POST', `/v1/bots/import?${query}`, {
      content: { type: 'application/octet-stream', stream: createReadStream(file) },
      signal: context.signal,
    });
    if (context.json) printJson(context.terminal, bot);
    else {
      const counts = asWire(bot['imported']);
      printLine(context.terminal, asText(bot['slug']));
      say(
        context.terminal,
        `Made ${asText(bot['id'])}: ${asNumber(counts['sources'])} sources, ${asNumber(counts['documents'])} documents, ${asNumber(counts['chunks'])} chunks.`,
      );
    }
    return EXIT.ok;
  },
};
