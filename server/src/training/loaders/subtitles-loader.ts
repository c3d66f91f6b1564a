import { AppError } from '../../kernel/index.ts';
import type { LoadedText } from './loaded-text.ts';
import { cleanText } from './text-cleaning.ts';

const TIMING = /^\s*((?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d{1,2}:\d{1,2}[.,]\d{1,3})/;
const VOICE = /<v(?:\.[^\s>]*)?\s+([^>]{1,100})>/g;
const TAGS = /<[^<>]{0,200}>|\{\\[^{}]{0,200}\}/g;
/** A paragraph ends with a sentence after this many seconds, and at the latest after three times as many. */
const PARAGRAPH_SECONDS = 20;
/** Silence that ends a paragraph, in seconds. */
const PAUSE_SECONDS = 4;

interface Cue {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * Reads SubRip (.srt) and WebVTT (.vtt) subtitles as a transcript: paragraphs of whole sentences, each behind the time at
 * which it begins, `[00:01:20]`. Lines that rolling captions show twice are kept once.
 *
 * @throws AppError `parse_failed` when there is no cue.
 */
export function loadSubtitles(source: string, name: string): LoadedText {
  const cues = readCues(source.replace(/\r\n?/g, '\n'));
  if (cues.length === 0) {
    throw new AppError('parse_failed', `"${name}" has no subtitles with times. Save it as SubRip or WebVTT.`);
  }
  return { title: null, text: cleanText(paragraphsOf(withoutRepeats(cues)).join('\n\n')), layout: 'plain' };
}

function readCues(source: string): readonly Cue[] {
  return source.split(/\n{2,}/).flatMap((block) => {
    const lines = block.split('\n');
    const at = lines.findIndex((line) => TIMING.test(line));
    const times = TIMING.exec(lines[at] ?? '');
    if (times === null) return [];
    const text = lines
      .slice(at + 1)
      .map((line) => line.replace(VOICE, '$1: ').replace(TAGS, '').trim())
      .filter((line) => line !== '')
      .join('\n');
    return text === '' ? [] : [{ start: secondsOf(times[1] ?? ''), end: secondsOf(times[2] ?? ''), text }];
  });
}

function secondsOf(time: string): number {
  return time
    .replace(',', '.')
    .split(':')
    .reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Rolling captions show each line again below the next one. */
function withoutRepeats(cues: readonly Cue[]): readonly Cue[] {
  let before: readonly string[] = [];
  return cues.flatMap((cue) => {
    const lines = cue.text.split('\n');
    const fresh = lines.filter((line) => !before.includes(line));
    before = lines;
    return fresh.length === 0 ? [] : [{ ...cue, text: fresh.join(' ') }];
  });
}

function paragraphsOf(cues: readonly Cue[]): readonly string[] {
  const paragraphs: { start: number; end: number; parts: string[] }[] = [];
  for (const cue of cues) {
    const open = paragraphs.at(-1);
    if (open === undefined || isComplete(open, cue)) {
      paragraphs.push({ start: cue.start, end: cue.end, parts: [cue.text] });
    } else {
      open.parts.push(cue.text);
      open.end = cue.end;
    }
  }
  return paragraphs.map(({ start, parts }) => `[${clockTime(start)}] ${parts.join(' ')}`);
}

function isComplete(
  open: { readonly start: number; readonly end: number; readonly parts: string[] },
  next: Cue,
): boolean {
  const length = next.end - open.start;
  if (next.start - open.end >= PAUSE_SECONDS || length > PARAGRAPH_SECONDS * 3) return true;
  return length > PARAGRAPH_SECONDS && /[.!?…]["')\]]*$/.test(open.parts.at(-1) ?? '');
}

function clockTime(seconds: number): string {
  const whole = Math.floor(seconds);
  return [Math.floor(whole / 3_600), Math.floor(whole / 60) % 60, whole % 60]
    .map((part) => String(part).padStart(2, '0'))
    .join(':');
}
