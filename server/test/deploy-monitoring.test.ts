import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../src/app/config.ts';
import { environmentSchema } from '../src/app/environment.ts';
import { createMeter } from '../src/monitoring/index.ts';
import { METRICS } from '../src/monitoring/metrics.ts';
import { documentedSettings, filesBelow, leavesOf, parseYaml, readExample, type Tree } from './deploy-files.ts';

const COMPOSE = 'deploy/compose/';

/** Names of series that exist: those of the house with what histograms add, and those of the process. */
async function knownSeries(): Promise<ReadonlyMap<string, readonly string[]>> {
  const series = new Map<string, readonly string[]>([['up', ['job', 'instance']]]);
  for (const [name, { type, labels }] of Object.entries(METRICS)) {
    if (type !== 'histogram') series.set(name, labels);
    else for (const ending of ['_bucket', '_sum', '_count']) series.set(name + ending, [...labels, 'le']);
  }
  const { text } = await createMeter().render();
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    if (name in METRICS) continue;
    const labels = type === 'histogram' ? ['kind', 'le'] : ['type', 'space', 'version', 'kind'];
    for (const ending of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) series.set(name + ending, labels);
  }
  return series;
}

const FUNCTIONS =
  /^(?:sum|max|min|avg|by|without|rate|increase|absent|histogram_quantile|le|on|group_left|offset|and|or|unless|bool)$/;

/** Metric names in a PromQL expression, and the labels that it groups and filters by. */
function readQuery(expression: string): { readonly names: readonly string[]; readonly labels: readonly string[] } {
  const grouped = [...expression.matchAll(/\b(?:by|without)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) =>
    list.split(',').map((label) => label.trim()),
  );
  const filtered = [...expression.matchAll(/\{([^}]*)\}/g)].flatMap(([, list = '']) =>
    [...list.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  );
  const bare = expression
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]/g, '')
    .replace(/"[^"]*"/g, '')
    .replace(/\b(?:by|without)\s*\([^)]*\)/g, '');
  const words = bare.match(/[a-zA-Z_:][a-zA-Z0-9_:]*/g) ?? [];
  return { names: words.filter((word) => !FUNCTIONS.test(word)), labels: [...grouped, ...filtered] };
}

