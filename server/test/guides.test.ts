import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../src/app/cli/command.ts';
import { commandsOf } from '../src/app/cli/run-cli.ts';
import { createDoctorCommand } from '../src/app/doctor-command.ts';
import { environmentSchema } from '../src/app/environment.ts';
import { createServeCommand, createWorkerCommand } from '../src/app/serve-command.ts';
import { createTransferCommands } from '../src/app/transfer-commands.ts';
import { ERROR_CODES, systemClock } from '../src/kernel/index.ts';
import { METRICS } from '../src/monitoring/metrics.ts';
import { filesBelow, parseYaml, REPOSITORY, readExample, type Tree } from './deploy-files.ts';

const GUIDES = ['docs/operations.md', 'docs/fleet.md', 'docs/postgresql.md', 'docs/backup-and-migration.md'];
/** Of PostgreSQL, of the proxies, tables of the database, and a field of the log. */
const NAMES_ELSEWHERE =
  /^(?:ef_search|maintenance_work_mem|shared_buffers|statement_timeout|synchronous_commit|iterative_scan|pool_mode|pg_dump|pg_basebackup|vector_windows|vector_backlog|fail_timeout|max_fails|http_503|request_id)$/;
/** What whoever follows the guide makes. */
const MADE = /^deploy\/compose\/(?:\.env|metrics-key)$/;

const never = () => Promise.reject(new Error('nothing is started'));
const parts = {
  ...{ config: never, startApplication: never, startWorker: never },
  ...{ findRunning: never, findWorkers: never, tryApplication: never },
};
const applicationCommands = [
  ...[createServeCommand(parts), createWorkerCommand(parts), createDoctorCommand(parts)],
  ...createTransferCommands({ version: 'test', documentation: 'none' }),
];
const commands = commandsOf({ applicationCommands, clock: systemClock });

interface Guide {
  /** What stands between backticks on a line. */
  readonly spans: readonly string[];
  /** Lines of shell blocks, with those joined that go on. */
  readonly shell: readonly string[];
  readonly links: readonly string[];
}

