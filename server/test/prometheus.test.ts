import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { METRICS } from '../src/monitoring/metrics.ts';
import { type BuiltServer, callServer, startBuiltServer } from './built-server.ts';
import { filesBelow, leavesOf, parseYaml, REPOSITORY, readExample } from './deploy-files.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const EXAMPLES = 'deploy/compose/prometheus';
const PATIENCE = { timeout: 60_000, interval: 100 };

function isThere(program: string): boolean {
  try {
    accessSync(`/usr/bin/${program}`, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** With `CI=true` what is missing is a failure, not a reason to pass over it. */
const isSkipped = !(isThere('prometheus') && isThere('promtool')) && process.env['CI'] !== 'true';

function promtool(args: readonly string[], input?: string): string {
  return execFileSync('/usr/bin/promtool', [...args], { encoding: 'utf8', stdio: 'pipe', input });
}

/** Every query in the alerts and dashboards. */
function queries(): readonly string[] {
  const [alerts] = parseYaml(readExample(`${EXAMPLES}/alerts.yml`));
  const dashboards = filesBelow('deploy/compose/grafana/dashboards').map((path) => JSON.parse(readExample(path)));
  return [alerts, ...dashboards]
    .flatMap((tree) => [...leavesOf(tree)])
    .filter(([path]) => path.at(-1) === 'expr')
    .map(([, query]) => String(query).replaceAll('$__rate_interval', '1m'));
}

/** Stands before the server as a proxy does, so that its metrics are asked for from elsewhere. */
async function startProxy(url: string): Promise<Server> {
  const { hostname, port } = new URL(url);
  const proxy = createServer((incoming, response) => {
    const headers = { ...incoming.headers, 'x-forwarded-for': '192.0.2.1' };
    const asked = request({ hostname, port, path: incoming.url, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    asked.on('error', () => response.destroy());
    asked.end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return proxy;
}

describe.skipIf(isSkipped)('a real Prometheus with the files of deploy/compose', () => {
  let folder: string;
  let server: BuiltServer;
  let proxy: Server;
  let prometheus: ChildProcess;
  let api: string;
  let metricsText: string;

  beforeAll(async () => {
    server = await startBuiltServer({ env: { EMBEDDING_FOLLOWER: 'off' } });
    proxy = await startProxy(server.url);
    const made = await callServer(server, { path: '/v1/api_keys', json: { name: 'prometheus', scopes: ['metrics'] } });
    folder = mkdtempSync(join(tmpdir(), 'chatsphere-prometheus-'));
    cpSync(join(REPOSITORY, EXAMPLES), folder, { recursive: true });
    writeFileSync(join(folder, 'metrics-key'), `${String(made.body['secret'])}\n`);
    const { port } = proxy.address() as AddressInfo;
    // What differs from the example: where the key is, who is asked, and that it is asked each second.
    const [config] = parseYaml(
      readExample(`${EXAMPLES}/prometheus.yml`)
        .replace('/run/secrets/metrics_key', join(folder, 'metrics-key'))
        .replaceAll('15s', '1s'),
    );
    const [job] = Object.values(config?.['scrape_configs'] ?? {});
    const { dns_sd_configs: _names, ...scrape } = job ?? {};
    const targets = [{ targets: [`127.0.0.1:${port}`] }];
    const changed = { ...config, scrape_configs: [{ ...scrape, static_configs: targets }] };
    writeFileSync(join(folder, 'scraped.yml'), JSON.stringify(changed));
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const { port: apiPort } = probe.address() as AddressInfo;
    probe.close();
    const args = [
      `--config.file=${join(folder, 'scraped.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${apiPort}`,
    ];
    prometheus = spawn('/usr/bin/prometheus', args, { stdio: 'ignore' });
    api = `http://127.0.0.1:${apiPort}/api/v1`;
    await vi.waitFor(async () => expect(await queried('up{job="chatsphere"}')).toBe('1'), PATIENCE);
    metricsText = await (await fetch(`${server.url}/metrics`)).text();
  });
  afterAll(async () => {
    const left = once(prometheus, 'exit');
    prometheus.kill();
    await left;
    proxy.closeAllConnections();
    proxy.close();
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(path: string): Promise<Record<string, unknown>> {
    const answer = (await (await fetch(`${api}${path}`)).json()) as { status: string; error?: string; data: never };
    expect(answer.error).toBeUndefined();
    return answer.data;
  }

  async function queried(query: string): Promise<string | undefined> {
    const { result } = await ask(`/query?query=${encodeURIComponent(query)}`);
    return (result as readonly { readonly value: readonly [number, string] }[])[0]?.value[1];
  }

  it('takes the configuration and the rules, and each alert says something when it should', () => {
    const config = readExample(`${EXAMPLES}/prometheus.yml`);
    const path = join(folder, 'prometheus.yml');
    writeFileSync(path, config.replace('/run/secrets/metrics_key', join(folder, 'metrics-key')));
    expect(promtool(['check', 'config', '--lint-fatal', path])).toContain('SUCCESS');
    expect(promtool(['check', 'rules', '--lint-fatal', join(folder, 'alerts.yml')])).toContain('SUCCESS');
    expect(promtool(['test', 'rules', join(folder, 'alerts.test.yml')])).toContain('SUCCESS');
  });

  it('says that it is well where compose asks', async () => {
    const [compose] = parseYaml(readExample('deploy/compose/compose.yaml'));
    const address = String(
      Object.values(compose?.['services']?.['prometheus']?.['healthcheck']?.['test'] ?? {}).at(-1),
    );
    expect((await fetch(new URL(new URL(address).pathname, api))).status).toBe(200);
  });

  it('reads every metric that there is, with the key', async () => {
    const known = await ask('/metadata');
    expect(Object.keys(METRICS).filter((name) => !(name in known))).toEqual([]);
    const exposed = [...metricsText.matchAll(/^# TYPE (\S+)/gm)].map(([, name = '']) => name);
    expect(exposed.filter((name) => !(name in known))).toEqual([]);
  });

  it('can ask everything that alerts and dashboards ask', async () => {
    const asked = queries();
    expect(asked.length).toBeGreaterThan(40);
    for (const query of asked) await ask(`/query?query=${encodeURIComponent(query)}`);
    expect(await queried('chatsphere_answer_streams')).toBe('0');
    expect(Number(await queried('nodejs_eventloop_lag_p99_seconds{job="chatsphere"}'))).toBeGreaterThan(0);
    const { groups } = (await ask('/rules')) as { groups: readonly { readonly rules: readonly object[] }[] };
    expect(groups[0]?.rules).not.toContainEqual(expect.objectContaining({ health: 'err' }));
  });

  it('finds nothing to complain of in how the metrics of the house are written', () => {
    const own = metricsText.replace(/^(?:# (?:HELP|TYPE) )?(?:nodejs|process)_.*\n/gm, '');
    expect(promtool(['check', 'metrics'], own)).toBe('');
  });

  it('gets nothing with a key that is not valid, and reads a new one at its next scrape', async () => {
    const path = join(folder, 'metrics-key');
    const { body } = await callServer(server, { path: '/v1/api_keys', json: { name: 'next', scopes: ['metrics'] } });
    writeFileSync(path, 'cs_live_wrong');
    await vi.waitFor(async () => expect(await queried('up{job="chatsphere"}')).toBe('0'), PATIENCE);
    writeFileSync(path, String(body['secret']));
    await vi.waitFor(async () => expect(await queried('up{job="chatsphere"}')).toBe('1'), PATIENCE);
  });
});
