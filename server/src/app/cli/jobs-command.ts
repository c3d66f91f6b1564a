import { asNumber, asText, asWire } from './api-client.ts';
import { EXIT } from './cli-error.ts';
import { type Command, usageError } from './command.ts';
import { listAll, printList, printObject } from './resource-commands.ts';
import { printJson, say } from './terminal.ts';

const FILTERS = ['state', 'bot', 'kind', 'source'] as const;

export const jobsCommand: Command = {
  name: 'jobs',
  mostArguments: { list: 0, show: 1, cancel: 1, retry: 1 },
  summary: 'list background jobs, cancel them or run failed ones again',
  help: `Usage: chatsphere jobs [list] [--state failed] [--bot BOT] [--source SOURCE] [--kind train]
       chatsphere jobs show JOB
       chatsphere jobs cancel JOB
       chatsphere jobs retry JOB
       chatsphere jobs retry --state failed [--bot BOT] [--code CODE]

States: queued running succeeded failed cancelled. A retry goes on at the stage that failed.`,
  options: {
    bot: { type: 'string', short: 'b' },
    state: { type: 'string' },
    kind: { type: 'string' },
    source: { type: 'string' },
    code: { type: 'string' },
  },
  async run(context) {
    const [action = 'list', id] = context.positionals;
    const { values, signal } = context;
    const client = await context.connect();
    if (action === 'list') {
      const query = new URLSearchParams();
      for (const name of FILTERS) if (typeof values[name] === 'string') query.set(name, values[name]);
      const jobs = await listAll(client, `/v1/jobs?${query}`, signal);
      return printList(context, jobs, {
        head: ['ID', 'STATE', 'STAGE', 'DONE', 'ATTEMPTS', 'SOURCE', 'WAITS FOR', 'ERROR'],
        row: (job) => [
          asText(job['id']),
          asText(job['status']),
          asText(job['stage']),
          `${asNumber(asWire(job['progress'])['done'])}/${asNumber(asWire(job['progress'])['total'])}`,
          `${asNumber(job['attempts'])}/${asNumber(job['max_attempts'])}`,
          asText(job['source_id']),
          asText(asWire(job['waiting_for'])['reason']),
          asText(asWire(job['last_error'])['code']),
        ],
        empty: 'No such jobs.',
      });
    }
    if (action === 'retry' && id === undefined) {
      if (typeof values['state'] !== 'string')
        throw usageError(jobsCommand, 'jobs retry needs a job or --state failed');
      const json = Object.fromEntries(
        ['state', 'bot', 'code'].flatMap((name) => (values[name] === undefined ? [] : [[name, values[name]]])),
      );
      const result = await client.request('POST', '/v1/jobs/retry', { json, signal });
      if (context.json) printJson(context.terminal, result);
      else
        say(
          context.terminal,
          `Queued ${asNumber(result['retried'])} again, ${asNumber(result['skipped'])} could not be.`,
        );
      return EXIT.ok;
    }
    if (id === undefined) throw usageError(jobsCommand, `jobs ${action} needs a job id`);
    const path = `/v1/jobs/${encodeURIComponent(id)}`;
    if (action === 'show') return printObject(context, await client.request('GET', path, { signal }));
    if (action !== 'retry' && action !== 'cancel') throw usageError(jobsCommand, `"${action}" is no action of jobs`);
    return printObject(context, await client.request('POST', `${path}/${action}`, { signal }));
  },
};
