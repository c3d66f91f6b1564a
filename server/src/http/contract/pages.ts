import { z } from 'zod';

/**
 * The query of every list, in creation order; `after` and `before` are ids of the kind that is listed. Without a prefix
 * any id will do.
 */
export function listQuery(idPrefix?: string) {
  const shape = idPrefix === undefined ? /^[0-9a-z_]{1,64}$/ : new RegExp(`^${idPrefix}_[0-9a-z]{1,40}$`);
  const error = `A cursor is an id${idPrefix === undefined ? '' : ` that begins with "${idPrefix}_"`}.`;
  const cursor = z.string().regex(shape, { error }).optional();
  return z.strictObject({
    limit: z.coerce.number().int().min(1).max(100).default(20).describe('How many to return.'),
    order: z.enum(['asc', 'desc']).default('desc').describe('By creation time.'),
    after: cursor.describe('Return what follows this id.'),
    before: cursor.describe('Return what precedes this id.'),
  });
}

export type ListQuery = z.infer<ReturnType<typeof listQuery>>;

/** A page of objects in OpenAI's list shape. */
export function listOf<Item extends z.ZodType>(item: Item) {
  return z.strictObject({
    object: z.literal('list'),
    data: z.array(item).readonly(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });
}

/** What a deletion answers: `{id, object: "bot.deleted", deleted: true}`. */
export function deleted<Kind extends string>(kind: Kind) {
  return z.strictObject({ id: z.string(), object: z.literal(`${kind}.deleted`), deleted: z.literal(true) });
}

/** Path parameters: any text may be asked for; what does not exist answers 404. */
export const idParams = z.strictObject({ id: z.string().min(1).max(200) });
export const botParams = z.strictObject({ bot: z.string().min(1).max(200).describe('A bot id or slug.') });
export const botObjectParams = botParams.extend({ id: z.string().min(1).max(200) });
