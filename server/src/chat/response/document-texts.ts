import type { DocumentRepository } from '../../store/index.ts';

/** Texts of stored documents, each read once for one answer. */
export interface DocumentTexts {
  /** By document id, with those read before; what the store does not have is missing. */
  read(ids: Iterable<string>): Promise<ReadonlyMap<string, string>>;
}

export function createDocumentTexts(documents: Pick<DocumentRepository, 'getMany'>): DocumentTexts {
  const texts = new Map<string, string>();
  return {
    async read(ids) {
      const missing = [...new Set(ids)].filter((id) => !texts.has(id));
      const found = missing.length === 0 ? [] : await documents.getMany(missing);
      for (const { id, text } of found) texts.set(id, text);
      return texts;
    },
  };
}
