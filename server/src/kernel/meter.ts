export type Labels = Readonly<Record<string, string>>;

/** Names of metrics are declared once, in `monitoring`; a name it does not know throws in tests and is ignored in production. */
export interface Meter {
  /** Adds to a counter. */
  count(name: string, labels: Labels, amount?: number): void;
  /** Records a value in a histogram; durations are in seconds. */
  observe(name: string, labels: Labels, value: number): void;
  /** Sets a gauge. */
  gauge(name: string, labels: Labels, value: number): void;
}

export const silentMeter: Meter = { count: () => {}, observe: () => {}, gauge: () => {} };
