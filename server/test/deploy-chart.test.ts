import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { METRICS } from '../src/monitoring/metrics.ts';
import { renderChart } from './chart-renderer.ts';
import { documentedSettings, filesBelow, leavesOf, parseYaml, readExample, type Tree } from './deploy-files.ts';
import { shapeOf } from './kubernetes-shapes.ts';

const CHART = 'deploy/helm/chatsphere/';

type Values = Readonly<Record<string, unknown>>;

const lite = parseYaml(readExample(`${CHART}values.yaml`))[0] as unknown as Values;
const full = merged(lite, parseYaml(readExample(`${CHART}values-full.yaml`))[0] as unknown as Values);

/** As Helm merges files of values. */
function merged(base: Values, over: Values): Values {
  const isMap = (value: unknown): value is Values =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  return {
    ...base,
    ...Object.fromEntries(
      Object.entries(over).map(([key, value]) => {
        const known = base[key];
        return [key, isMap(known) && isMap(value) ? merged(known, value) : value];
      }),
    ),
  };
}

function textsOf(values: Values): ReadonlyMap<string, string> {
  const chart = parseYaml(readExample(`${CHART}Chart.yaml`))[0] ?? {};
  const templates = filesBelow(`${CHART}templates`).map((path) => [path, readExample(path)] as const);
  return renderChart(new Map(templates), {
    Values: values,
    Release: { Name: 'acme', Namespace: 'chat', Service: 'Helm' },
    Chart: { Name: chart['name'], Version: chart['version'], AppVersion: chart['appVersion'] },
  });
}

function objectsOf(values: Values): readonly Tree[] {
  return [...textsOf(values)].filter(([path]) => path.endsWith('.yaml')).flatMap(([, text]) => parseYaml(text));
}

const SETS: readonly (readonly [string, Values])[] = [
  ['lite', lite],
  ['full', full],
  [
    'lite with everything that it may have',
    merged(lite, {
      existingSecret: 's',
      ingress: { enabled: true, tlsSecret: 't' },
      persistence: { storageClass: 'fast' },
      networkPolicy: { from: [{ podSelector: {} }] },
      pods: {
        annotations: { 'example.com/team': 'chat' },
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }],
        imagePullSecrets: [{ name: 'registry' }],
      },
      serviceMonitor: { enabled: true },
    }),
  ],
  [
    'full without what may be left out',
    merged(full, {
      autoscaling: { enabled: false },
      keda: { enabled: false },
      podDisruptionBudget: { enabled: false },
      serviceMonitor: { enabled: false },
      networkPolicy: { enabled: false },
    }),
  ],
];

/** What each kind must have, by path. */
const REQUIRED: Readonly<Record<string, readonly [string, ...string[]]>> = {
  Deployment: [
    'apps/v1',
    'spec.selector.matchLabels',
    'spec.template.metadata.labels',
    'spec.template.spec.containers.0.image',
  ],
  Service: ['v1', 'spec.selector', 'spec.ports.0.port'],
  PersistentVolumeClaim: ['v1', 'spec.accessModes.0', 'spec.resources.requests.storage'],
  Ingress: ['networking.k8s.io/v1', 'spec.rules.0.http.paths.0.backend.service.name', 'spec.ingressClassName'],
  HorizontalPodAutoscaler: [
    'autoscaling/v2',
    'spec.scaleTargetRef.name',
    'spec.minReplicas',
    'spec.maxReplicas',
    'spec.metrics.0.pods.metric.name',
  ],
  ScaledObject: [
    'keda.sh/v1alpha1',
    'spec.scaleTargetRef.name',
    'spec.triggers.0.metadata.query',
    'spec.triggers.0.metadata.threshold',
  ],
  PodDisruptionBudget: ['policy/v1', 'spec.selector.matchLabels', 'spec.maxUnavailable'],
  NetworkPolicy: [
    'networking.k8s.io/v1',
    'spec.podSelector',
    'spec.policyTypes.1',
    'spec.ingress.0.ports',
    'spec.egress',
  ],
  ServiceMonitor: ['monitoring.coreos.com/v1', 'spec.selector.matchLabels', 'spec.endpoints.0.port'],
};

