import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Each seeded violation: the rule that must catch it, and the files that commit it. */
const violations: readonly { readonly rule: string; readonly files: Readonly<Record<string, string>> }[] = [
  { rule: 'room-kernel', files: { 'kernel/seeded.ts': "import type {} from '../llm/index.ts';" } },
  { rule: 'room-chat', files: { 'chat/seeded.ts': "import '../http/index.ts';" } },
  { rule: 'room-training', files: { 'training/seeded.ts': "import type {} from '../chat/index.ts';" } },
  { rule: 'room-chat', files: { 'chat/seeded.ts': "export const late = () => import('../http/index.ts');" } },
  { rule: 'front-door-only', files: { 'http/seeded.ts': "import '../chat/ports.ts';" } },
  { rule: 'adapters-only-from-app', files: { 'store/seeded.ts': "import '../adapters/sqlite/index.ts';" } },
  { rule: 'no-sibling-adapter', files: { 'adapters/sqlite/seeded.ts': "import '../file-system/index.ts';" } },
  { rule: 'vendor-sdk-only-in-adapters', files: { 'store/seeded.ts': "import 'libsql';" } },
  { rule: 'langchain-on-demand', files: { 'adapters/langchain/seeded.ts': "import '@langchain/core/messages';" } },
  { rule: 'contract-is-a-leaf', files: { 'http/contract/seeded.ts': "import '../../chat/index.ts';" } },
  {
    rule: 'no-cycle',
    files: { 'kernel/seeded.ts': "import './seeded-two.ts';", 'kernel/seeded-two.ts': "import './seeded.ts';" },
  },
  { rule: 'no-orphan', files: { 'kernel/seeded.ts': 'export const alone = 1;' } },
  { rule: 'no-unresolved', files: { 'kernel/seeded.ts': "import './nowhere.ts';" } },
];

const lintViolations: readonly { readonly rule: string; readonly file: string; readonly code: string }[] = [
  { rule: 'noProcessEnv', file: 'chat/seeded.ts', code: "export const home = process.env['HOME'];\n" },
  {
    rule: 'noRestrictedGlobals',
    file: 'chat/seeded.ts',
    code: "export const call = (): Promise<Response> => fetch('http://localhost');\n",
  },
  {
    rule: 'noExplicitAny',
    file: 'chat/seeded.ts',
    code: 'export const anything = (value: any): string => String(value);\n',
  },
  { rule: 'noDefaultExport', file: 'chat/seeded.ts', code: 'export default 1;\n' },
  { rule: 'noConsole', file: 'chat/seeded.ts', code: "export const speak = (): void => console.log('x');\n" },
  {
    rule: 'useMaxParams',
    file: 'chat/seeded.ts',
    code: 'export const f = (a: 1, b: 2, c: 3, d: 4): number => a + b + c + d;\n',
  },
  {
    rule: 'noFloatingPromises',
    file: 'chat/seeded.ts',
    code: 'async function f(): Promise<void> {}\nexport const g = (): void => {\n  f();\n};\n',
  },
  {
    rule: 'noExcessiveLinesPerFile',
    file: 'chat/seeded.ts',
    code: Array.from({ length: 310 }, (_, n) => `export const line${n} = ${n};\n`).join(''),
  },
  { rule: 'useFilenamingConvention', file: 'chat/SeededFile.ts', code: 'export const one = 1;\n' },
];

/** A copy of the sources in which rules may be broken without touching the real ones. */
describe('house rules', () => {
  let copy = '';
  beforeAll(async () => {
    copy = await mkdtemp(join(tmpdir(), 'chatsphere-house-'));
    for (const name of [
      '.dependency-cruiser.cjs',
      'biome.json',
      'tsconfig.base.json',
      'tsconfig.tools.json',
      'package.json',
      'server/src',
      'server/test',
      'server/package.json',
      'server/tsconfig.json',
      'bench/lib',
    ]) {
      await mkdir(dirname(join(copy, name)), { recursive: true });
      await cp(join(root, name), join(copy, name), { recursive: true });
    }
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    await run(copy, 'git', ['init', '-q']);
  });
  afterAll(() => rm(copy, { recursive: true, force: true }));

  it('the sources keep the room rules', async () => {
    const { output, code } = await cruise(copy);
    expect(output).toMatch(/no dependency violations found \(\d{2,} modules/);
    expect(code).toBe(0);
  });

  it.each(violations)('catches a seeded violation of $rule', async ({ rule, files }) => {
    for (const [name, code] of Object.entries(files)) await seed(copy, name, `${code}\n`);
    const { output } = await cruise(copy).finally(() => removeAll(copy, Object.keys(files)));
    expect(output).toContain(`error ${rule}:`);
  });

  it.each(lintViolations)('catches a seeded violation of $rule', async ({ rule, file, code }) => {
    await seed(copy, file, code);
    const lint = run(copy, process.execPath, [
      join(root, 'node_modules/@biomejs/biome/bin/biome'),
      'lint',
      '--max-diagnostics=50',
      `server/src/${file}`,
    ]);
    const { output } = await lint.finally(() => removeAll(copy, [file]));
    expect(output).toContain(rule);
  });
});

async function seed(copy: string, name: string, code: string): Promise<void> {
  await mkdir(dirname(join(copy, 'server/src', name)), { recursive: true });
  await writeFile(join(copy, 'server/src', name), code);
}

async function removeAll(copy: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(copy, 'server/src', name));
}

function cruise(copy: string): Promise<{ readonly code: number; readonly output: string }> {
  const bin = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  return run(copy, process.execPath, [bin, '--no-progress', '--config', '.dependency-cruiser.cjs', 'server/src']);
}

function run(
  cwd: string,
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  return new Promise((resolve) => {
    execFile(
      command,
      [...args],
      { cwd, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr }),
    );
  });
}
