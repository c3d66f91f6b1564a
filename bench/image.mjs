// Follows deploy/docker/Dockerfile without Docker: each stage in a clean folder that is the root of a sandbox (bubblewrap), packages from npm's
// cache alone, with no network. Then starts what came out as user 1000 with all but /data and /tmp read-only, and asks it how it is. The base
// image is not there: node and the libraries are this machine's, so the size is of what the Dockerfile adds. Prints one JSON object, and ends with 1
// when something failed.
//   node bench/image.mjs
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './lib/brokers.mjs';
import { contextOf, readCopy, readStages } from './lib/dockerfile.mjs';
import { sleep } from './lib/server.mjs';

const SANDBOX = '/usr/bin/bwrap';
if (!existsSync(SANDBOX)) {
  console.log('left out: bubblewrap is not installed');
  process.exit(0);
}
const REPOSITORY = fileURLToPath(new URL('../', import.meta.url));
const isRoot = process.getuid() === 0;
const OWNER = 1000;
const READY_MS = 120_000;
const PASSWD = 'root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n';
const npmSetting = (name) => execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();
const cache = npmSetting('cache');
const registry = npmSetting('registry');
const nodePrefix = dirname(dirname(process.execPath));

const folder = mkdtempSync(join(tmpdir(), 'chatsphere-image-'));
chmodSync(folder, 0o755);
const context = contextOf(REPOSITORY);
const stages = readStages(join(REPOSITORY, 'deploy/docker/Dockerfile'));
const made = new Map();
const steps = [];
try {
  let image;
  for (const [number, stage] of stages.entries()) {
    image = build(stage, join(folder, `stage-${number}`));
    made.set(stage.name, image);
  }
  const sizes = { size_mb: megabytes(image.root, 'app'), node_modules_mb: megabytes(image.root, 'app/node_modules') };
  const ran = await run(image);
  console.log(JSON.stringify({ steps, ...sizes, ...ran }, null, 2));
  const isWell =
    ran.health === 200 && ran.check === 0 && ran.written.length === 0 && ran.version !== '' && ran.exit === 0;
  if (!isWell) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function build({ steps: given }, root) {
  const image = { root, cwd: '/', env: {}, entrypoint: [], cmd: [], check: [] };
  for (const path of ['etc', 'usr/local/bin', 'tmp', 'root']) mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), PASSWD);
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnode:x:1000:\n');
  for (const { verb, rest } of given) {
    const begunAt = performance.now();
    if (verb === 'WORKDIR') {
      image.cwd = rest;
      mkdirSync(join(root, rest), { recursive: true });
    }
    if (verb === 'ENV') for (const [, name, value] of rest.matchAll(/(\w+)=(\S+)/g)) image.env[name] = value;
    if (verb === 'ENTRYPOINT') image.entrypoint = JSON.parse(rest);
    if (verb === 'CMD') image.cmd = JSON.parse(rest);
    if (verb === 'HEALTHCHECK') image.check = JSON.parse(rest.slice(rest.indexOf('CMD ') + 'CMD '.length));
    if (verb === 'COPY') copy(image, readCopy(rest));
    if (verb === 'RUN') {
      execFileSync(
        SANDBOX,
        [...sandbox(image, ['--bind', cache, '/npm-cache', '--unshare-net']), '/bin/sh', '-c', rest],
        {
          env: {},
          stdio: ['ignore', 'ignore', 'inherit'],
        },
      );
    }
    if (verb === 'RUN' || verb === 'COPY')
      steps.push({
        step: `${verb} ${rest}`.slice(0, 80),
        seconds: Number(((performance.now() - begunAt) / 1000).toFixed(1)),
      });
  }
  return image;
}

function copy({ root, cwd }, { from, sources, target }) {
  const into = join(root, resolve(cwd, target));
  for (const source of sources) {
    const isMany = target.endsWith('/');
    if (from !== null) {
      const path = join(made.get(from).root, source);
      cpSync(path, isMany ? join(into, source.split('/').at(-1)) : into, { recursive: true, verbatimSymlinks: true });
      continue;
    }
    const files = context.filter((path) => path === source || path.startsWith(`${source}/`));
    if (files.length === 0) throw new Error(`COPY ${source}: the context has no such file`);
    for (const path of files) {
      const below = path === source && isMany ? source.split('/').at(-1) : path.slice(source.length + 1);
      cpSync(join(REPOSITORY, path), join(into, below));
    }
  }
}

