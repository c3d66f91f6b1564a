import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { LangChainPart, LangChainSettings } from '../adapters/langchain/index.ts';
import type { JsonObject, JsonValue } from '../kernel/index.ts';
import type { ModelId } from '../llm/index.ts';

/** The command line reads the configuration too, so nothing of an adapter is loaded for it. */
const LANGCHAIN = 'langchain';

const part = {
  module: z.string().min(1).max(500),
  class: z.string().min(1).max(200),
  options: z.record(z.string(), z.json()).default({}),
};
const name = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/i, { error: 'must be letters, digits, dots and dashes' });

const fileSchema = z.strictObject({
  chat_models: z
    .record(name, z.strictObject({ ...part, requires_finish_reason: z.boolean().nullable().default(null) }))
    .default({}),
  embeddings: z
    .record(
      name,
      z.strictObject({
        ...part,
        max_texts_per_call: z.number().int().min(1).max(2048).default(256),
        fusion_weight: z.number().min(0).max(1).default(0.6),
        version: z
          .string()
          .regex(/^[a-z0-9._-]{1,32}$/i, { error: 'must be letters, digits, dots and dashes' })
          .optional(),
      }),
    )
    .default({}),
  vector_store: z.strictObject(part).nullable().default(null),
});

type WirePart = z.infer<z.ZodObject<typeof part>>;

const NOTHING: LangChainSettings = { chatModels: new Map(), embeddings: new Map(), vectorStore: null, secrets: [] };

/**
 * Reads `LANGCHAIN_CONFIG`: JSON, or the path of a file with it. `{"env": "NAME"}` among the options stands for that variable of
 * the environment. Faults name the place and what to do, never a value.
 */
export function readLangChainSettings(
  given: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly settings: LangChainSettings; readonly faults: readonly string[] } {
  if (given === undefined) return { settings: NOTHING, faults: [] };
  const fail = (...faults: readonly string[]) => ({
    settings: NOTHING,
    faults: faults.map((fault) => `LANGCHAIN_CONFIG${fault}`),
  });
  let text = given;
  if (!given.trimStart().startsWith('{')) {
    try {
      text = readFileSync(given, 'utf8');
    } catch {
      return fail(': the file cannot be read; name a JSON file, or put the JSON itself here');
    }
  }
  const json = parse(text);
  if (json === undefined) return fail(': is no valid JSON');
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    return fail(
      ...parsed.error.issues.map(
        ({ path, message }) => `${path.length === 0 ? '' : `: ${path.join('.')}`}: ${message}`,
      ),
    );
  }
  const secrets: string[] = [];
  const missing: string[] = [];
  const partOf = (where: string, wire: WirePart): LangChainPart => ({
    module: wire.module,
    className: wire.class,
    options: filled(wire.options as JsonObject, (variable) => {
      const value = environment[variable] ?? '';
      if (value === '') missing.push(`: ${where}: the environment has no ${variable}; set it`);
      else secrets.push(value);
      return value;
    }) as JsonObject,
  });
  const { chat_models, embeddings, vector_store } = parsed.data;
  const settings: LangChainSettings = {
    chatModels: mapped(chat_models, (key, wire) => ({
      ...partOf(`chat_models.${key}`, wire),
      requiresFinishReason: wire.requires_finish_reason,
    })),
    embeddings: mapped(embeddings, (key, wire) => ({
      ...partOf(`embeddings.${key}`, wire),
      maxTextsPerCall: wire.max_texts_per_call,
      fusionWeight: wire.fusion_weight,
      version: wire.version ?? versionOf(wire),
    })),
    vectorStore: vector_store === null ? null : partOf('vector_store', vector_store),
    secrets,
  };
  return missing.length > 0 ? fail(...missing) : { settings, faults: [] };
}

/** Faults of settings that name what `LANGCHAIN_CONFIG` does not have. */
export function namesNotIn(
  settings: LangChainSettings,
  named: { readonly chatModel: ModelId; readonly embeddingModel: ModelId; readonly vectorStore: string },
): string[] {
  const { chatModel, embeddingModel, vectorStore } = named;
  const faults: string[] = [];
  if (chatModel.provider === LANGCHAIN && !settings.chatModels.has(chatModel.model)) {
    faults.push(`CHAT_MODEL: LANGCHAIN_CONFIG has no chat_models.${chatModel.model}`);
  }
  if (embeddingModel.provider === LANGCHAIN && !settings.embeddings.has(embeddingModel.model)) {
    faults.push(`EMBEDDING_MODEL: LANGCHAIN_CONFIG has no embeddings.${embeddingModel.model}`);
  }
  if (vectorStore === LANGCHAIN && settings.vectorStore === null) {
    faults.push('VECTOR_STORE=langchain needs vector_store in LANGCHAIN_CONFIG');
  }
  return faults;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function mapped<Wire, Item>(
  items: Readonly<Record<string, Wire>>,
  map: (name: string, wire: Wire) => Item,
): ReadonlyMap<string, Item> {
  return new Map(Object.entries(items).map(([key, wire]) => [key, map(key, wire)]));
}

function filled(value: JsonValue, read: (variable: string) => string): JsonValue {
  if (Array.isArray(value)) return value.map((item: JsonValue) => filled(item, read));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value);
  const [first] = entries;
  if (entries.length === 1 && first?.[0] === 'env' && typeof first[1] === 'string') return read(first[1]);
  return Object.fromEntries(entries.map(([key, item]) => [key, filled(item, read)]));
}

/** Of what is written, so that another key of the same account is the same class. */
function versionOf({ module, class: className, options }: WirePart): string {
  const text = JSON.stringify([module, className, options]);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}
