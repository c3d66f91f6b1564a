import type { Generated } from 'kysely';

export interface UsageTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string | null;
  key_id: string | null;
  end_user: string | null;
  conversation_id: string | null;
  answer_id: string | null;
  kind: string;
  model: string;
  key_fingerprint: string | null;
  input_tokens: number;
  cached_input_tokens: Generated<number>;
  output_tokens: number;
  usage_source: Generated<string>;
  outcome: string;
  error_code: string | null;
  /** `exact` or `semantic`: answered from a cache. */
  cache: string | null;
  calls: Generated<number>;
  requests: Generated<number>;
  /** In 1e-9 US dollars. */
  cost_nano_usd: number | null;
  price_id: string | null;
  prompt_version: string | null;
  first_token_ms: number | null;
  duration_ms: number;
  created_at: number;
}

/** Prices that rows were charged by. Rows never change. */
export interface UsagePricesTable {
  id: string;
  price_json: string;
}
