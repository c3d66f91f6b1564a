/** What a header cannot hold is shown as a question mark. */
export function toHeaderValue(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
