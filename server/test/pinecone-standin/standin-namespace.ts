export interface StandinRecord {
  readonly id: string;
  readonly values: readonly number[];
  readonly sparseValues: { readonly indices: readonly number[]; readonly values: readonly number[] } | null;
  readonly metadata: Readonly<Record<string, unknown>>;
}

interface Write {
  readonly lsn: number;
  readonly at: number;
  readsLeft: number;
  readonly apply: (records: Map<string, StandinRecord>) => void;
}

/** One namespace: writes are numbered, and show some reads or milliseconds later, in their order. */
export class StandinNamespace {
  private readonly visible = new Map<string, StandinRecord>();
  private waiting: Write[] = [];
  private lsn = 0;
  private indexed = 0;

  /** Returns the write's log sequence number. */
  write(lag: { readonly lagReads: number }, apply: (records: Map<string, StandinRecord>) => void): number {
    this.lsn += 1;
    this.waiting.push({ lsn: this.lsn, at: Date.now(), readsLeft: lag.lagReads, apply });
    return this.lsn;
  }

  /** What a read sees now, and the newest write in it. */
  read(lag: { readonly lagMs: number; readonly lagReads: number }): {
    readonly records: ReadonlyMap<string, StandinRecord>;
    readonly lsn: number;
  } {
    while (this.waiting[0] !== undefined) {
      const { readsLeft, at, lsn, apply } = this.waiting[0];
      if (Math.min(readsLeft, lag.lagReads) > 0 || Date.now() - at < lag.lagMs) break;
      apply(this.visible);
      this.indexed = lsn;
      this.waiting.shift();
    }
    for (const write of this.waiting) write.readsLeft -= 1;
    return { records: this.visible, lsn: this.indexed };
  }

  newestIds(): readonly string[] {
    const records = new Map(this.visible);
    for (const { apply } of this.waiting) apply(records);
    return [...records.keys()].sort();
  }
}
