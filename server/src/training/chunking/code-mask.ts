const FENCE_OPENING = /^ {0,3}(?:[-*+>]|\d+[.)])?\s{0,6}(`{3,}|~{3,})/;
const INLINE_CODE = /(?<!`)(`{1,3})(?!`)[^`\n]{1,1000}?(?<!`)\1(?!`)/g;
/** Non-characters: cleaned text holds none, so they can stand for what is masked. */
const MASKED = /\uFDD0(\d+)\uFDD1/g;

export interface MaskedCode {
  /** The text with a token in place of each piece of code. */
  readonly text: string;
  /** Puts the code back wherever its token still stands. */
  unmask(text: string): string;
}

/** Takes fenced blocks and inline code out of Markdown, so that what is done to prose leaves code alone. */
export function maskCode(markdown: string): MaskedCode {
  const pieces: string[] = [];
  const mask = (code: string): string => `\uFDD0${pieces.push(code) - 1}\uFDD1`;
  const prose = maskFences(markdown.replace(MASKED, ''), mask).replace(INLINE_CODE, mask);
  return {
    text: prose,
    unmask: (text) => text.replace(MASKED, (_, position: string) => pieces[Number(position)] ?? ''),
  };
}

function maskFences(markdown: string, mask: (code: string) => string): string {
  if (!markdown.includes('```') && !markdown.includes('~~~')) return markdown;
  const kept: string[] = [];
  let fence: { readonly marker: string; readonly lines: string[] } | null = null;
  for (const line of markdown.split('\n')) {
    if (fence !== null) {
      fence.lines.push(line);
      if (!closes(line, fence.marker)) continue;
      kept.push(mask(fence.lines.join('\n')));
      fence = null;
      continue;
    }
    const marker = FENCE_OPENING.exec(line)?.[1];
    if (marker === undefined || isInlineFence(line, marker)) kept.push(line);
    else fence = { marker, lines: [line] };
  }
  if (fence !== null) kept.push(mask(fence.lines.join('\n')));
  return kept.join('\n');
}

/** A line of backticks that also closes them is inline code. */
function isInlineFence(line: string, marker: string): boolean {
  return marker.startsWith('`') && line.indexOf('`', line.indexOf(marker) + marker.length) >= 0;
}

function closes(line: string, marker: string): boolean {
  const trimmed = line.trim();
  return trimmed.startsWith(marker) && /^(`+|~+)$/.test(trimmed);
}
