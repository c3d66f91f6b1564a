import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';

const ALGORITHM = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Closes and opens texts that only the caller who made them may read. */
export interface ResponseSeal {
  close(text: string): string;
  /** Throws when the text was sealed by another or changed since. */
  open(sealed: string): string;
}

/**
 * A seal (AES-256-GCM, NIST SP 800-38D) whose key is derived (HKDF, RFC 5869) from the caller's API key and
 * `Idempotency-Key`, neither of which is stored: what is kept in the database cannot be read from the database.
 */
export function sealFor(apiKey: string, idempotencyKey: string): ResponseSeal {
  const key = Buffer.from(hkdfSync('sha256', apiKey, idempotencyKey, 'chatsphere idempotent response', 32));
  return {
    close(text) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(ALGORITHM, key, nonce);
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64');
    },
    open(sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
      return text.toString('utf8');
    },
  };
}
