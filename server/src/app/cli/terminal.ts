import type { Readable, Writable } from 'node:stream';

/** Where a command reads and writes: results go to stdout, everything said to a person to stderr. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly color: boolean;
}

export function printLine(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}

export function printJson(terminal: Terminal, value: unknown): void {
  terminal.stdout.write(`${JSON.stringify(value)}\n`);
}

export function say(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`);
}

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const STYLE_CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** Colours the text when the stream is a terminal that wants colour. */
export function paint(terminal: Terminal, style: Style, text: string): string {
  if (!terminal.color || terminal.stdout.isTTY !== true) return text;
  return `\u001b[${STYLE_CODES[style]}m${text}\u001b[0m`;
}

/** Prints rows as columns wide enough for their cells; an empty list says what to do instead. */
export function printTable(
  terminal: Terminal,
  table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[]; readonly empty: string },
): void {
  if (table.rows.length === 0) {
    say(terminal, table.empty);
    return;
  }
  const all = [table.head, ...table.rows];
  const widths = table.head.map((_, column) => Math.max(...all.map((row) => printable(row[column]).length)));
  for (const [position, row] of all.entries()) {
    const line = row
      .map((cell, column) => printable(cell).padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
    printLine(terminal, position === 0 ? paint(terminal, 'bold', line) : line);
  }
}

/** Text from the server without control characters, so that content cannot steer the terminal. */
export function printable(text: string | undefined): string {
  return (text ?? '').replace(/[^\P{Cc}\n\t]/gu, '');
}
