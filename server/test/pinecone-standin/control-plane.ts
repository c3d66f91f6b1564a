import { type PineconeSettings, Refusal } from './standin-faults.ts';
import type { Answer, PineconeRequest, StandinIndex } from './standin-shapes.ts';

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,43}[a-z0-9])?$/;
const CLOUDS = ['aws', 'gcp', 'azure'];

/** `/indexes` and `/indexes/{name}`. */
export async function answerControl(
  { method, path, body }: PineconeRequest,
  house: {
    readonly settings: PineconeSettings;
    readonly indexes: Map<string, StandinIndex>;
    readonly open: (index: StandinIndex) => Promise<string>;
  },
): Promise<Answer> {
  const { indexes, settings } = house;
  const [, root, name, ...more] = path.split('/');
  if (root !== 'indexes' || more.length > 0) throw new Refusal(404, `No such route ${path}`);
  if (name === undefined) {
    if (method === 'GET') {
      return { status: 200, json: { indexes: [...indexes.values()].map((index) => describe(index, settings)) } };
    }
    if (method !== 'POST') throw new Refusal(405, 'Method not allowed');
    const index = newIndex(body);
    if (indexes.has(index.name)) throw new Refusal(409, `Resource  already exists`);
    indexes.set(index.name, index);
    index.host = await house.open(index);
    return { status: 201, json: describe(index, settings) };
  }
  const index = indexes.get(decodeURIComponent(name));
  if (index === undefined) throw new Refusal(404, `Resource ${name} not found`);
  switch (method) {
    case 'GET':
      index.describes += 1;
      return { status: 200, json: describe(index, settings) };
    case 'PATCH':
      if (typeof body['deletion_protection'] === 'string') index.deletionProtection = body['deletion_protection'];
      if (isTags(body['tags'])) index.tags = { ...index.tags, ...body['tags'] };
      return { status: 202, json: describe(index, settings) };
    case 'DELETE':
      if (index.deletionProtection === 'enabled') throw new Refusal(403, 'Deletion protection is enabled');
      indexes.delete(index.name);
      return { status: 202, json: null };
    default:
      throw new Refusal(405, 'Method not allowed');
  }
}

function describe(index: StandinIndex, { readyAfterDescribes }: PineconeSettings): object {
  const ready = index.describes >= readyAfterDescribes;
  return {
    name: index.name,
    vector_type: index.vectorType,
    metric: index.metric,
    dimension: index.dimension,
    status: { ready, state: ready ? 'Ready' : 'Initializing' },
    host: index.host,
    spec: { serverless: { region: index.region, cloud: index.cloud } },
    deletion_protection: index.deletionProtection,
    tags: index.tags,
  };
}

function newIndex(body: Readonly<Record<string, unknown>>): StandinIndex {
  const { name, dimension, metric = 'cosine', vector_type: vectorType = 'dense', tags = null } = body;
  const spec = body['spec'] as { readonly serverless?: { readonly cloud?: unknown; readonly region?: unknown } };
  const serverless = spec?.serverless;
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new Refusal(400, 'Name must consist of lower case alphanumeric characters or -');
  }
  if (typeof dimension !== 'number' || !Number.isInteger(dimension) || dimension < 1 || dimension > 20_000) {
    throw new Refusal(400, 'Dimension must be between 1 and 20000');
  }
  if (!['cosine', 'dotproduct', 'euclidean'].includes(String(metric))) throw new Refusal(400, 'Unknown metric');
  if (serverless === undefined || !CLOUDS.includes(String(serverless.cloud)) || !serverless.region) {
    throw new Refusal(400, 'spec.serverless needs a cloud and a region');
  }
  return {
    name,
    dimension,
    metric: String(metric),
    vectorType: String(vectorType),
    cloud: String(serverless.cloud),
    region: String(serverless.region),
    namespaces: new Map(),
    host: '',
    tags: isTags(tags) ? tags : null,
    deletionProtection: String(body['deletion_protection'] ?? 'disabled'),
    describes: 0,
  };
}

function isTags(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null;
}
