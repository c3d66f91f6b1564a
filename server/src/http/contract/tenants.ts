import { z } from 'zod';
import { line, unixSeconds } from './text.ts';

export const tenantBody = z.strictObject({ name: line(200) });

export const wireTenant = z
  .strictObject({
    id: z.string(),
    object: z.literal('tenant'),
    name: z.string(),
    created_at: unixSeconds,
    updated_at: unixSeconds,
  })
  .meta({ id: 'Tenant' });

export type WireTenant = z.infer<typeof wireTenant>;