function at(tree: Tree | undefined, path: string): unknown {
  let value: unknown = tree;
  for (const key of path.split('.')) value = (value as Tree | undefined)?.[key];
  return value;
}

function list(value: unknown): readonly Tree[] {
  return Object.values((value ?? []) as object) as Tree[];
}

function holds(labels: unknown, selector: unknown): boolean {
  const given = labels as Record<string, unknown>;
  return Object.entries(selector as object).every(([key, value]) => given[key] === value);
}

describe.each(SETS)('the chart with values for %s', (_, values) => {
  const objects = objectsOf(values);
  const of = (kind: string): readonly Tree[] => objects.filter((object) => String(object['kind']) === kind);
  const containers = of('Deployment').map((deployment) => ({
    deployment,
    container: list(at(deployment, 'spec.template.spec.containers'))[0] as Tree,
    labels: at(deployment, 'spec.template.metadata.labels'),
  }));

  it('gives objects that Kubernetes knows, with what they must have', () => {
    const names = objects.map((object) => `${object['kind']}/${at(object, 'metadata.name')}`);
    expect(new Set(names).size).toBe(names.length);
    for (const object of objects) {
      const [version, ...paths] = REQUIRED[String(object['kind'])] ?? [];
      expect(version, `${object['kind']} is not known`).toBe(object['apiVersion']);
      expect(String(at(object, 'metadata.name'))).toMatch(/^acme[a-z-]*$/);
      for (const path of paths) expect(at(object, path), `${object['kind']} ${path}`).toBeDefined();
      for (const [path, value] of leavesOf(object)) expect(value, path.join('.')).not.toBeNull();
    }
  });

  it('gives each object fields that its kind has, of their types', () => {
    for (const object of objects) {
      const shape = shapeOf(String(object['apiVersion']), String(object['kind']));
      expect(
        shape?.safeParse(object).error?.issues,
        `${object['kind']}/${at(object, 'metadata.name')}`,
      ).toBeUndefined();
      expect(shape).toBeDefined();
    }
  });

  it('selects pods that there are', () => {
    for (const { deployment, labels } of containers) {
      expect(holds(labels, at(deployment, 'spec.selector.matchLabels'))).toBe(true);
    }
    const selectors = [
      ...of('Service').map((service) => at(service, 'spec.selector')),
      ...of('PodDisruptionBudget').map((budget) => at(budget, 'spec.selector.matchLabels')),
      ...of('NetworkPolicy').map((policy) => at(policy, 'spec.podSelector.matchLabels')),
    ];
    for (const selector of selectors)
      expect(containers.filter(({ labels }) => holds(labels, selector)).length).toBeGreaterThan(0);
    for (const service of of('Service')) {
      const served = containers.filter(({ labels }) => holds(labels, at(service, 'spec.selector')));
      expect(served).toHaveLength(1);
      const ports = list(served[0]?.container['ports']).map((port) => port['name']);
      for (const port of list(at(service, 'spec.ports'))) expect(ports).toContain(port['targetPort']);
    }
    for (const monitor of of('ServiceMonitor')) {
      const services = of('Service').filter((service) =>
        holds(at(service, 'metadata.labels'), at(monitor, 'spec.selector.matchLabels')),
      );
      const ports = services.flatMap((service) => list(at(service, 'spec.ports')).map((port) => port['name']));
      expect(list(at(monitor, 'spec.endpoints')).map((endpoint) => endpoint['port'])).toEqual(ports);
    }
    const deployments = of('Deployment').map((deployment) => at(deployment, 'metadata.name'));
    for (const scaler of [...of('HorizontalPodAutoscaler'), ...of('ScaledObject')]) {
      expect(deployments).toContain(at(scaler, 'spec.scaleTargetRef.name'));
      const scaled = of('Deployment').find(
        (each) => at(each, 'metadata.name') === at(scaler, 'spec.scaleTargetRef.name'),
      );
      // Two who set the number of pods would pull at it.
      expect(at(scaled, 'spec.replicas')).toBeUndefined();
    }
    for (const ingress of of('Ingress')) {
      const backend = at(ingress, 'spec.rules.0.http.paths.0.backend.service') as Tree;
      const service = of('Service').find((each) => at(each, 'metadata.name') === backend['name']);
      expect(list(at(service, 'spec.ports')).map((port) => port['name'])).toContain(at(backend, 'port.name'));
    }
  });

  it('probes routes that the server has, at ports that it opens', () => {
    const routes = readExample('server/src/http/route-access.ts');
    for (const { container } of containers) {
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
        expect(routes).toContain(`'GET ${String(at(container, `${probe}.httpGet.path`))}'`);
        const ports = list(container['ports']).map((port) => port['name']);
        expect(ports).toContain(at(container, `${probe}.httpGet.port`));
      }
      expect(at(container, 'readinessProbe.httpGet.path')).toBe('/readyz');
      expect(at(container, 'livenessProbe.httpGet.path')).toBe('/healthz');
    }
  });

  it('runs without privileges, writes to volumes alone, and sets what the configuration knows', () => {
    const known = documentedSettings();
    for (const { deployment, container } of containers) {
      expect(at(deployment, 'spec.template.spec.securityContext.runAsNonRoot')).toBe(true);
      expect(at(deployment, 'spec.template.spec.automountServiceAccountToken')).toBe(false);
      // A service called `worker` would set WORKER_PORT.
      expect(at(deployment, 'spec.template.spec.enableServiceLinks')).toBe(false);
      expect(container['securityContext']).toEqual({
        ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true },
        capabilities: { drop: ['ALL'] },
      });
      const volumes = list(at(deployment, 'spec.template.spec.volumes')).map((volume) => volume['name']);
      const mounts = list(container['volumeMounts']);
      expect(mounts.map((mount) => mount['name'])).toEqual(volumes);
      expect(mounts.map((mount) => mount['mountPath'])).toEqual(['/data', '/tmp']);
      for (const { name, value } of list(container['env']) as unknown as { name: string; value: unknown }[]) {
        expect(known, name).toContain(name);
        expect(typeof value, name).toBe('string');
      }
      expect(String(container['image'])).toMatch(/^chatsphere:\d/);
    }
  });

  it('leaves pods the time that their answers may take', () => {
    const [server] = containers;
    const variables = new Map(
      list(server?.container['env']).map((each) => [String(each['name']), Number(each['value'])]),
    );
    const needed = (variables.get('SHUTDOWN_DELAY_MS') ?? 0) + (variables.get('DRAIN_TIMEOUT_MS') ?? 0) + 15_000;
    expect(
      Number(at(server?.deployment, 'spec.template.spec.terminationGracePeriodSeconds')) * 1000,
    ).toBeGreaterThanOrEqual(needed);
  });
});