describe('what Prometheus and Grafana are given', () => {
  let series: ReadonlyMap<string, readonly string[]>;
  beforeAll(async () => {
    series = await knownSeries();
  });
  const check = (expression: string): void => {
    const { names, labels } = readQuery(expression);
    expect(names.length, expression).toBeGreaterThan(0);
    const known = names.flatMap((name) => series.get(name) ?? []);
    for (const name of names) expect(series.has(name), `${name} in ${expression}`).toBe(true);
    for (const label of labels) expect(['job', 'instance', ...known], `${label} in ${expression}`).toContain(label);
    const open = [...expression].filter((letter) => '([{'.includes(letter)).length;
    expect([...expression].filter((letter) => ')]}'.includes(letter))).toHaveLength(open);
  };

  const dashboards = filesBelow(`${COMPOSE}grafana/dashboards`);

  it.each(dashboards)('shows metrics that exist: %s', (path) => {
    const dashboard = JSON.parse(readExample(path)) as {
      readonly uid: string;
      readonly panels: readonly {
        readonly id: number;
        readonly title: string;
        readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
        readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
      }[];
    };
    expect(dashboard.uid).toMatch(/^chatsphere-/);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const places = new Set<string>();
    for (const { targets, gridPos, title } of dashboard.panels) {
      expect(targets.length, title).toBeGreaterThan(0);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        expect(places.has(`${x} ${gridPos.y}`), `${title} lies on another`).toBe(false);
        places.add(`${x} ${gridPos.y}`);
      }
      for (const { expr, legendFormat } of targets) {
        check(expr);
        // What a legend names must be left by the query.
        const { labels } = readQuery(expr);
        const isGrouped = /\bby\s*\(|^(?:sum|max|min)\(/.test(expr);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
          if (isGrouped) expect(labels, `${label} of ${title}`).toContain(label);
        }
      }
    }
  });

  it('has dashboards for answers, jobs, providers and processes', () => {
    expect(dashboards.map((path) => path.split('/').at(-1))).toEqual([
      'answers.json',
      'jobs.json',
      'process.json',
      'providers.json',
    ]);
  });

  it('asks for metrics that exist in every alert, and says what to do', () => {
    const [tree] = parseYaml(readExample(`${COMPOSE}prometheus/alerts.yml`));
    const rules = Object.values(tree?.['groups'] ?? {}).flatMap((group: Tree) => Object.values(group['rules'] ?? {}));
    expect(rules.length).toBeGreaterThan(8);
    for (const rule of rules) {
      check(String(rule['expr']));
      expect(String(rule['alert'])).toMatch(/^ChatSphere[A-Z]/);
      expect(rule['annotations']?.['summary']).toEqual(expect.any(String));
      expect(['page', 'ticket']).toContain(rule['labels']?.['severity']);
    }
  });

  it('has a test of every alert, with series that exist', () => {
    const [tree] = parseYaml(readExample(`${COMPOSE}prometheus/alerts.yml`));
    const alerts = [...leavesOf(tree)].filter(([path]) => path.at(-1) === 'alert').map(([, name]) => name);
    const tests = parseYaml(readExample(`${COMPOSE}prometheus/alerts.test.yml`))[0]?.['tests'] ?? {};
    const expected = Object.values(tests).flatMap((test: Tree) =>
      Object.values(test['alert_rule_test'] ?? {}).filter((each: Tree) => each['exp_alerts'] !== undefined),
    );
    expect(new Set(expected.map((each: Tree) => each['alertname']))).toEqual(new Set(alerts));
    const given = [...leavesOf(tests)].filter(([path]) => path.at(-1) === 'series').map(([, text]) => String(text));
    expect(given.length).toBeGreaterThan(10);
    for (const text of given) check(text);
  });

  it('finds unknown names in a query', () => {
    expect(() => check('sum(rate(chatsphere_unknown_total[5m]))')).toThrow(/chatsphere_unknown_total/);
    expect(() => check('sum by (tenant) (rate(chatsphere_answers_total[5m]))')).toThrow(/tenant/);
  });
});

