/** The marks that tell the model where given text begins and ends. */
export type FenceName = 'passage' | 'summary';

/**
 * Text between a pair of marks that it cannot close or imitate: whatever could be read as a mark, and the control tokens
 * of chat formats (`<|im_start|>`), loses its angle bracket to a look-alike.
 */
export function fence(name: FenceName, attributes: Readonly<Record<string, string>>, text: string): string {
  const written = Object.entries(attributes).map(([key, value]) => ` ${key}="${neutraliseAttribute(value)}"`);
  return `<${name}${written.join('')}>\n${neutraliseMarks(text)}\n</${name}>`;
}

/** An opening bracket in any of its widths, then what a reader would take for one of our marks. */
const MARK = /[<＜﹤](?=[\s\p{Cf}]*(?:\||[/／]?[\s\p{Cf}]*(?:passages?|summary)))/giu;

export function neutraliseMarks(text: string): string {
  return text.replace(MARK, '‹');
}

/** One short line without quotes or brackets. */
export function neutraliseAttribute(value: string): string {
  const line = value.replace(/[\s\p{Cc}\p{Cf}]+/gu, ' ').trim();
  return Array.from(
    line
      .replace(/[<＜﹤]/g, '‹')
      .replace(/[>＞﹥]/g, '›')
      .replace(/"/g, "'"),
  )
    .slice(0, 200)
    .join('');
}
