/** Anything that lives as long as the process: started in order, stopped in reverse. */
export interface Lifecycle {
  readonly name: string;
  start(): Promise<void>;
  /** Must be safe to call when start failed or never ran. */
  stop(): Promise<void>;
}
