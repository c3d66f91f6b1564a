import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { FAILURE_RULES, type FailureKind, type FailureRule } from './failure-rules.ts';

const KINDS: Readonly<Record<FailureKind, string>> = {
  passing: 'The provider failed, or broke off',
  slow: 'It was not reached, or did not begin in time',
  limited: 'It limits requests (429)',
  key: 'It refused the key (401, 403) or its quota is used up (402)',
  nonsense: 'It sent nonsense, or nothing',
  'too-long': 'The prompt is too long',
  refused: 'It refused the request (400, 404)',
};

const AGAIN: Readonly<Record<FailureRule['again'], string>> = {
  jitter: 'once after a random wait; twice when it is the last',
  last: 'only when it is the last',
  asked: 'only when it is the last, after `Retry-After`',
  once: 'once in the whole answer',
  never: 'never',
};

const CIRCUIT: Readonly<Record<FailureRule['circuit'], string>> = {
  counts: 'counts towards its circuit',
  rests: 'it rests for everybody',
  nothing: 'nothing',
};

it('docs/models.md shows the table that the code goes by', async () => {
  const rows = Object.entries(FAILURE_RULES).map(([kind, { codes, again, circuit, standIn }]) => [
    KINDS[kind as FailureKind],
    codes.map((code) => `\`${code}\``).join(', '),
    AGAIN[again],
    CIRCUIT[circuit],
    standIn ? 'yes' : 'no',
  ]);
  const head = ['what happened', 'code', 'same model and key again', 'for others', 'a step below may stand in'];
  const table = [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  const page = await readFile(new URL('../../../../docs/models.md', import.meta.url), 'utf8');
  const shown = page.split('\n').filter((line) => line.startsWith('|'));
  // The formatter pads the cells.
  expect(shown.map((line) => line.replace(/ {2,}/g, ' ').replace(/-{3,}/g, '---')).join('\n')).toBe(table);
});
