import { accessSync, constants, statSync } from 'node:fs';
import { z } from 'zod';
import { answerCacheEnvironment } from './answer-cache-config.ts';
import { blobEnvironment } from './blob-config.ts';
import { databaseEnvironment } from './database-config.ts';
import { oneOf, wholeNumber } from './environment-values.ts';
import { pineconeEnvironment } from './pinecone-config.ts';
import { queueEnvironment } from './queue-config.ts';
import { redisEnvironment } from './redis-config.ts';
import { roleEnvironment } from './role-config.ts';

const HOSTS = 'must be hosts, as wiki.corp.example or 10.0.0.5:8080, with commas in between and without http://';
const HOST = /^(?:[\w.-]+|\[[0-9a-f:.]+\]|[0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*)(?::\d{1,5})?$/i;

function areHosts(list: string): boolean {
  return list.split(',').every((name) => name.trim() === '' || HOST.test(name.trim()));
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const milliseconds = (fallback: number) => wholeNumber(1, 3_600_000).default(fallback);

/** Every name that the process reads but those of providers and of parts of LangChain. */
export const environmentSchema = z.object({
  PORT: wholeNumber(0, 65_535).default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  CHATSPHERE_DATA_DIR: z.string().min(1).default('./data'),
  CHATSPHERE_ADMIN_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  CHATSPHERE_SECRET: z.string().min(32, 'must have at least 32 characters').optional(),
  CHAT_MODEL: z.string().optional(),
  CHAT_MODEL_FALLBACKS: z.string().optional(),
  CHAT_MODEL_CHEAPER: z.string().optional(),
  EMBEDDING_MODEL: z.string().optional(),
  EMBEDDING_FOLLOWER: oneOf(['off', 'local/use-lite']).optional(),
  EMBEDDING_DIMENSIONS: wholeNumber(1, 4096).optional(),
  LLM_CONNECT_TIMEOUT_MS: milliseconds(5000),
  LLM_FIRST_TOKEN_TIMEOUT_MS: milliseconds(20_000),
  LLM_IDLE_TOKEN_TIMEOUT_MS: milliseconds(15_000),
  LLM_TOTAL_TIMEOUT_MS: milliseconds(120_000),
  MODEL_PRICES_FILE: z.string().refine(isReadable, { error: 'must be a file that can be read' }).optional(),
  STREAM_KEEP_MS: wholeNumber(0, 86_400_000).default(300_000),
  STREAM_RESUME_GRACE_MS: wholeNumber(0, 3_600_000).default(30_000),
  DRAIN_TIMEOUT_MS: wholeNumber(0, 3_600_000).default(10_000),
  LLM_HEDGE_AFTER_MS: z
    .union([oneOf(['off', 'p95']), wholeNumber(1, 3_600_000)], {
      error: 'must be off, p95 or a whole number of milliseconds from 1 to 3600000',
    })
    .default('off'),
  MAX_UPLOAD_BYTES: wholeNumber(1024, 10 * 1024 ** 3).default(100 * 1024 ** 2),
  ...answerCacheEnvironment,
  LANGCHAIN_CONFIG: z.string().optional(),
  CHUNKING_MODULES: z.string().optional(),
  CRAWL_ALLOW_PRIVATE_HOSTS: z.string().refine(areHosts, { error: HOSTS }).default(''),
  LOG_LEVEL: oneOf(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
  ...databaseEnvironment,
  ...redisEnvironment,
  ...roleEnvironment,
  ...blobEnvironment,
  ...pineconeEnvironment,
  VECTOR_STORE: oneOf(['auto', 'embedded', 'langchain', 'pinecone', 'pgvector']).default('auto'),
  ...queueEnvironment,
});

export type Environment = z.infer<typeof environmentSchema>;
