import { z } from 'zod';
import type { PineconeSettings } from '../adapters/pinecone/index.ts';
import { oneOf } from './environment-values.ts';

const PINECONE = 'pinecone';

/** The settings of Pinecone, for the schema of the environment. */
export const pineconeEnvironment = {
  PINECONE_API_KEY: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must have no spaces and no letters beyond ASCII')
    .optional(),
  PINECONE_INDEX: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,37}[a-z0-9])?$/, 'must have 1 to 39 lower-case letters, digits or dashes')
    .default('chatsphere'),
  PINECONE_HOST: z.string().refine(isAddress, { error: 'must be the address of an index' }).optional(),
  PINECONE_CONTROLLER_HOST: z.string().refine(isAddress, { error: 'must be an address' }).optional(),
  PINECONE_CLOUD: oneOf(['aws', 'gcp', 'azure']).default('aws'),
  PINECONE_REGION: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'must be a region such as us-east-1')
    .default('us-east-1'),
  PINECONE_METRIC: oneOf(['cosine', 'dotproduct']).optional(),
  PINECONE_SPARSE: oneOf(['on', 'off']).default('off'),
  /** A switch of the SDK that writes the key to the terminal. */
  PINECONE_DEBUG_CURL: z.undefined({ error: 'would print the API key with every call. Unset it' }).optional(),
};

type PineconeEnvironment = z.infer<z.ZodObject<typeof pineconeEnvironment>> & { readonly VECTOR_STORE: string };

/** Null: vectors are not at Pinecone. */
export function pineconeSettingsOf(environment: PineconeEnvironment): PineconeSettings | null {
  const { PINECONE_API_KEY: apiKey, PINECONE_HOST: host, PINECONE_CONTROLLER_HOST: controller } = environment;
  if (environment.VECTOR_STORE !== PINECONE || apiKey === undefined) return null;
  const sparse = environment.PINECONE_SPARSE === 'on';
  return {
    apiKey,
    index: environment.PINECONE_INDEX,
    host: host === undefined ? null : withScheme(host),
    controllerHost: controller === undefined ? null : withScheme(controller),
    cloud: environment.PINECONE_CLOUD,
    region: environment.PINECONE_REGION,
    metric: environment.PINECONE_METRIC ?? (sparse ? 'dotproduct' : 'cosine'),
    sparse,
  };
}

/** Faults of settings that do not go together. */
export function pineconeFaults(environment: PineconeEnvironment): string[] {
  if (environment.VECTOR_STORE !== PINECONE) return [];
  const faults: string[] = [];
  if (environment.PINECONE_API_KEY === undefined) faults.push('VECTOR_STORE=pinecone needs PINECONE_API_KEY');
  if (environment.PINECONE_SPARSE === 'on' && environment.PINECONE_METRIC === 'cosine') {
    faults.push('PINECONE_METRIC must be dotproduct with PINECONE_SPARSE=on');
  }
  return faults;
}

function isAddress(text: string): boolean {
  try {
    const { protocol, username, password, pathname, search } = new URL(withScheme(text));
    return ['http:', 'https:'].includes(protocol) && `${username}${password}${search}` === '' && pathname === '/';
  } catch {
    return false;
  }
}

/** Without a slash at its end. */
function withScheme(address: string): string {
  return (/^[a-z]+:\/\//i.test(address) ? address : `https://${address}`).replace(/\/+$/, '');
}