/** Arguments of a sandbox whose root is the image's: writable, or with `--ro-bind` read-only. */
function sandbox({ root, cwd, env }, more, bind = '--bind') {
  const libraries = ['/usr', ...['/bin', '/sbin', '/lib', '/lib64'].filter((path) => existsSync(path))];
  const settings = {
    PATH: '/usr/local/bin:/opt/node/bin:/usr/bin:/bin',
    HOME: '/root',
    npm_config_cache: '/npm-cache',
  };
  const offline = { npm_config_offline: 'true', npm_config_registry: registry, npm_config_update_notifier: 'false' };
  for (const path of [...libraries, '/opt/node', '/npm-cache', '/dev', '/proc'])
    mkdirSync(join(root, path), { recursive: true });
  return [
    ...[bind, root, '/'],
    ...libraries.flatMap((path) => ['--ro-bind', path, path]),
    ...['--ro-bind', nodePrefix, '/opt/node', bind, join(root, 'usr/local/bin'), '/usr/local/bin'],
    ...['--dev', '/dev', '--proc', '/proc', '--tmpfs', '/tmp', '--chdir', cwd, '--die-with-parent'],
    ...Object.entries({ ...settings, ...offline, ...env }).flatMap(([name, value]) => ['--setenv', name, value]),
    ...more,
  ];
}

/** Starts the image with its root read-only as another user, asks it, tries to write where it may not, and stops it. */
async function run(image) {
  const data = join(image.root, 'data');
  if (isRoot) chownSync(data, OWNER, OWNER);
  const port = String(await freePort());
  const own = {
    HOST: '127.0.0.1',
    PORT: port,
    CHATSPHERE_ADMIN_KEY: 'image-admin-key-0123456789',
    LOG_LEVEL: 'warn',
    HOME: '/tmp',
  };
  const env = { ...image.env, ...own };
  const user = isRoot ? { uid: OWNER, gid: OWNER } : {};
  const args = sandbox(
    { ...image, env },
    ['--bind', data, '/data', '--unshare-user', '--uid', String(OWNER), '--gid', String(OWNER)],
    '--ro-bind',
  );
  const inside = (command) => spawnSync(SANDBOX, [...args, ...command], { env: {}, ...user, encoding: 'utf8' });
  const script = `for (const folder of ['/', '/app', '/app/server/dist', '/usr/local/bin', '/etc', '/data', '/tmp'])
    try { require('node:fs').writeFileSync(folder + '/written', ''); console.log(folder) } catch {}`;
  const written = inside(['node', '-e', script]).stdout.trim().split('\n');
  const begunAt = performance.now();
  const server = spawn(SANDBOX, [...args, ...image.entrypoint, ...image.cmd], {
    env: {},
    ...user,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = once(server, 'exit');
  const health = await answered(`http://127.0.0.1:${port}/health`, server);
  const startedMs = Math.round(performance.now() - begunAt);
  const check = inside(image.check).status;
  const version = inside(['chatsphere', '--version']).stdout.trim();
  const processId = Number(
    execFileSync('pgrep', ['-P', String(server.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')[0],
  );
  process.kill(processId, 'SIGTERM');
  const [exit] = await exited;
  return {
    user: OWNER,
    command: readlinkSync(join(image.root, 'usr/local/bin/chatsphere')),
    written: written.filter((path) => path !== '/data' && path !== '/tmp'),
    may_write: written.filter((path) => path === '/data' || path === '/tmp'),
    started_ms: startedMs,
    ...{ health, check, version, exit },
  };
}

async function answered(url, server) {
  const until = performance.now() + READY_MS;
  while (performance.now() < until && server.exitCode === null) {
    const status = await fetch(url).then(
      (answer) => answer.status,
      () => null,
    );
    if (status !== null) return status;
    await sleep(100);
  }
  throw new Error('the image did not answer');
}

function megabytes(root, path) {
  const [kilobytes] = execFileSync('du', ['-sk', join(root, path)], { encoding: 'utf8' }).split('\t');
  return Math.round(Number(kilobytes) / 1024);
}
