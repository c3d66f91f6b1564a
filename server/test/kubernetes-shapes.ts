import { z } from 'zod';

/**
 * What the objects of the chart may hold, by kind: the fields of their API versions as far as the chart uses them, written after the API reference of
 * Kubernetes 1.32, KEDA 2 and the Prometheus operator. Strict: a field that is misspelt or in the wrong place is refused, as an
 * API server does with `--validate=strict`.
 */
export function shapeOf(apiVersion: string, kind: string): z.ZodType | undefined {
  const spec = SPECS[`${apiVersion} ${kind}`];
  return spec && z.strictObject({ apiVersion: z.string(), kind: z.string(), metadata, spec });
}

const name = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
const qualified = z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/);
const labelValue = z.string().regex(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/);
const labels = z.record(qualified, labelValue);
const annotations = z.record(qualified, z.string());
const metadata = z.strictObject({ name, labels, annotations: annotations.optional() });
const matchLabels = z.strictObject({ matchLabels: labels });
const count = z.int().min(0);
const seconds = z.int().min(1);
const quantity = z.string().regex(/^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/);
const port = z.int().min(1).max(65_535);
const portName = z
  .string()
  .max(15)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
const cidr = z.string().regex(/^[0-9a-f.:]+\/\d+$/);
const resources = z.strictObject({
  requests: z.record(z.enum(['cpu', 'memory']), quantity).optional(),
  limits: z.partialRecord(z.enum(['cpu', 'memory']), quantity).optional(),
});

const probe = z.strictObject({
  httpGet: z.strictObject({ path: z.string().startsWith('/'), port: z.union([port, portName]) }),
  periodSeconds: seconds.optional(),
  timeoutSeconds: seconds.optional(),
  failureThreshold: seconds.optional(),
});

const container = z.strictObject({
  name,
  image: z.string().min(1),
  imagePullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
  args: z.array(z.string()),
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.boolean(),
    readOnlyRootFilesystem: z.boolean(),
    capabilities: z.strictObject({ drop: z.array(z.string()) }),
  }),
  ports: z.array(z.strictObject({ name: portName, containerPort: port })),
  envFrom: z.array(z.strictObject({ secretRef: z.strictObject({ name }) })).optional(),
  env: z.array(z.strictObject({ name: z.string().regex(/^[A-Z][A-Z0-9_]*$/), value: z.string() })),
  startupProbe: probe,
  livenessProbe: probe,
  readinessProbe: probe,
  resources,
  volumeMounts: z.array(z.strictObject({ name, mountPath: z.string().startsWith('/') })),
});

const pod = z.strictObject({
  automountServiceAccountToken: z.boolean(),
  enableServiceLinks: z.boolean(),
  securityContext: z.strictObject({
    runAsNonRoot: z.boolean(),
    runAsUser: count,
    runAsGroup: count,
    fsGroup: count,
    fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']),
    seccompProfile: z.strictObject({ type: z.enum(['RuntimeDefault', 'Unconfined']) }),
  }),
  imagePullSecrets: z.array(z.strictObject({ name })).optional(),
  nodeSelector: labels.optional(),
  tolerations: z
    .array(
      z.strictObject({
        key: z.string().optional(),
        operator: z.enum(['Exists', 'Equal']).optional(),
        value: z.string().optional(),
        effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
        tolerationSeconds: count.optional(),
      }),
    )
    .optional(),
  terminationGracePeriodSeconds: seconds,
  topologySpreadConstraints: z
    .array(
      z.strictObject({
        maxSkew: seconds,
        topologyKey: qualified,
        whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']),
        labelSelector: matchLabels,
      }),
    )
    .optional(),
  containers: z.array(container).length(1),
  volumes: z.array(
    z.union([
      z.strictObject({ name, emptyDir: z.strictObject({}) }),
      z.strictObject({ name, persistentVolumeClaim: z.strictObject({ claimName: name }) }),
    ]),
  ),
});

const strategy = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('Recreate') }),
  z.strictObject({
    type: z.literal('RollingUpdate'),
    rollingUpdate: z.strictObject({ maxUnavailable: count, maxSurge: count }),
  }),
]);

const target = z.strictObject({
  apiVersion: z.string().optional(),
  kind: z.string().optional(),
  name,
});

