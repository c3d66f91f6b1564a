import type { Selectable } from 'kysely';
import { AppError } from '../kernel/index.ts';
import type { GoldenExpectation, GoldenQuestion } from './generation-entities.ts';
import type { GoldenQuestionRepository } from './generation-ports.ts';
import { readJson, writeJson } from './json-columns.ts';
import { fetchTenantPage } from './paging.ts';
import type { GoldenQuestionsTable } from './schema-generations.ts';
import type { TenantScope } from './tenant-scope.ts';

export function createGoldenQuestionRepository(scope: TenantScope): GoldenQuestionRepository {
  const questions = () => scope.select('golden_questions').selectAll('golden_questions');
  return {
    async create({ id, botId, question, expected, createdAt }) {
      try {
        await scope
          .insert('golden_questions', [
            { id, bot_id: botId, question, expected_json: writeJson(expected), created_at: createdAt },
          ])
          .execute();
      } catch (error) {
        if (!scope.dialect.isMissingParent(error)) throw error;
        throw new AppError('bot_not_found', 'There is no such bot.', { cause: error });
      }
    },
    list: (botId, page) =>
      fetchTenantPage(scope, questions().where('bot_id', '=', botId), {
        table: 'golden_questions',
        page,
        toItem: toQuestion,
      }),
    async delete(botId, id) {
      const { numDeletedRows } = await scope
        .delete('golden_questions')
        .where('bot_id', '=', botId)
        .where('id', '=', id)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
  };
}

function toQuestion(row: Selectable<GoldenQuestionsTable>): GoldenQuestion {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    botId: row.bot_id,
    question: row.question,
    expected: readJson<GoldenExpectation>(row.expected_json),
    createdAt: row.created_at,
  };
}
