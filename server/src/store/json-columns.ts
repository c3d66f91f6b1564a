/** The value of a JSON column that this store has written. */
export function readJson<Value>(text: string): Value {
  return JSON.parse(text) as Value;
}

export function readJsonOrNull<Value>(text: string | null): Value | null {
  return text === null ? null : readJson<Value>(text);
}

export function writeJson(value: unknown): string {
  return JSON.stringify(value);
}

export function writeJsonOrNull(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}

/** The columns of those changes that were given: a change that is absent leaves its column alone. */
export function changedColumns<Columns extends object>(
  columns: {
    readonly [Name in keyof Columns]: Columns[Name] | undefined;
  },
): Partial<Columns> {
  return Object.fromEntries(Object.entries(columns).filter(([, value]) => value !== undefined)) as Partial<Columns>;
}

/** Applies `write` to a change that was given. */
export function ifGiven<Value, Written>(
  value: Value | undefined,
  write: (value: Value) => Written,
): Written | undefined {
  return value === undefined ? undefined : write(value);
}
