import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { PromptSetting } from './entities.ts';
import { readJson, writeJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { PromptVersion, PromptVersionRepository } from './prompt-ports.ts';
import type { PromptVersionsTable } from './schema-prompts.ts';
import type { TenantScope } from './tenant-scope.ts';

const MOST_KEPT = 200;

export function createPromptVersionRepository(scope: TenantScope): PromptVersionRepository {
  const versions = () => scope.select('prompt_versions').selectAll('prompt_versions');
  async function ofBot(write: () => Promise<unknown>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (!scope.dialect.isMissingParent(error)) throw error;
      throw new AppError('bot_not_found', 'There is no such bot.', { cause: error });
    }
  }
  return {
    async keep(kept) {
      const { botId, chosenAt } = kept;
      await ofBot(() =>
        scope
          .insert('prompt_versions', [toRow({ ...kept, createdAt: chosenAt })])
          .onConflict((conflict) =>
            conflict
              .columns(['tenant_id', 'bot_id', 'version'])
              .doUpdateSet({ chosen_at: chosenAt })
              .where('prompt_versions.chosen_at', '<', chosenAt),
          )
          .execute(),
      );
      const old = await scope
        .select('prompt_versions')
        .select('id')
        .where('bot_id', '=', botId)
        .orderBy('chosen_at', 'desc')
        .orderBy('number', 'desc')
        .limit(MOST_KEPT)
        .offset(MOST_KEPT)
        .execute();
      const ids = old.map((each) => each.id);
      if (ids.length > 0) await scope.delete('prompt_versions').where('id', 'in', ids).execute();
    },
    async takeOver(botId, taken) {
      if (taken.length === 0) return;
      const rows = taken.slice(0, MOST_KEPT).map((each) => toRow({ ...each, botId }));
      await ofBot(() =>
        scope
          .insert('prompt_versions', rows)
          .onConflict((conflict) => conflict.columns(['tenant_id', 'bot_id', 'version']).doNothing())
          .execute(),
      );
    },
    async get(botId, version) {
      const row = await versions().where('bot_id', '=', botId).where('version', '=', version).executeTakeFirst();
      return row === undefined ? null : toVersion(row);
    },
    list: (botId, page) =>
      fetchTenantPage(scope, versions().where('bot_id', '=', botId), {
        table: 'prompt_versions',
        page,
        toItem: toVersion,
      }),
  };
}

function toRow({ id, botId, version, prompt, createdAt, chosenAt }: PromptVersion) {
  const prompt_json = writeJson(prompt);
  return { id, bot_id: botId, version, prompt_json, created_at: createdAt, chosen_at: chosenAt };
}

function toVersion(row: Selectable<PromptVersionsTable>): PromptVersion {
  return {
    id: row.id,
    botId: row.bot_id,
    version: row.version,
    prompt: readJson<PromptSetting>(row.prompt_json),
    createdAt: row.created_at,
    chosenAt: row.chosen_at,
  };
}
