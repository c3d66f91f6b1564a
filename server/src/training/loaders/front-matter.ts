/** What a page says of itself above its text. */
export interface FrontMatter {
  readonly title: string | null;
  readonly permalink: string | null;
  /** The page without its front matter. */
  readonly body: string;
  /** False for a page without front matter. */
  readonly present: boolean;
}

const FENCES: ReadonlyMap<string, string> = new Map([
  ['---', '---'],
  ['---yaml', '---'],
  ['---yml', '---'],
  ['---json', '---'],
  ['---js', '---'],
  ['---javascript', '---'],
  ['---toml', '---'],
  ['+++', '+++'],
  [';;;', ';;;'],
]);

/** Takes the front matter (YAML, TOML, JSON or JavaScript between fences) off a page. Expects line feeds only. */
export function splitFrontMatter(text: string): FrontMatter {
  const none: FrontMatter = { title: null, permalink: null, body: text, present: false };
  const firstLine = text.slice(0, endOfLine(text, 0)).trimEnd();
  const fence = FENCES.get(firstLine);
  if (fence === undefined) return none;
  const lines: string[] = [];
  for (let start = endOfLine(text, 0) + 1; start <= text.length; ) {
    const end = endOfLine(text, start);
    const line = text.slice(start, end);
    if (line.trimEnd() === fence) {
      if (!looksLikeSettings(lines)) return none;
      return {
        title: settingOf(lines, 'title'),
        permalink: settingOf(lines, 'permalink'),
        body: text.slice(end + 1),
        present: true,
      };
    }
    lines.push(line);
    start = end + 1;
  }
  return none;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

/** A page may also begin with a thematic break; settings begin with a key, a comment or a brace. */
function looksLikeSettings(lines: readonly string[]): boolean {
  const first = lines.find((line) => line.trim() !== '');
  return first === undefined || /^\s*(["']?[\w-]+["']?\s*[:=]|#|\{|\[)/.test(first);
}

function settingOf(lines: readonly string[], key: string): string | null {
  const pattern = new RegExp(`^["']?${key}["']?\\s*[:=]\\s*(.*)$`, 'i');
  for (const [index, line] of lines.entries()) {
    const value = pattern.exec(line)?.[1]?.trim();
    if (value === undefined) continue;
    const text = /^[>|][+-]?$/.test(value) || value === '' ? foldedBelow(lines.slice(index + 1)) : unquote(value);
    return text === '' || text === 'false' || text.includes('{{') ? null : text;
  }
  return null;
}

function foldedBelow(lines: readonly string[]): string {
  const end = lines.findIndex((line) => /^\S/.test(line));
  return lines
    .slice(0, end < 0 ? lines.length : end)
    .map((line) => line.trim())
    .filter((line) => !line.startsWith('- '))
    .join(' ')
    .trim();
}

function unquote(value: string): string {
  const double = /^"((?:[^"\\]|\\.)*)"/.exec(value)?.[1];
  if (double !== undefined) return double.replace(/\\(.)/g, '$1').trim();
  const single = /^'((?:[^']|'')*)'/.exec(value)?.[1];
  if (single !== undefined) return single.replaceAll("''", "'").trim();
  return value
    .replace(/(?<!\s)\s+#.*$/, '')
    .replace(/,$/, '')
    .trim();
}