describe('docker compose', () => {
  const [file] = parseYaml(readExample(`${COMPOSE}compose.yaml`));
  const services = Object.entries(file?.['services'] ?? {}) as [string, Tree][];

  it('has the services of a fleet, of fixed versions, that start again', () => {
    expect(services.map(([name]) => name)).toEqual(['server', 'worker', 'postgres', 'redis', 'prometheus', 'grafana']);
    for (const [name, service] of services) {
      expect(String(service['image']), name).toMatch(/:/);
      expect(String(service['image']), name).not.toMatch(/:latest$/);
      expect(service['restart'], name).toBe('unless-stopped');
    }
  });

  it('names only services, volumes, files and settings that exist', () => {
    const known = documentedSettings();
    const names = services.map(([name]) => name);
    for (const [name, service] of services) {
      for (const [dependency, needed] of Object.entries(dependenciesOf(service))) {
        expect(names, name).toContain(dependency);
        const { healthcheck } = services.find(([each]) => each === dependency)?.[1] ?? {};
        if (needed.condition === 'service_healthy') expect(healthcheck?.['test'], dependency).toBeDefined();
      }
      for (const volume of Object.values(service['volumes'] ?? {}).map(String)) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('.')) expect(filesBelow(COMPOSE + source.slice(2)).length, source).toBeGreaterThan(0);
        else expect(Object.keys(file?.['volumes'] ?? {}), name).toContain(source);
      }
      if (name !== 'server' && name !== 'worker') continue;
      for (const setting of Object.keys(service['environment'] ?? {})) expect(known, setting).toContain(setting);
      expect(service['read_only']).toBe(true);
      expect(service['cap_drop']).toEqual(['ALL']);
    }
    expect(services.map(([, { environment }]) => environment?.['ROLE']).filter(Boolean)).toEqual(['serve', 'worker']);
  });

  it('gives each service only names that it reads, and a configuration that it starts with', () => {
    const ofOthers: Readonly<Record<string, RegExp>> = {
      postgres: /^POSTGRES_(?:USER|PASSWORD|DB|INITDB_ARGS)$/,
      grafana: /^GF_SECURITY_ADMIN_(?:USER|PASSWORD)$/,
    };
    for (const [name, service] of services) {
      const environment = Object.entries(service['environment'] ?? {});
      if (name !== 'server' && name !== 'worker') {
        expect(
          environment.map(([key]) => key).filter((key) => !ofOthers[name]?.test(key)),
          name,
        ).toEqual([]);
        continue;
      }
      const unknown = environment.map(([key]) => key).filter((key) => !(key in environmentSchema.shape));
      expect(unknown, name).toEqual(['OPENAI_API_KEY', 'ANTHROPIC_API_KEY']);
      const given = environment.map(([key, value]) => [key, String(value).replace(/\$\{[^}]*\}/g, 'x'.repeat(32))]);
      const config = readConfig(Object.fromEntries(given));
      expect([config.role, config.database?.url.includes('@postgres:5432/'), config.warnings]).toEqual([
        name === 'server' ? 'serve' : 'worker',
        true,
        [],
      ]);
    }
  });

  it('asks every service whether it is well, at the port that it listens on', () => {
    for (const [name, service] of services) {
      // Of our own processes the image has the check.
      if (name === 'server' || name === 'worker') continue;
      expect(service['healthcheck']?.['test']?.[0], name).toMatch(/^CMD/);
      for (const [, text] of leavesOf(service['healthcheck']?.['test'])) {
        const port = /^http:\/\/127\.0\.0\.1:(\d+)\//.exec(String(text))?.[1];
        if (port !== undefined) expect(String(service['ports']?.[0]).split(':').at(-1), name).toBe(port);
      }
    }
  });

  it('asks for every variable in the example of the environment', () => {
    const given = [...readExample(`${COMPOSE}example.env`).matchAll(/^([A-Z_]+)=/gm)].map(([, name]) => name);
    const asked = [...leavesOf(file)].flatMap(([, value]) =>
      [...String(value).matchAll(/\$\{([A-Z_]+)(:?[?-])?/g)].map(([, name, mark]) => ({
        name,
        isNeeded: mark === ':?',
      })),
    );
    for (const { name } of asked.filter(({ isNeeded }) => isNeeded)) expect(given).toContain(name);
    for (const name of given) expect(asked.map((each) => each.name)).toContain(name);
  });

  it('stops no server before its answers may have finished', () => {
    const [, server] = services[0] ?? [];
    const seconds = Number.parseInt(String(server?.['stop_grace_period']), 10);
    const { SHUTDOWN_DELAY_MS: delay, DRAIN_TIMEOUT_MS: drain } = (server?.['environment'] ?? {}) as Record<
      string,
      unknown
    >;
    expect(seconds * 1000).toBeGreaterThanOrEqual(Number(delay) + Number(drain) + 15_000);
  });

  it('lets Prometheus ask both roles at the ports that they listen on', () => {
    const [tree] = parseYaml(readExample(`${COMPOSE}prometheus/prometheus.yml`));
    const [job] = Object.values(tree?.['scrape_configs'] ?? {});
    const targets = Object.values(job?.['dns_sd_configs'] ?? {}).map((each: Tree) => [
      each['names']?.[0],
      each['port'],
    ]);
    expect(targets).toEqual([
      ['server', 3000],
      ['worker', 3001],
    ]);
    expect(job?.['authorization']?.['credentials_file']).toBe('/run/secrets/metrics_key');
    for (const path of filesBelow(`${COMPOSE}grafana/provisioning`))
      expect(parseYaml(readExample(path))).toHaveLength(1);
  });
});

function dependenciesOf(service: Tree): Readonly<Record<string, { readonly condition?: unknown }>> {
  const { depends_on: given } = service;
  if (given === undefined) return {};
  return Array.isArray(given) ? Object.fromEntries(given.map((name) => [name, {}])) : given;
}