describe('the chart', () => {
  const roles = (values: Values): readonly unknown[] =>
    objectsOf(values)
      .filter((object) => String(object['kind']) === 'Deployment')
      .map((deployment) => [
        at(deployment, 'spec.template.spec.containers.0.args.0'),
        list(at(deployment, 'spec.template.spec.containers.0.env')).find((each) => String(each['name']) === 'ROLE')?.[
          'value'
        ],
      ]);

  it('would be refused with a field that a kind does not have', () => {
    for (const object of objectsOf(full)) {
      const shape = shapeOf(String(object['apiVersion']), String(object['kind']));
      const wrong = { ...object, spec: { ...object['spec'], replicaz: 1 } };
      expect(shape?.safeParse(wrong).success, String(object['kind'])).toBe(false);
    }
  });

  it('is one process on a volume, or servers and workers', () => {
    expect(roles(lite)).toEqual([['serve', 'all']]);
    expect(roles(full)).toEqual([
      ['serve', 'serve'],
      ['worker', 'worker'],
    ]);
    const [deployment] = objectsOf(lite).filter((object) => String(object['kind']) === 'Deployment');
    const [claim] = objectsOf(lite).filter((object) => String(object['kind']) === 'PersistentVolumeClaim');
    expect(at(deployment, 'spec.template.spec.volumes.0.persistentVolumeClaim.claimName')).toBe(
      at(claim, 'metadata.name'),
    );
    expect(at(deployment, 'spec.strategy.type')).toBe('Recreate');
    expect(objectsOf(full).some((object) => String(object['kind']) === 'PersistentVolumeClaim')).toBe(false);
  });

  it('scales by metrics that there are', () => {
    const metrics = objectsOf(full).flatMap((object) => {
      if (String(object['kind']) === 'HorizontalPodAutoscaler')
        return list(at(object, 'spec.metrics')).map((each) => at(each, 'pods.metric.name'));
      if (String(object['kind']) === 'ScaledObject')
        return [/\((\w+)\)/.exec(String(at(object, 'spec.triggers.0.metadata.query')))?.[1]];
      return [];
    });
    expect(metrics).toEqual([
      'chatsphere_answer_streams',
      'nodejs_eventloop_lag_p99_seconds',
      'chatsphere_job_oldest_queued_seconds',
    ]);
    for (const metric of metrics) expect(String(metric) in METRICS || String(metric).startsWith('nodejs_')).toBe(true);
  });

  it('has a schema that takes its values and refuses others', () => {
    const schema = z.fromJSONSchema(JSON.parse(readExample(`${CHART}values.schema.json`)));
    for (const [name, values] of SETS) expect(schema.safeParse(values).error?.issues ?? [], name).toEqual([]);
    for (const wrong of [
      { mode: 'tiny' },
      { replicas: 3 },
      { settings: { log_level: 'info' } },
      { settings: { PORT: 3000 } },
      { server: { replicas: 0 } },
      { keda: { prometheusAddress: 'prometheus:9090' } },
      { networkPolicy: { except: ['fd00::/8'] } },
      { pods: { imagePullSecrets: ['registry'] } },
    ]) {
      expect(schema.safeParse(merged(lite, wrong)).success, JSON.stringify(wrong)).toBe(false);
    }
  });

  it('uses every value that it has, and says what a fleet needs', () => {
    const templates = filesBelow(`${CHART}templates`).map(readExample).join('\n');
    const unused = [...leavesOf(lite)]
      .map(([path]) => path.join('.'))
      .filter((path) => {
        const parts = path.split('.');
        return !parts.some(
          (__, length) =>
            (templates.includes(`.Values.${parts.slice(0, length + 1).join('.')}`) && length > 0) ||
            (parts.length === 1 && templates.includes(`.Values.${path}`)) ||
            templates.includes(`.Values.${parts[0]} `) ||
            templates.includes(`.Values.${parts.slice(0, 2).join('.')} `),
        );
      });
    expect(unused).toEqual([]);
    expect(() => textsOf(merged(full, { existingSecret: '' }))).toThrow(/mode full needs existingSecret/);
    expect(textsOf(full).get(`${CHART}templates/NOTES.txt`)).toContain('rollout status deployment/acme-server');
    expect(textsOf(lite).get(`${CHART}templates/NOTES.txt`)).toContain('logs deployment/acme-server');
  });
});

