const MAX_DERIVED_LENGTH = 48;

/** A slug for a name: ASCII letters and digits joined by hyphens; `bot` when the name has none of them. */
export function slugOf(name: string): string {
  const words = name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  return words.join('-').slice(0, MAX_DERIVED_LENGTH).replace(/-$/, '') || 'bot';
}
