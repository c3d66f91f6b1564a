import { z } from 'zod';

/** A line of text: a name, a title, a key. Something of it must be visible. */
export function line(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/[^\s\p{Cf}\p{Cc}]/u, { error: 'There must be something to read in it.' })
    .regex(/^[^\0]*$/, { error: 'It must not hold the NUL character.' });
}

/** Unix seconds. */
export const unixSeconds = z.number().int().describe('Unix time in seconds.');

/** Values that a client attaches to an object and can filter by. */
export const metadata = z
  .record(z.string().min(1).max(64), z.union([z.string().max(2000), z.number(), z.boolean()]))
  .refine((pairs) => Object.keys(pairs).length <= 50, { error: 'At most 50 pairs are kept.' })
  .describe('Up to 50 pairs: keys of at most 64 characters, values that are strings, numbers or booleans.');

/** Metadata as it is given back; what was written by another version of the server is shown as it stands. */
export const storedMetadata = z.record(z.string(), z.unknown());

/** A short lower-case name that stands for an object in addresses. */
export const slug = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, {
    error: 'A slug is made of lower-case letters, digits and single hyphens between them.',
  });

/** Something that failed, as it is shown on the object that it happened to. */
export const failure = z.strictObject({ code: z.string(), message: z.string() }).meta({ id: 'Failure' });
