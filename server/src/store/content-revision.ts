import { randomUUID } from 'node:crypto';
import type { TenantScope } from './tenant-scope.ts';

/** Whose content has changed: a bot, or the bot of a source or of documents that are still there. */
export type ContentOwner =
  | { readonly botId: string }
  | { readonly sourceId: string }
  | { readonly documentIds: readonly string[] };

/**
 * A mark that no state of any bot's content bore before. Not a counter: one that goes back with a restored backup would
 * come to the same numbers with other content.
 */
export function newRevision(): string {
  return randomUUID();
}

/** Gives the bot a new content revision. Runs with the change, in its transaction, while the owner is still there. */
export async function reviseContent(scope: TenantScope, owner: ContentOwner): Promise<void> {
  const bots = scope.update('bots').set({ content_revision: newRevision() });
  if ('botId' in owner) {
    await bots.where('id', '=', owner.botId).execute();
  } else if ('sourceId' in owner) {
    const ofSource = scope.select('sources').select('sources.bot_id').where('id', '=', owner.sourceId);
    await bots.where('id', 'in', ofSource).execute();
  } else if (owner.documentIds.length > 0) {
    const ofDocuments = scope
      .select('documents')
      .select('documents.bot_id')
      .where((where) => scope.dialect.isOneOf(where.ref('documents.id'), owner.documentIds));
    await bots.where('id', 'in', ofDocuments).execute();
  }
}
