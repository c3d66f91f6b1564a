import { type PineconeSettings, Refusal } from './standin-faults.ts';
import { StandinNamespace, type StandinRecord } from './standin-namespace.ts';
import type { Answer, PineconeRequest, StandinIndex } from './standin-shapes.ts';

const MOST_REQUEST_BYTES = 2 * 1024 ** 2;
const MOST_METADATA_BYTES = 40 * 1024;
const MOST_ID_BYTES = 512;
const MOST_RECORDS = 1000;
const MOST_LISTED = 100;
const MOST_TOP_K = 10_000;

type Body = Readonly<Record<string, unknown>>;

/** The routes of one index. */
export function answerData(call: PineconeRequest, index: StandinIndex, settings: PineconeSettings): Answer {
  const { method, path, body, query, bytes } = call;
  const name = String(body['namespace'] ?? query.get('namespace') ?? '');
  const space = index.namespaces.get(name) ?? new StandinNamespace();
  const sent = (lsn: number, header: string): Record<string, string> =>
    settings.sendsLsn ? { [header]: String(lsn) } : {};
  const written = (lsn: number, json: object): Answer => {
    index.namespaces.set(name, space);
    return { status: 200, headers: sent(lsn, 'x-pinecone-request-lsn'), json };
  };
  const read = (make: (records: ReadonlyMap<string, StandinRecord>) => object): Answer => {
    const { records, lsn } = space.read(settings);
    return { status: 200, headers: sent(lsn, 'x-pinecone-max-indexed-lsn'), json: make(records) };
  };
  switch (`${method} ${path}`) {
    case 'POST /vectors/upsert': {
      if (bytes > MOST_REQUEST_BYTES) throw new Refusal(413, 'Request size exceeds the maximum supported size of 2MB');
      const records = recordsIn(body, index);
      return written(
        space.write(settings, (known) => {
          for (const record of records) known.set(record.id, record);
        }),
        { upsertedCount: records.length },
      );
    }
    case 'POST /query':
      return read((records) => ({
        matches: matchesOf(body, index, records),
        namespace: name,
        usage: { readUnits: 1 },
      }));
    case 'GET /vectors/fetch': {
      const ids = query.getAll('ids');
      if (ids.length > MOST_RECORDS) throw new Refusal(400, 'Too many ids');
      return read((records) => ({
        vectors: Object.fromEntries(ids.flatMap((id) => (records.has(id) ? [[id, records.get(id)]] : []))),
        namespace: name,
        usage: { readUnits: 1 },
      }));
    }
    case 'GET /vectors/list':
      return read((records) => pageOf(query, [...records.keys()].sort()));
    case 'POST /vectors/delete': {
      if (body['filter'] !== undefined) {
        throw new Refusal(400, 'Serverless and Starter indexes do not support deleting with metadata filtering');
      }
      if (body['deleteAll'] === true) {
        if (!index.namespaces.has(name)) throw new Refusal(404, 'Namespace not found');
        return written(
          space.write(settings, (known) => known.clear()),
          {},
        );
      }
      const ids = stringsIn(body['ids']);
      if (ids.length === 0 || ids.length > MOST_RECORDS) throw new Refusal(400, 'ids must hold 1 to 1000 ids');
      return written(
        space.write(settings, (known) => {
          for (const id of ids) known.delete(id);
        }),
        {},
      );
    }
    case 'POST /vectors/update': {
      const id = String(body['id']);
      const values = body['values'] as readonly number[] | undefined;
      return written(
        space.write(settings, (known) => {
          const record = known.get(id);
          if (record !== undefined) known.set(id, { ...record, ...(values === undefined ? {} : { values }) });
        }),
        {},
      );
    }
    case 'POST /describe_index_stats':
    case 'GET /describe_index_stats':
      return { status: 200, json: statsOf(index, settings) };
    default:
      throw new Refusal(404, `No such route ${path}`);
  }
}

function statsOf(index: StandinIndex, settings: PineconeSettings): object {
  const counts = [...index.namespaces].map(([name, space]) => [name, space.read(settings).records.size] as const);
  return {
    namespaces: Object.fromEntries(
      counts.filter(([, count]) => count > 0).map(([name, vectorCount]) => [name, { vectorCount }]),
    ),
    dimension: index.dimension,
    indexFullness: 0,
    totalVectorCount: counts.reduce((sum, [, count]) => sum + count, 0),
    metric: index.metric,
    vectorType: index.vectorType,
  };
}

function recordsIn(body: Body, index: StandinIndex): readonly StandinRecord[] {
  const vectors = Array.isArray(body['vectors']) ? (body['vectors'] as readonly Body[]) : [];
  if (vectors.length === 0 || vectors.length > MOST_RECORDS) {
    throw new Refusal(400, `The number of vectors must be between 1 and ${MOST_RECORDS}`);
  }
  return vectors.map((vector) => {
    const id = vector['id'];
    if (typeof id !== 'string' || id === '' || Buffer.byteLength(id) > MOST_ID_BYTES || /[^\x20-\x7e]/.test(id)) {
      throw new Refusal(400, 'Vector ID must be ASCII and at most 512 characters');
    }
    const values = numbersIn(vector['values']);
    if (values.length !== index.dimension) {
      throw new Refusal(
        400,
        `Vector dimension ${values.length} does not match the dimension of the index ${index.dimension}`,
      );
    }
    if (values.every((value) => value === 0)) {
      throw new Refusal(400, 'Dense vectors must contain at least one non-zero value');
    }
    return { id, values, sparseValues: sparseIn(vector['sparseValues']), metadata: metadataIn(vector['metadata']) };
  });
}

