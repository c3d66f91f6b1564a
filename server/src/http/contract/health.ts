import { z } from 'zod';

export const wireHealth = z.strictObject({ status: z.literal('ok') });
export const wireReady = z.strictObject({ status: z.literal('ready') });