describe('the renderer', () => {
  const rendered = (text: string, values: object = {}): string | undefined =>
    renderChart(new Map([['a', text]]), { Values: values, Release: {}, Chart: {} }).get('a');

  it('trims, includes and decides as Go does', () => {
    expect(rendered('a\n  {{- if .Values.x }}\n  b\n  {{- else }}\n  c\n  {{- end }}\nd', { x: [] })).toBe('a\n  c\nd');
    expect(
      rendered('{{- define "t" -}}\nx: {{ .Values.x | quote }}\n{{- end }}y:\n  {{- include "t" . | nindent 2 }}', {
        x: 1,
      }),
    ).toBe('y:\n  x: "1"');
    expect(rendered('{{ range $k, $v := .Values.m }}{{ $k }}={{ $v }};{{ end }}', { m: { b: 1, a: 2 } })).toBe(
      'a=2;b=1;',
    );
    expect(rendered('{{ and (eq .Values.x "y") .Values.z | ternary "1" "2" }}', { x: 'y', z: true })).toBe('1');
  });

  it.each([
    '{{ .Values.y }}',
    '{{ lookup "v1" }}',
    '{{ if .Values.x }}',
    '{{ end }}',
    '{{ with .Values.x }}{{ end }}',
    'a {{ .Values.x',
    '{{ tpl .Values.x . }}',
  ])('refuses %s', (text) => {
    expect(() => rendered(text, { x: 'x' })).toThrow();
  });
});
