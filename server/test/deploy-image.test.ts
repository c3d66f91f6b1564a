import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documentedSettings, filesBelow, REPOSITORY, readExample } from './deploy-files.ts';

interface Step {
  readonly verb: string;
  readonly rest: string;
}

/** The stages of a Dockerfile, with continued lines joined. */
function stagesOf(text: string): readonly (readonly Step[])[] {
  const lines = text.replace(/\\\n\s*/g, ' ').split('\n');
  const stages: Step[][] = [];
  for (const line of lines) {
    const [, verb, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (verb === undefined || rest === undefined) {
      expect(line.trim() === '' || line.startsWith('#'), `not understood: ${line}`).toBe(true);
      continue;
    }
    if (verb === 'FROM') stages.push([]);
    stages.at(-1)?.push({ verb, rest });
  }
  return stages;
}

/** Sources and target of a COPY. */
function copyOf(rest: string): {
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly target: string;
} {
  const words = rest.split(/\s+/);
  const from = words[0]?.startsWith('--from=') ? (words.shift() ?? '').slice('--from='.length) : null;
  return { from, sources: words.slice(0, -1), target: words.at(-1) ?? '' };
}

/** `.dockerignore` as this one is written: all is left out, then let in by path, then left out by ending. */
function allowedBy(text: string): (path: string) => boolean {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  expect(lines[0]).toBe('*');
  const allowed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const endings = lines.filter((line) => line.startsWith('**/*')).map((line) => line.slice('**/*'.length));
  expect(lines).toHaveLength(1 + allowed.length + endings.length);
  return (path) =>
    allowed.some((root) => path === root || path.startsWith(`${root}/`)) &&
    !endings.some((ending) => path.endsWith(ending));
}

const stages = stagesOf(readExample('deploy/docker/Dockerfile'));
const allowed = allowedBy(readExample('.dockerignore'));

describe('the image', () => {
  const [build = [], final = []] = stages;
  const of = (stage: readonly Step[], verb: string): readonly string[] =>
    stage.filter((step) => step.verb === verb).map(({ rest }) => rest);

  it('is made of two stages, the last without compilers, and does not run as root', () => {
    expect(stages).toHaveLength(2);
    expect(of(final, 'FROM')).toEqual(['node:20-bookworm-slim']);
    expect(of(final, 'USER')).toEqual(['1000:1000']);
    expect(JSON.parse(of(final, 'ENTRYPOINT')[0] ?? '')).toEqual(['node', '/app/server/dist/app/main-cli.js']);
    expect(of(final, 'HEALTHCHECK')[0]).toContain('/readyz');
    expect(of(build, 'RUN').join('\n')).toMatch(
      /npm ci --ignore-scripts[\s\S]*npm run build[\s\S]*npm prune --omit=dev/,
    );
  });

  it('copies nothing that is not there or left out by .dockerignore', () => {
    for (const { from, sources } of [...of(build, 'COPY'), ...of(final, 'COPY')].map(copyOf)) {
      if (from !== null) continue;
      for (const source of sources) {
        expect(existsSync(join(REPOSITORY, source)), source).toBe(true);
        expect(allowed(source), `${source} is left out by .dockerignore`).toBe(true);
      }
    }
    expect(
      ['.env', 'server/src/a.test.ts', 'node_modules/x', '.git/config', 'data/chatsphere.db'].filter(allowed),
    ).toEqual([]);
    // Every workspace is copied: `npm ci` needs the package.json of each.
    const { workspaces } = JSON.parse(readExample('package.json')) as { readonly workspaces: readonly string[] };
    const copied = of(build, 'COPY').flatMap((rest) => copyOf(rest).sources);
    expect(copied).toEqual(expect.arrayContaining(workspaces.map((workspace) => `${workspace}/package.json`)));
  });

  it('sets what the configuration knows', () => {
    const names = of(final, 'ENV').flatMap((rest) => [...rest.matchAll(/(\w+)=/g)].map(([, name]) => name));
    const known = documentedSettings();
    expect(names.filter((name) => name !== 'NODE_ENV' && !known.has(name ?? ''))).toEqual([]);
  });
});

describe('what the image holds', { timeout: 240_000 }, () => {
  let root: string;
  let server: ChildProcess;
  let url: string;
  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'chatsphere-image-'));
    const app = join(root, 'app');
    mkdirSync(app);
    // The build stage is this working copy, built; of the packages, those that `npm prune --omit=dev` leaves.
    for (const { from, sources, target } of stages[1]
      ?.filter(({ verb }) => verb === 'COPY')
      .map(({ rest }) => copyOf(rest)) ?? []) {
      for (const source of sources) {
        const path = from === null ? source : source.replace(/^\/app\//, '');
        if (path.endsWith('node_modules')) {
          const packages = productionPackages(`${path}/`);
          execFileSync('cp', ['-a', '--parents', ...packages, app], { cwd: REPOSITORY });
          continue;
        }
        const into = target.endsWith('/') ? join(app, target, path.split('/').at(-1) ?? '') : join(app, target);
        mkdirSync(dirname(into), { recursive: true });
        cpSync(join(REPOSITORY, path), into, { recursive: true });
      }
    }
    const data = join(root, 'data');
    mkdirSync(data);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(data, 65_534, 65_534);
    chmodSync(root, 0o755);
    server = spawn(process.execPath, [join(app, 'server/dist/app/main-cli.js'), 'serve', '--json', '--port', '0'], {
      cwd: app,
      env: {
        PATH: process.env['PATH'],
        HOME: '/nonexistent',
        NODE_ENV: 'production',
        CHATSPHERE_DATA_DIR: data,
        CHATSPHERE_ADMIN_KEY: 'test-admin-key-0123456789',
        EMBEDDING_FOLLOWER: 'off',
        LOG_LEVEL: 'warn',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
      // Root may write anywhere, and so would not notice what another user cannot.
      ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
    });
    const exited = once(server, 'exit').then(([code]) => Promise.reject(new Error(`ended with code ${code}`)));
    exited.catch(() => {});
    if (server.stdout === null) throw new Error('no output');
    const [line] = (await Promise.race([once(createInterface({ input: server.stdout }), 'line'), exited])) as [string];
    ({ url } = JSON.parse(line) as { url: string });
  }, 240_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it('serves without the packages of development, as a user who may write to its data alone', async () => {
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const asked = await fetch(`${url}/v1/bots/demo/search`, {
      method: 'POST',
      headers: { authorization: 'Bearer test-admin-key-0123456789', 'content-type': 'application/json' },
      body: JSON.stringify({ query: 'backup' }),
    });
    expect(asked.status).toBe(200);
    expect(existsSync(join(root, 'app/node_modules/vitest'))).toBe(false);
  });

  it('has the command that the guides speak of', () => {
    const [, target = ''] =
      /ln -s (\S+) \/usr\/local\/bin\/chatsphere/.exec(readExample('deploy/docker/Dockerfile')) ?? [];
    const { version } = JSON.parse(readExample('server/package.json')) as { readonly version: string };
    expect(execFileSync(join(root, target), ['--version'], { encoding: 'utf8' }).trim()).toBe(version);
  });

  it('ends in good order when its process is told to', async () => {
    const left = once(server, 'exit');
    server.kill('SIGTERM');
    const [code, signal] = (await left) as [number | null, string | null];
    expect([code, signal]).toEqual([0, null]);
    expect(await refused(url)).toBe(true);
  });
});

/** Folders of the packages that stay when those of development go. */
function productionPackages(below: string): readonly string[] {
  const lock = JSON.parse(readExample('package-lock.json')) as {
    readonly packages: Readonly<
      Record<string, { readonly dev?: boolean; readonly devOptional?: boolean; readonly link?: boolean }>
    >;
  };
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional, link }]) => path.startsWith(below) && !dev && !devOptional && !link)
    .map(([path]) => path)
    .filter((path) => existsSync(join(REPOSITORY, path)));
}

function refused(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(address, (response) => {
      response.resume();
      resolve(false);
    });
    asked.on('error', () => resolve(true));
    asked.end();
  });
}

describe('the folder deploy', () => {
  it('holds no file that no test reads', () => {
    const known =
      /^deploy\/(?:docker\/Dockerfile|compose\/|nginx\/chatsphere\.conf|haproxy\/haproxy\.cfg|systemd\/chatsphere\.service|helm\/)/;
    expect(filesBelow('deploy').filter((path) => !known.test(path))).toEqual([]);
  });
});
