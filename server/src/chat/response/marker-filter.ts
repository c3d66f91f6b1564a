/** Takes citation markers of passages that do not exist out of a stream. */
export interface MarkerFilter {
  /** What may be passed on so far. Text that may turn out to be a marker is held back. */
  push(delta: string): string;
  /** What was still held back at the end of the stream. */
  flush(): string;
}

/** White space and the beginning of what may become a marker, at the end of the text. */
const UNDECIDED = /(?<![ \t])[ \t]*(?:\[[\d, \t]*)?$/u;
/** A bracket that the text after a marker could close, and so become a marker that nobody looked at. */
const OPEN_BRACKET = /\[[\d, \t]*$/u;
const OPEN_BRACKET_LENGTH = 64;
const CUT_OFF = /(?<![ \t])[ \t]*\[[ \t]*\d[\d, \t]*$/u;
const MARKER = /((?<![ \t])[ \t]*)\[[ \t]*(\d+(?:[ \t]*,[ \t]*\d+)*)[ \t]*\]/gu;

/**
 * Lets only markers of the passages 1 to `passageCount` through and writes each as `[n]`: `[1, 3]` becomes `[1][3]`,
 * and a marker without any existing number vanishes with the space before it, as does one that the stream's end cut off.
 * Code (between backticks) is left alone. Null lets everything through: nothing was numbered.
 */
export function createMarkerFilter(passageCount: number | null): MarkerFilter {
  if (passageCount === null) return { push: (delta) => delta, flush: () => '' };
  const code = createCodeTracker();
  let held = '';
  let passedEnd = '';

  const decided = (text: string): string => {
    let passed = '';
    for (const { isCode, content } of code.split(text)) {
      passed += isCode ? content : filteredText(content, passedEnd + passed);
    }
    passedEnd = (passedEnd + passed).slice(-OPEN_BRACKET_LENGTH);
    return passed;
  };
  const filteredText = (content: string, before: string): string => {
    let text = '';
    let end = 0;
    for (const { 0: marker, 1: space = '', 2: numbers = '', index } of content.matchAll(MARKER)) {
      text += content.slice(end, index);
      end = index + marker.length;
      text += kept(space, numbers) || (isOpen(before, text) ? '–' : '');
    }
    return text + content.slice(end);
  };
  const kept = (space: string, numbers: string): string => {
    const existing = numbers
      .split(',')
      .map(Number)
      .filter((index) => index >= 1 && index <= passageCount);
    return existing.length === 0 ? '' : space + existing.map((index) => `[${index}]`).join('');
  };
  return {
    push(delta) {
      const text = held + delta;
      held = UNDECIDED.exec(text)?.[0] ?? '';
      return decided(text.slice(0, text.length - held.length));
    },
    flush() {
      const rest = held.replace(CUT_OFF, '');
      held = '';
      return decided(rest);
    },
  };
}

function isOpen(before: string, text: string): boolean {
  return OPEN_BRACKET.test(before.slice(-OPEN_BRACKET_LENGTH) + text.slice(-OPEN_BRACKET_LENGTH));
}

interface CodeTracker {
  /** Cuts the next piece of a text into code and other text. */
  split(text: string): readonly { readonly isCode: boolean; readonly content: string }[];
}

/** Follows backticks through a stream: a run of n opens code that the next run of n closes; an empty line closes a short one. */
function createCodeTracker(): CodeTracker {
  let delimiter = 0;
  let backticks = 0;
  let afterNewline = false;
  const endRun = (): void => {
    if (backticks > 0) delimiter = delimiter === 0 ? backticks : delimiter === backticks ? 0 : delimiter;
    backticks = 0;
  };
  return {
    split(text) {
      const pieces: { readonly isCode: boolean; readonly content: string }[] = [];
      for (const [content] of text.matchAll(/`+|[^`\n]+|\n/gu)) {
        if (content.startsWith('`')) {
          backticks += content.length;
        } else {
          endRun();
          if (content === '\n' && afterNewline && delimiter < 3) delimiter = 0;
        }
        afterNewline = content === '\n';
        pieces.push({ isCode: delimiter > 0, content });
      }
      return pieces;
    },
  };
}
