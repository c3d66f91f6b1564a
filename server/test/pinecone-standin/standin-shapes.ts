import type { StandinNamespace } from './standin-namespace.ts';

export interface PineconeRequest {
  readonly plane: 'control' | 'data';
  readonly index: string | null;
  readonly method: string;
  /** Path without its query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  readonly bytes: number;
  readonly apiKey: string | undefined;
  readonly apiVersion: string | undefined;
}

export interface StandinIndex {
  readonly name: string;
  readonly dimension: number;
  readonly metric: string;
  readonly vectorType: string;
  readonly cloud: string;
  readonly region: string;
  readonly namespaces: Map<string, StandinNamespace>;
  host: string;
  tags: Record<string, string> | null;
  deletionProtection: string;
  /** How often it was described. */
  describes: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json: object | null;
}
