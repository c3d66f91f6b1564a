import type { Embedder } from '../../embeddings/index.ts';
import { AppError } from '../../kernel/index.ts';
import type { ChatModel, TokenCounter } from '../../llm/index.ts';
import type { VectorStore } from '../../vector-store/index.ts';
import { createLangChainChatModel, type LangChainChatModel, type MadeFor } from './chat-model.ts';
import { createLangChainEmbedder, type LangChainEmbeddings } from './embedder.ts';
import { type LoadedClass, LoadFault, loadClass } from './module-loader.ts';
import type { LangChainVectorStore } from './namespace-index.ts';
import {
  LANGCHAIN_PROVIDER,
  type LangChainChatModelPart,
  type LangChainEmbeddingsPart,
  type LangChainPart,
  type LangChainSettings,
  optionsWith,
} from './settings.ts';
import { createLangChainVectorStore, type LangChainVectorStoreOptions } from './vector-store.ts';

/** What the configuration names of LangChain.js, loaded and looked at. */
export interface LangChain {
  /** Throws `model_not_found` when the configuration has none of that name. */
  createChatModel(name: string): ChatModel;
  /** Throws `model_not_found` when the configuration has none of that name. */
  createEmbedder(name: string, parts: { readonly counter: TokenCounter }): Embedder;
  /** Throws `configuration_invalid` when the configuration has none. */
  createVectorStore(options: Omit<LangChainVectorStoreOptions, 'make'>): VectorStore;
}

/** What the constructors of LangChain's models call what a request may set. */
const OPTION_NAMES: Readonly<Record<keyof MadeFor, readonly string[]>> = {
  temperature: ['temperature'],
  topP: ['topP'],
  seed: ['seed'],
  presencePenalty: ['presencePenalty'],
  frequencyPenalty: ['frequencyPenalty'],
  reasoningEffort: ['reasoningEffort'],
  maxOutputTokens: ['maxTokens', 'maxOutputTokens', 'numPredict', 'maxCompletionTokens'],
};

/** A part with its class; made once, to see that it can be. */
interface Loaded<Part extends LangChainPart> {
  readonly part: Part;
  readonly construct: (...args: readonly unknown[]) => object;
  readonly type: LoadedClass;
}

/**
 * Loads every class that the configuration names and makes each once. Modules are looked for beside this server, then in the
 * folders. Rejects with one `configuration_invalid` that names every fault.
 */
export async function loadLangChain(settings: LangChainSettings, folders: readonly string[]): Promise<LangChain> {
  const faults: string[] = [];

  async function load<Part extends LangChainPart>(
    where: string,
    part: Part,
    check: (loaded: Loaded<Part>) => string | null,
  ): Promise<Loaded<Part> | null> {
    try {
      const type = await loadClass(part, folders);
      const loaded = { part, type, construct: (...args: readonly unknown[]) => Reflect.construct(type, [...args]) };
      const fault = check(loaded);
      if (fault !== null) throw new LoadFault(`${part.className} ${fault}`);
      return loaded;
    } catch (error) {
      const reason =
        error instanceof LoadFault ? error.message : `${part.className} refuses its options: ${firstLine(error)}`;
      faults.push(`LANGCHAIN_CONFIG: ${where}: ${withoutSecrets(reason, settings.secrets)}`);
      return null;
    }
  }

  const chatModels = new Map<string, Loaded<LangChainChatModelPart> | null>();
  for (const [name, part] of settings.chatModels) {
    chatModels.set(
      name,
      await load(`chat_models.${name}`, part, (loaded) => chatModelFault(makeChatModel(loaded, {}))),
    );
  }
  const embeddings = new Map<string, Loaded<LangChainEmbeddingsPart> | null>();
  for (const [name, part] of settings.embeddings) {
    embeddings.set(name, await load(`embeddings.${name}`, part, (loaded) => embeddingsFault(makeEmbeddings(loaded))));
  }
  const vectorStore =
    settings.vectorStore === null
      ? null
      : await load('vector_store', settings.vectorStore, ({ type }) => vectorStoreFault(type.prototype));
  if (faults.length > 0) {
    const list = faults.map((fault) => `  - ${fault}`).join('\n');
    throw new AppError(
      'configuration_invalid',
      `The configuration has ${faults.length} fault(s):\n${list}\nCorrect them and start again.`,
    );
  }
  return {
    createChatModel(name) {
      const loaded = chatModels.get(name) ?? null;
      if (loaded === null) throw unknownName(name, { kind: 'chat model', param: 'model' });
      return createLangChainChatModel({
        id: `${LANGCHAIN_PROVIDER}/${name}`,
        make: (made) => makeChatModel(loaded, made) as LangChainChatModel,
        requiresFinishReason: loaded.part.requiresFinishReason,
      });
    },
    createEmbedder(name, { counter }) {
      const loaded = embeddings.get(name) ?? null;
      if (loaded === null) throw unknownName(name, { kind: 'embedder', param: 'embedding_model' });
      const { version, maxTextsPerCall, fusionWeight } = loaded.part;
      return createLangChainEmbedder({
        id: `${LANGCHAIN_PROVIDER}/${name}`,
        ...{ version, maxTextsPerCall, fusionWeight, counter },
        embeddings: makeEmbeddings(loaded) as LangChainEmbeddings,
      });
    },
    createVectorStore(options) {
      if (vectorStore === null) {
        throw new AppError('configuration_invalid', 'VECTOR_STORE=langchain needs vector_store in LANGCHAIN_CONFIG.');
      }
      return createLangChainVectorStore({ ...options, make: (name) => makeVectorStore(vectorStore, name) });
    },
  };
}

