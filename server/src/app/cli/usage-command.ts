import { asNumber, asText, asWire, type Wire } from './api-client.ts';
import { EXIT } from './cli-error.ts';
import { type Command, usageError } from './command.ts';
import { listAll } from './resource-commands.ts';
import { printJson, printTable } from './terminal.ts';

const FILTERS = ['bot', 'user', 'model', 'outcome', 'kind'] as const;
const DEFAULT_GROUPS = 'model';
const AMOUNTS = ['REQUESTS', 'CALLS', 'FAILED', 'INPUT', 'OUTPUT', 'USD', 'UNPRICED'];

export const usageCommand: Command = {
  name: 'usage',
  mostArguments: 0,
  summary: 'tokens and money, by model, bot, key, user, tenant or day',
  help: `Usage: chatsphere usage [--by model,day] [--start DAY] [--end DAY]
       [--bot BOT] [--key-id KEY_ID] [--user USER] [--model PROVIDER/MODEL] [--outcome failed] [--kind chat]

DAY is YYYY-MM-DD (UTC); the end is not included. Groups: tenant bot key user model day. Models without a price are
counted in UNPRICED and are not in USD.`,
  options: {
    by: { type: 'string' },
    start: { type: 'string' },
    end: { type: 'string' },
    'key-id': { type: 'string' },
    ...Object.fromEntries(FILTERS.map((name) => [name, { type: 'string' as const }])),
  },
  async run(context) {
    const { values, signal, terminal } = context;
    const query = new URLSearchParams();
    for (const name of FILTERS) if (typeof values[name] === 'string') query.set(name, values[name]);
    if (typeof values['key-id'] === 'string') query.set('key', values['key-id']);
    for (const name of ['start', 'end'] as const) {
      const day = values[name];
      if (typeof day === 'string') query.set(name, String(secondsOf(day, name)));
    }
    const client = await context.connect();
    const summary = await client.request('GET', `/v1/usage?${query}`, { signal });
    const by = typeof values['by'] === 'string' ? values['by'] : DEFAULT_GROUPS;
    query.set('group_by', by);
    const groups = await listAll(client, `/v1/usage?${query}`, signal);
    if (context.json) {
      for (const group of groups) printJson(terminal, group);
      printJson(terminal, { object: 'usage.total', ...asWire(summary['total']) });
      return EXIT.ok;
    }
    const total = asWire(summary['total']);
    const isNothing = asNumber(total['requests']) + asNumber(total['calls']) === 0;
    const names = by.split(',').map((name) => name.trim());
    const rows = groups.map((group) => [...names.map((name) => asText(group[name]) || '-'), ...amountsOf(group)]);
    const totalRow = [...names.map((_, position) => (position === 0 ? 'TOTAL' : '')), ...amountsOf(total)];
    printTable(terminal, {
      head: [...names.map((name) => name.toUpperCase()), ...AMOUNTS],
      rows: isNothing ? [] : [...rows, totalRow],
      empty: 'Nothing was used.',
    });
    return EXIT.ok;
  },
};

function amountsOf(sums: Wire): string[] {
  const cost = sums['cost_usd'];
  const counts = ['requests', 'calls', 'failed_calls', 'input_tokens', 'output_tokens'].map((name) =>
    String(asNumber(sums[name])),
  );
  return [...counts, typeof cost === 'number' ? cost.toFixed(6) : '-', String(asNumber(sums['unpriced_calls']))];
}

function secondsOf(day: string, name: string): number {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(day) : Number.NaN;
  if (Number.isNaN(time)) throw usageError(usageCommand, `--${name} must be a day, as 2026-01-31`);
  return time / 1000;
}
