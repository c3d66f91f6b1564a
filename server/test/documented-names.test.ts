import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { environmentSchema } from '../src/app/environment.ts';
import { METRICS } from '../src/monitoring/metrics.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const SETTINGS = Object.keys(environmentSchema.shape);
/** Names that are read elsewhere: those of providers, which may be any, and those of other programs. */
const ELSEWHERE =
  /^(?:(?:OPENAI|ANTHROPIC|OPENROUTER|OLLAMA|AZURE_OPENAI)_(?:API_KEY|BASE_URL|ENDPOINT|API_VERSION)|OLLAMA_CONTEXT_LENGTH|PROVIDER_[A-Z_]+|NO_COLOR|LANGSMITH_TRACING)$/;

let configuration: string;
let everything: string;
beforeAll(async () => {
  const names = (await readdir(`${ROOT}docs`)).filter((name) => name.endsWith('.md'));
  const read = (name: string) => readFile(`${ROOT}${name}`, 'utf8');
  configuration = await read('docs/configuration.md');
  everything = (await Promise.all(['README.md', ...names.map((name) => `docs/${name}`)].map(read))).join('\n');
});

const has = (text: string, name: string) => new RegExp(`(?<![A-Za-z_])${name}(?![A-Za-z_])`).test(text);

describe('the documentation', () => {
  it('has every setting in docs/configuration.md', () => {
    expect(SETTINGS.filter((name) => !has(configuration, name))).toEqual([]);
  });

  it('has every metric in docs/configuration.md', () => {
    expect(Object.keys(METRICS).filter((name) => !has(configuration, name))).toEqual([]);
  });

  it('has no settings that nobody reads', () => {
    const named = [...everything.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)].map(
      ([, name = '']) => name,
    );
    expect(named.length).toBeGreaterThan(100);
    expect([...new Set(named)].filter((name) => !SETTINGS.includes(name) && !ELSEWHERE.test(name))).toEqual([]);
  });

  it('has no metrics that nobody measures', () => {
    const endings = 'total|seconds|bytes|state|running|queued|alive|up|streams|announcements';
    const pattern = new RegExp(`\\b(?:chatsphere|ai)_[a-z_]+_(?:${endings})(?![a-z_])`, 'g');
    const named = [...new Set([...everything.matchAll(pattern)].map(([name]) => name))];
    expect(named.length).toBeGreaterThan(20);
    expect(named.filter((name) => !Object.hasOwn(METRICS, name))).toEqual([]);
  });
});
