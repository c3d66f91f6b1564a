import type { Readable } from 'node:stream';

/**
 * Fetches from the public web, and from nowhere else: every address that a name stands for is judged, and the connection
 * goes to the address that was judged, again for each redirect. Carries no cookies and no credentials.
 */
export interface WebClient {
  /**
   * What can be told of an address without asking anybody: its form, and whether it names a private host.
   *
   * @throws AppError `url_invalid` or `url_not_allowed`.
   */
  check(url: string): URL;
  /**
   * GET, with redirects.
   *
   * @throws AppError `url_invalid`, `url_not_allowed`, `page_not_found` (404 or 410), `fetch_failed`, `fetch_timeout`,
   *   `response_too_large` or `unsupported_file_type` (a media type that is not wanted); what `admit` throws. Reading
   *   `body` throws the same. `retryable` tells whether it may work later.
   */
  get(request: WebRequest, signal: AbortSignal): Promise<WebAnswer>;
  stop(): Promise<void>;
}

export interface WebRequest {
  readonly url: string;
  /** What was kept of an earlier answer: sent to that very address, to be told that nothing changed. */
  readonly known?: WebValidators;
  /** Largest body, before and after it is unpacked. */
  readonly maxBytes: number;
  /** `follow`: to the end. `report`: only told of, as soon as there is one. */
  readonly redirects: 'follow' | 'report';
  /** Whether a body of this media type (lower case, without parameters) is wanted. */
  accepts(mediaType: string): boolean;
  /** Asked before each address is called, redirects included; throws to refuse it. */
  admit(url: URL): Promise<void>;
}

export interface WebValidators {
  /** The address that answered. */
  readonly url: string;
  readonly etag: string | null;
  readonly lastModified: string | null;
}

export type WebAnswer =
  | {
      readonly type: 'content';
      /** The address that answered, after redirects. */
      readonly url: string;
      /** As the server names it, with its parameters. */
      readonly mediaType: string;
      readonly etag: string | null;
      readonly lastModified: string | null;
      /** The `X-Robots-Tag` header. */
      readonly robotsTag: string | null;
      /** Unpacked, bounded by `maxBytes` and by time. Must be read or destroyed. */
      readonly body: Readable;
    }
  | { readonly type: 'not-modified'; readonly url: string }
  | { readonly type: 'redirect'; readonly url: string };
