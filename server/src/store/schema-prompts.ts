import type { Generated } from 'kysely';

export interface PromptVersionsTable {
  number: Generated<number>;
  id: string;
  tenant_id: string;
  bot_id: string;
  version: string;
  prompt_json: string;
  created_at: number;
  chosen_at: number;
}
