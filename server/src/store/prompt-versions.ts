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
  return {
    async keep({ id, botId, version, prompt, chosenAt }) {
      const row = {
        id,
        bot_id: botId,
        version,
        prompt_json: writeJson(prompt),
        created_at: chosenAt,
        chosen_at: chosenAt,
      };
      try {
        await scope
          .insert('prompt_versions', [row])
          .onConflict((conflict) =>
            conflict
              .columns(['tenant_id', 'bot_id', 'version'])
              .doUpdateSet({ chosen_at: chosenAt })
              .where('prompt_versions.chosen_at', '<', chosenAt),
          )
          .execute();
      } catch (error) {
        if (!scope.dialect.isMissingParent(error)) throw error;
        throw new AppError('bot_not_found', 'There is no such bot.', { cause: error });
      }
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