/** Retries are made by the house, which sees them and has one budget for them; a class's own would add to these. */
function makeChatModel({ part, construct }: Loaded<LangChainChatModelPart>, made: MadeFor): object {
  const base = { maxRetries: 0, ...part.options };
  const model = construct(optionsWith(base, {}));
  const changes: Record<string, string | number> = {};
  for (const [setting, names] of Object.entries(OPTION_NAMES)) {
    const value = made[setting as keyof MadeFor];
    // A model that has no such setting is asked without it.
    const name = names.find((candidate) => candidate in model);
    if (value !== undefined && name !== undefined) changes[name] = value;
  }
  return Object.keys(changes).length === 0 ? model : construct(optionsWith(base, changes));
}

function makeEmbeddings({ part, construct }: Loaded<LangChainEmbeddingsPart>): object {
  return construct(optionsWith({ maxRetries: 0, ...part.options }, {}));
}

async function makeVectorStore(
  { part, type, construct }: Loaded<LangChainPart>,
  name: string,
): Promise<LangChainVectorStore> {
  const options = withName(part.options, name);
  for (const open of ['initialize', 'fromExistingIndex']) {
    const method: unknown = Reflect.get(type, open);
    if (typeof method === 'function') return Reflect.apply(method, type, [NO_EMBEDDINGS, options]);
  }
  return construct(NO_EMBEDDINGS, options) as LangChainVectorStore;
}

/** The options with `{namespace}` filled in wherever a text holds it. */
function withName(options: unknown, name: string): unknown {
  if (typeof options === 'string') return options.replaceAll('{namespace}', name);
  if (Array.isArray(options)) return options.map((item) => withName(item, name));
  if (typeof options !== 'object' || options === null) return options;
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [key, withName(value, name)]));
}

/** Stores are given vectors alone; one that asks for more is not used as it should be. */
const NO_EMBEDDINGS: LangChainEmbeddings = {
  embedDocuments: () => Promise.reject(new Error('This store is given vectors, not texts.')),
  embedQuery: () => Promise.reject(new Error('This store is given vectors, not texts.')),
};

function chatModelFault(made: object): string | null {
  return hasMethods(made, ['stream', 'invoke', '_llmType', '_generate'])
    ? null
    : 'is no chat model of LangChain.js (BaseChatModel)';
}

function embeddingsFault(made: object): string | null {
  return hasMethods(made, ['embedDocuments', 'embedQuery'])
    ? null
    : 'has no embedDocuments and embedQuery (Embeddings)';
}

function vectorStoreFault(prototype: unknown): string | null {
  return hasMethods(prototype, ['addVectors', 'similaritySearchVectorWithScore'])
    ? null
    : 'is no vector store of LangChain.js (VectorStore)';
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  const methods = value as Readonly<Record<string, unknown>>;
  return names.every((name) => typeof methods[name] === 'function');
}

function unknownName(name: string, { kind, param }: { readonly kind: string; readonly param: string }): AppError {
  return new AppError(
    'model_not_found',
    `The ${kind} "${LANGCHAIN_PROVIDER}/${name}" is not named in LANGCHAIN_CONFIG of this server.`,
    { param },
  );
}

function firstLine(error: unknown): string {
  const [line = ''] = (error instanceof Error ? error.message : String(error)).trim().split('\n');
  return line.slice(0, 300);
}

function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text);
}
