import type { Readable } from 'node:stream';
import { LRUCache } from 'lru-cache';
import * as robotsModule from 'robots-parser';
import { AppError, type Clock, toAppError } from '../../kernel/index.ts';
import type { WebClient } from './web-client.ts';

/** The name by which sites address the crawler in robots.txt. */
export const CRAWLER_NAME = 'ChatSphereBot';

export interface RobotsRules {
  /**
   * Whether the site lets its page be fetched, and how far apart it wants calls (milliseconds).
   *
   * @throws AppError `robots_disallowed`; retryable `fetch_failed` while the robots.txt cannot be had.
   */
  admit(url: URL, signal: AbortSignal): Promise<{ readonly delayMs: number }>;
}

export interface RobotsRulesOptions {
  readonly client: Pick<WebClient, 'get'>;
  readonly clock: Clock;
  /** Between two calls to a host that names no delay, in milliseconds. */
  readonly delayMs: number;
  /** The most of a delay that is heeded, in milliseconds. */
  readonly maxDelayMs: number;
}

type Rules =
  | { readonly type: 'rules'; readonly isAllowed: (url: string) => boolean; readonly delayMs: number }
  | { readonly type: 'unavailable' };

interface ParsedRobots {
  isAllowed(url: string, userAgent: string): boolean | undefined;
  getCrawlDelay(userAgent: string): number | undefined;
}

/** Its types tell of an ES module; it is a CommonJS one, whose export is the function. */
const parseRobots = robotsModule.default as unknown as (url: string, content: string) => ParsedRobots;

/** RFC 9309 wants 500 KiB to be read at least; what follows is left unread. */
const READ_BYTES = 512 * 1024;
/** Longer than any address. */
const LONGEST_LINE = 2_048;
/** Comparing an address with wildcards takes as many steps as both have characters, multiplied. */
const MOST_WILDCARD_CHARACTERS = 16_384;
const KEPT_MS = 3_600_000;
const UNAVAILABLE_KEPT_MS = 30_000;
const MOST_SITES = 1_000;

/** Reads each site's robots.txt (RFC 9309) and keeps it for an hour. No such file: all is allowed; a site in trouble: nothing. */
export function createRobotsRules({ client, clock, delayMs, maxDelayMs }: RobotsRulesOptions): RobotsRules {
  const known = new LRUCache<string, { readonly rules: Promise<Rules>; readonly until: number }>({ max: MOST_SITES });

  async function fetchRules(origin: string, signal: AbortSignal): Promise<Rules> {
    const url = `${origin}/robots.txt`;
    try {
      const answer = await client.get(
        { url, maxBytes: Number.MAX_SAFE_INTEGER, redirects: 'follow', accepts: () => true, admit: async () => {} },
        signal,
      );
      if (answer.type !== 'content') return allowAll(delayMs);
      const robots = parseRobots(url, tamed(await beginningOf(answer.body)));
      const asked = robots.getCrawlDelay(CRAWLER_NAME);
      return {
        type: 'rules',
        isAllowed: (page) => robots.isAllowed(page, CRAWLER_NAME) !== false,
        delayMs: Math.min(maxDelayMs, Math.max(delayMs, (asked ?? 0) * 1_000)),
      };
    } catch (error) {
      signal.throwIfAborted();
      const { code, retryable } = toAppError(error);
      if (code === 'url_not_allowed') throw error;
      if (retryable) return { type: 'unavailable' };
      return allowAll(delayMs);
    }
  }

  async function rulesOf(origin: string, signal: AbortSignal): Promise<Rules> {
    const found = known.get(origin);
    // Who asked first may have been cancelled; that is no matter of the others'.
    if (found !== undefined && found.until > clock.now()) return found.rules.catch(() => rulesOf(origin, signal));
    const rules = fetchRules(origin, signal);
    known.set(origin, { rules, until: clock.now() + KEPT_MS });
    try {
      const fetched = await rules;
      if (fetched.type === 'unavailable') known.set(origin, { rules, until: clock.now() + UNAVAILABLE_KEPT_MS });
    } catch (error) {
      known.delete(origin);
      throw error;
    }
    return rules;
  }

  return {
    async admit(url, signal) {
      const rules = await rulesOf(url.origin, signal);
      if (rules.type === 'unavailable') {
        throw new AppError(
          'fetch_failed',
          'The robots.txt of the site cannot be had just now, so its pages are not fetched.',
          {
            retryable: true,
          },
        );
      }
      if (rules.isAllowed(url.href)) return { delayMs: rules.delayMs };
      throw new AppError('robots_disallowed', `The robots.txt of ${url.host} does not let this page be fetched.`);
    },
  };
}

/** The whole lines of the first `READ_BYTES`. */
async function beginningOf(body: Readable): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const part of body) {
    text += decoder.decode(part as Buffer, { stream: true });
    bytes += (part as Buffer).length;
    if (bytes >= READ_BYTES) return text.slice(0, text.lastIndexOf('\n') + 1);
  }
  return text;
}

/** The same rules, but those beyond so many wildcards stand for all that begins alike. */
function tamed(text: string): string {
  let left = MOST_WILDCARD_CHARACTERS;
  return text
    .split(/\r\n?|\n/)
    .map((line) => {
      const rule = line.slice(0, LONGEST_LINE).replace(/\*{2,}/g, '*');
      const wildcard = /^\s*(?:dis)?allow\s*:/i.test(rule) ? rule.indexOf('*') : -1;
      if (wildcard >= 0) left -= rule.length;
      return wildcard >= 0 && left < 0 ? rule.slice(0, wildcard) : rule;
    })
    .join('\n');
}

function allowAll(delayMs: number): Rules {
  return { type: 'rules', isAllowed: () => true, delayMs };
}