function metadataIn(metadata: unknown): Readonly<Record<string, unknown>> {
  const fields = (metadata ?? {}) as Record<string, unknown>;
  if (Buffer.byteLength(JSON.stringify(fields)) > MOST_METADATA_BYTES) {
    throw new Refusal(400, 'Metadata size exceeds the limit of 40960 bytes per vector');
  }
  for (const [name, value] of Object.entries(fields)) {
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string');
    if (!['string', 'number', 'boolean'].includes(typeof value) && !isList) {
      throw new Refusal(400, `Metadata value of ${name} must be a string, number, boolean or list of strings`);
    }
  }
  return fields;
}

function sparseIn(given: unknown): StandinRecord['sparseValues'] {
  if (given === undefined || given === null) return null;
  const { indices, values } = given as { readonly indices?: unknown; readonly values?: unknown };
  const places = numbersIn(indices);
  const weights = numbersIn(values);
  if (places.length !== weights.length) throw new Refusal(400, 'Sparse indices and values must have the same length');
  if (places.length > 1000) throw new Refusal(400, 'Sparse vector size exceeds the maximum of 1000');
  if (new Set(places).size !== places.length)
    throw new Refusal(400, 'Sparse vector must not contain duplicate indices');
  if (places.some((place) => !Number.isInteger(place) || place < 0 || place > 2 ** 32 - 1)) {
    throw new Refusal(400, 'Sparse indices must be unsigned 32-bit integers');
  }
  if (weights.some((weight) => weight === 0)) throw new Refusal(400, 'Sparse vector must not contain zero values');
  return { indices: places, values: weights };
}

function matchesOf(body: Body, index: StandinIndex, records: ReadonlyMap<string, StandinRecord>): object[] {
  const vector = numbersIn(body['vector']);
  const topK = Number(body['topK']);
  const sparse = sparseIn(body['sparseVector']);
  if (!Number.isInteger(topK) || topK < 1 || topK > MOST_TOP_K) throw new Refusal(400, 'topK must be 1 to 10000');
  if (vector.length !== index.dimension) {
    throw new Refusal(
      400,
      `Query vector dimension ${vector.length} does not match the dimension of the index ${index.dimension}`,
    );
  }
  if (sparse !== null && index.metric !== 'dotproduct') {
    throw new Refusal(400, 'Index configuration does not support sparse values; only dotproduct does');
  }
  const scored = [...records.values()]
    .filter(({ metadata }) => passes(metadata, body['filter']))
    .map((record) => ({ record, score: scoreOf(record, { vector, sparse, metric: index.metric }) }))
    .sort((one, other) => other.score - one.score);
  return scored.slice(0, topK).map(({ record, score }) => ({
    id: record.id,
    score,
    values: body['includeValues'] === true ? record.values : [],
    ...(body['includeMetadata'] === true ? { metadata: record.metadata } : {}),
  }));
}

function scoreOf(
  record: StandinRecord,
  query: {
    readonly vector: readonly number[];
    readonly sparse: StandinRecord['sparseValues'];
    readonly metric: string;
  },
): number {
  const product = dot(record.values, query.vector);
  if (query.metric === 'cosine')
    return product / Math.sqrt(dot(record.values, record.values) * dot(query.vector, query.vector));
  const weights = new Map(query.sparse?.indices.map((place, at) => [place, query.sparse?.values[at] ?? 0]));
  const words = record.sparseValues?.indices.map(
    (place, at) => (weights.get(place) ?? 0) * (record.sparseValues?.values[at] ?? 0),
  );
  return product + (words ?? []).reduce((sum, value) => sum + value, 0);
}

function dot(one: readonly number[], other: readonly number[]): number {
  return one.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
}

/** `$eq` and `$in`, which is what is used. */
function passes(metadata: Readonly<Record<string, unknown>>, filter: unknown): boolean {
  return Object.entries((filter ?? {}) as Body).every(([field, condition]) => {
    const { $in, $eq } = condition as { readonly $in?: readonly unknown[]; readonly $eq?: unknown };
    if ($in !== undefined) {
      if ($in.length > 10_000) throw new Refusal(400, '$in supports at most 10000 values');
      return $in.includes(metadata[field]);
    }
    if ($eq !== undefined) return metadata[field] === $eq;
    throw new Refusal(400, `Unknown filter on ${field}`);
  });
}

/** Ids in bitwise order, with a token for the next page while there is one. */
function pageOf(query: URLSearchParams, sorted: readonly string[]): object {
  const prefix = query.get('prefix') ?? '';
  const limit = Number(query.get('limit') ?? MOST_LISTED);
  if (!(limit >= 1 && limit <= MOST_LISTED)) throw new Refusal(400, 'limit must be 1 to 100');
  const token = query.get('paginationToken');
  const after = token === null ? '' : Buffer.from(token, 'base64').toString();
  const ids = sorted.filter((id) => id.startsWith(prefix) && id > after);
  const page = ids.slice(0, limit);
  const next = ids.length > limit ? { pagination: { next: Buffer.from(page.at(-1) ?? '').toString('base64') } } : {};
  return {
    vectors: page.map((id) => ({ id })),
    ...next,
    namespace: query.get('namespace') ?? '',
    usage: { readUnits: 1 },
  };
}

function stringsIn(given: unknown): readonly string[] {
  return Array.isArray(given) ? given.map(String) : [];
}

function numbersIn(given: unknown): readonly number[] {
  if (!Array.isArray(given)) return [];
  if (given.some((value) => typeof value !== 'number')) throw new Refusal(400, 'Values must be numbers');
  return given as readonly number[];
}