function readGuide(text: string): Guide {
  const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)];
  const shell = blocks.filter(([, language]) => language === 'sh').map(([, , block = '']) => block);
  const prose = text.replace(/^```[\s\S]*?^```/gm, '');
  return {
    spans: [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span),
    shell: shell
      .flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'))
      .map((line) => line.replace(/ +#.*$/, '')),
    links: [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link),
  };
}

/** Words of the calls of `chatsphere` in a line, without what stands before and after; options of docker and helm are no calls. */
function callsIn(line: string): readonly (readonly string[])[] {
  return [...line.matchAll(/(?:^|[ '])chatsphere ([a-z][^'|&;]*)/g)]
    .filter(({ index }) => !/\b(?:helm|kubectl|create (?:role|database)|owner)\b[^']*$/.test(line.slice(0, index + 1)))
    .map(([, words = '']) => words.split(/\s+/).filter((word) => word !== '' && !/^#/.test(word)));
}

/** Why a call would not be taken, or null. */
function faultOf([name = '', ...given]: readonly string[]): string | null {
  const command = commands.find((each) => each.name === name);
  if (command === undefined) return `there is no command ${name}`;
  try {
    const { positionals } = parseArguments(command, given);
    const [action] = positionals;
    const isKnown =
      typeof command.mostArguments !== 'object' || action === undefined || command.help.includes(` ${name} ${action}`);
    return isKnown ? null : `${name} has no action ${action}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function settingsIn({ shell }: Guide): readonly string[] {
  const text = shell.join('\n');
  return [...text.matchAll(/(?<![A-Za-z0-9_])([A-Z][A-Z0-9_]{2,})=|\$\{?([A-Z][A-Z0-9_]+)/g)].map(
    ([, given, used]) => given ?? used ?? '',
  );
}

/** Words that look like a file of the repository. */
function filesIn({ spans, shell }: Guide): readonly string[] {
  const words = [...spans, ...shell].flatMap((text) => text.split(/\s+/));
  return words.filter((word) =>
    /^(?:deploy|bench|scripts|docs)\/|^[\w.-]+\.(?:mjs|ya?ml|md|conf|cfg|service)$/.test(word),
  );
}

const known = [...filesBelow('deploy'), ...filesBelow('bench'), ...filesBelow('docs')];
const isFile = (name: string): boolean =>
  existsSync(join(REPOSITORY, name)) || MADE.test(name) || known.some((path) => path.endsWith(`/${name}`));

describe.each(GUIDES)('what %s names', (path) => {
  const text = readExample(path);
  const guide = readGuide(text);

  it('are commands, actions and options that there are', () => {
    const calls = [...guide.spans, ...guide.shell].flatMap(callsIn);
    expect(calls.length).toBeGreaterThan(0);
    expect(calls.flatMap((words) => faultOf(words) ?? [])).toEqual([]);
  });

  it('are settings that are read', () => {
    const provider = /^(?:OPENAI|ANTHROPIC)_API_KEY$/;
    expect(settingsIn(guide).filter((name) => !(name in environmentSchema.shape) && !provider.test(name))).toEqual([]);
  });

  it('are files that there are', () => {
    expect(filesIn(guide).filter((name) => !isFile(name))).toEqual([]);
    const local = guide.links.filter((link) => !/^(?:https?:|#)/.test(link)).map((link) => link.split('#')[0] ?? '');
    expect(local.filter((link) => !existsSync(join(REPOSITORY, normalize(join(dirname(path), link)))))).toEqual([]);
  });

  it('are metrics, error codes and alerts that there are', () => {
    const metrics = [...text.matchAll(/\b(?:chatsphere|ai)_[a-z_]+/g)].map(([name]) => name);
    expect(metrics.filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
    const codes = guide.spans.filter(
      (span) => /^[a-z0-9]+(?:_[a-z0-9]+)+$/.test(span) && !/^(?:chatsphere|ai|nodejs)_/.test(span),
    );
    const isKnown = (name: string) => (ERROR_CODES as readonly string[]).includes(name) || NAMES_ELSEWHERE.test(name);
    expect(codes.filter((name) => !isKnown(name))).toEqual([]);
    const alerts = alertNames();
    expect(
      [...text.matchAll(/\bChatSphere[A-Z]\w*/g)].map(([name]) => name).filter((name) => !alerts.includes(name)),
    ).toEqual([]);
  });
});

describe('the operations guide', () => {
  it('names every alert', () => {
    const text = readExample('docs/operations.md');
    expect(alertNames().filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });

  it('names values that the chart has', () => {
    const [values] = parseYaml(readExample('deploy/helm/chatsphere/values.yaml'));
    const named = readGuide(readExample('docs/operations.md')).spans.filter((span) =>
      /^(?:server|worker)\.\w+$/.test(span),
    );
    expect(named.length).toBeGreaterThan(0);
    for (const name of named)
      expect(
        name.split('.').reduce((tree, key) => tree?.[key], values),
        name,
      ).toBeDefined();
  });
});

describe('the reader of guides', () => {
  it('finds what is wrong', () => {
    const guide = readGuide(
      'Run `chatsphere backup --fast F`, `chatsphere backups`, `chatsphere keys make x`.\n```sh\nNO_SUCH=1 node bench/none.mjs\n```\n',
    );
    expect(guide.spans.flatMap(callsIn).map(faultOf)).toEqual([
      expect.stringContaining('--fast'),
      'there is no command backups',
      'keys has no action make',
    ]);
    expect(settingsIn(guide)).toEqual(['NO_SUCH']);
    expect(filesIn(guide).filter((name) => !isFile(name))).toEqual(['bench/none.mjs']);
  });
});

function alertNames(): readonly string[] {
  const [tree] = parseYaml(readExample('deploy/compose/prometheus/alerts.yml'));
  const rules = Object.values(tree?.['groups'] ?? {}).flatMap((group: Tree) => Object.values(group['rules'] ?? {}));
  return rules.map((rule) => String(rule['alert']));
}
