import { createHash } from 'node:crypto';

/** Tells keys apart without telling them: eight hexadecimal digits. Null for a server that takes calls without one. */
export function fingerprintOf(apiKey: string | null): string | null {
  return apiKey === null ? null : createHash('sha256').update(apiKey).digest('hex').slice(0, 8);
}
