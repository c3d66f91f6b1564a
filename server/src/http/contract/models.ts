import { z } from 'zod';
import { unixSeconds } from './text.ts';

export const wireModel = z
  .strictObject({ id: z.string(), object: z.literal('model'), created: unixSeconds, owned_by: z.string() })
  .meta({ id: 'Model' });

export const wireModels = z.strictObject({ object: z.literal('list'), data: z.array(wireModel).readonly() });

export type WireModel = z.infer<typeof wireModel>;