const policyPorts = z.array(
  z.strictObject({
    port: z.union([port, portName]),
    protocol: z.enum(['TCP', 'UDP', 'SCTP']).optional(),
  }),
);

const endpoint = z.strictObject({
  port: portName,
  path: z.string().startsWith('/'),
  interval: z.string().regex(/^\d+(ms|s|m|h)$/),
  authorization: z.strictObject({ credentials: z.strictObject({ name, key: z.string().min(1) }) }),
});

const SPECS: Readonly<Record<string, z.ZodType>> = {
  'apps/v1 Deployment': z.strictObject({
    replicas: count.optional(),
    strategy: strategy.optional(),
    selector: matchLabels,
    template: z.strictObject({
      metadata: z.strictObject({ labels, annotations: annotations.optional() }),
      spec: pod,
    }),
  }),
  'v1 Service': z.strictObject({
    type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).optional(),
    clusterIP: z.literal('None').optional(),
    selector: labels,
    ports: z.array(z.strictObject({ name: portName, port, targetPort: z.union([port, portName]) })),
  }),
  'v1 PersistentVolumeClaim': z.strictObject({
    accessModes: z.array(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadOnlyMany', 'ReadWriteOncePod'])),
    storageClassName: name.optional(),
    resources: z.strictObject({ requests: z.strictObject({ storage: quantity }) }),
  }),
  'networking.k8s.io/v1 Ingress': z.strictObject({
    ingressClassName: name,
    tls: z.array(z.strictObject({ hosts: z.array(z.string()), secretName: name })).optional(),
    rules: z.array(
      z.strictObject({
        host: z.string(),
        http: z.strictObject({
          paths: z.array(
            z.strictObject({
              path: z.string().startsWith('/'),
              pathType: z.enum(['Prefix', 'Exact', 'ImplementationSpecific']),
              backend: z.strictObject({
                service: z.strictObject({ name, port: z.strictObject({ name: portName }) }),
              }),
            }),
          ),
        }),
      }),
    ),
  }),
  'networking.k8s.io/v1 NetworkPolicy': z.strictObject({
    podSelector: matchLabels,
    policyTypes: z.array(z.enum(['Ingress', 'Egress'])),
    ingress: z.array(
      z.strictObject({ ports: policyPorts, from: z.array(z.record(z.string(), z.unknown())).optional() }),
    ),
    egress: z.array(
      z.strictObject({
        ports: policyPorts.optional(),
        to: z.array(z.strictObject({ ipBlock: z.strictObject({ cidr, except: z.array(cidr).optional() }) })).optional(),
      }),
    ),
  }),
  'autoscaling/v2 HorizontalPodAutoscaler': z.strictObject({
    scaleTargetRef: target.required(),
    minReplicas: seconds,
    maxReplicas: seconds,
    metrics: z.array(
      z.strictObject({
        type: z.literal('Pods'),
        pods: z.strictObject({
          metric: z.strictObject({ name: z.string() }),
          target: z.strictObject({ type: z.literal('AverageValue'), averageValue: quantity }),
        }),
      }),
    ),
    behavior: z.strictObject({
      scaleDown: z.strictObject({
        stabilizationWindowSeconds: z.int().min(0).max(3600),
        policies: z.array(
          z.strictObject({
            type: z.enum(['Pods', 'Percent']),
            value: seconds,
            periodSeconds: z.int().min(1).max(1800),
          }),
        ),
      }),
    }),
  }),
  'policy/v1 PodDisruptionBudget': z.strictObject({ maxUnavailable: count, selector: matchLabels }),
  'keda.sh/v1alpha1 ScaledObject': z.strictObject({
    scaleTargetRef: target,
    minReplicaCount: count,
    maxReplicaCount: seconds,
    pollingInterval: seconds,
    cooldownPeriod: count,
    fallback: z.strictObject({ failureThreshold: count, replicas: count }),
    triggers: z.array(
      z.strictObject({
        type: z.literal('prometheus'),
        // KEDA takes texts alone here.
        metadata: z.strictObject({ serverAddress: z.url(), query: z.string(), threshold: z.string() }),
      }),
    ),
  }),
  'monitoring.coreos.com/v1 ServiceMonitor': z.strictObject({
    selector: matchLabels,
    jobLabel: qualified,
    endpoints: z.array(endpoint).min(1),
  }),
};
