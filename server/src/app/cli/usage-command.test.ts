import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ApiClient, Wire } from './api-client.ts';
import { EXIT } from './cli-error.ts';
import type { CommandContext } from './command.ts';
import { usageCommand } from './usage-command.ts';

const sums = (calls: number, cost: number | null): Wire => ({
  requests: calls,
  calls,
  failed_calls: 0,
  input_tokens: 10,
  output_tokens: 5,
  cost_usd: cost,
  unpriced_calls: cost === null ? calls : 0,
});

function setUp(groups: readonly Wire[], total: Wire) {
  const requests: string[] = [];
  const client: ApiClient = {
    url: 'http://host',
    async request(_method, path) {
      requests.push(path);
      return { data: [...groups], has_more: false, total };
    },
    stream: () => {
      throw new Error('nothing is streamed');
    },
    download: async () => {
      throw new Error('nothing is downloaded');
    },
  };
  async function run(values: CommandContext['values'], json = false) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const context: CommandContext = {
      terminal: { stdin: new PassThrough(), stdout, stderr, color: false },
      positionals: [],
      values,
      json,
      signal: new AbortController().signal,
      connect: async () => client,
    };
    const exitCode = await usageCommand.run(context);
    return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
  }
  return { requests, run };
}

describe('usage command', () => {
  it('prints groups and the total, and - for what has no price', async () => {
    const { requests, run } = setUp([{ day: '2026-01-01', user: null, ...sums(2, null) }], sums(2, 0.5));
    const { exitCode, stdout } = await run({ by: 'day,user', start: '2026-01-01', bot: 'guide', 'key-id': 'key_1' });
    expect(exitCode).toBe(EXIT.ok);
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['DAY', 'USER', 'REQUESTS', 'CALLS', 'FAILED', 'INPUT', 'OUTPUT', 'USD', 'UNPRICED'],
      ['2026-01-01', '-', '2', '2', '0', '10', '5', '-', '2'],
      ['TOTAL', '2', '2', '0', '10', '5', '0.500000', '0'],
      [''],
    ]);
    expect(requests[0]).toBe('/v1/usage?bot=guide&key=key_1&start=1767225600');
    expect(requests[1]).toContain('group_by=day%2Cuser');
  });

  it('says so when there is nothing, and prints JSON lines', async () => {
    expect((await setUp([], sums(0, 0)).run({})).stderr).toContain('Nothing was used.');
    const { stdout } = await setUp([{ model: 'x/one', ...sums(1, 1) }], sums(1, 1)).run({}, true);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toMatchObject([{ model: 'x/one' }, { object: 'usage.total', calls: 1 }]);
  });

  it('refuses what is no day', async () => {
    await expect(setUp([], {}).run({ start: 'yesterday' })).rejects.toMatchObject({ exitCode: EXIT.usage });
  });
});
