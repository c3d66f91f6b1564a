import { z } from 'zod';

/** A whole number of the environment, whose fault says the range. */
export function wholeNumber(least: number, most: number) {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.coerce.number({ error }).int({ error }).min(least, { error }).max(most, { error });
}

/** One of a few words. */
export function oneOf<const Words extends readonly [string, ...string[]]>(words: Words) {
  const all = words.slice(0, -1).join(', ');
  return z.enum(words, { error: `must be ${all === '' ? '' : `${all} or `}${words.at(-1) ?? ''}` });
}

/** Names whose values may be secret or hold a password. */
const SECRET = /KEY|SECRET|TOKEN|PASSWORD|URL|BACKEND|HOST|CONFIG/;
const MOST_SHOWN = 100;

/** One sentence for each name at fault, with what was given where that is no secret. */
export function describeFaults(
  issues: readonly z.core.$ZodIssue[],
  given: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const faults = new Map<string, string>();
  for (const { path, message } of issues) {
    const name = path.join('.');
    if (faults.has(name)) continue;
    const value = given[name];
    const isShown = value !== undefined && !SECRET.test(name) && message.startsWith('must ');
    faults.set(name, `${name} ${message}${isShown ? `, not ${JSON.stringify(value.slice(0, MOST_SHOWN))}` : ''}`);
  }
  return faults;
}
