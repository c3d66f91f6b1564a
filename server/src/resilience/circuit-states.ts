/** A circuit that lets nobody through. */
export interface OpenCircuit {
  /** When that ends (milliseconds since 1970). */
  readonly until: number;
  /** `probe`: one call decides then whether the others may follow; `close`: all may at once. */
  readonly after: 'probe' | 'close';
  /** Why, in a word: an error code as a rule. */
  readonly reason: string;
  /** How often it was opened in a row; each time it stays open for longer. */
  readonly times: number;
}

/**
 * Which circuits are open: what is shared by processes that call the same providers. Only the rare things are: each
 * process counts by itself what succeeds and fails.
 *
 * `read` never waits: a store that is shared answers from what it was told last (at most a second old) and takes the
 * rest in behind it. A shared store that is away must not fail: the methods then act for this process alone.
 */
export interface CircuitStates {
  /** Null: closed. */
  read(key: string): OpenCircuit | null;
  /** Replaces what was known of the circuit. A probe that was claimed is given up. */
  open(key: string, circuit: OpenCircuit): void | Promise<void>;
  close(key: string): void | Promise<void>;
  /**
   * True for exactly one claimant: until the circuit is opened anew or closed, the claim is given back, or `expiresAt`
   * (milliseconds since 1970) has passed. False for a circuit that is closed.
   */
  claimProbe(key: string, expiresAt: number): boolean | Promise<boolean>;
  /** Gives the claim back without a result. */
  releaseProbe(key: string): void | Promise<void>;
}
