import { AppError } from '../../kernel/index.ts';
import type { QuestionAndAnswer } from '../ports.ts';
import type { GivenSection, LoadedText } from './loaded-text.ts';
import { plainHeading } from './markdown-loader.ts';
import { cleanText } from './text-cleaning.ts';

/**
 * Reads a JSON list of `{question, answer}`. Each pair becomes a section under its question, and so a chunk of its own.
 *
 * @throws AppError `parse_failed` when the JSON is no such list.
 */
export function loadQuestions(json: string): LoadedText {
  const sections: GivenSection[] = [];
  let text = '';
  for (const { question, answer } of parseItems(json)) {
    const heading = cleanText(question).replace(/\s+/g, ' ');
    const pair = `## ${heading}\n\n${cleanText(answer)}`;
    const start = text === '' ? 0 : text.length + 2;
    text += `${text === '' ? '' : '\n\n'}${pair}`;
    sections.push({ start, end: text.length, headingPath: [plainHeading(heading)] });
  }
  return { title: null, text, layout: 'markdown', sections };
}

function parseItems(json: string): readonly QuestionAndAnswer[] {
  const items: unknown = JSON.parse(json);
  if (Array.isArray(items) && items.every(isPair)) return items;
  throw new AppError('parse_failed', 'The list of questions and answers cannot be read. Send it again.');
}

function isPair(item: unknown): item is QuestionAndAnswer {
  return (
    typeof item === 'object' &&
    item !== null &&
    'question' in item &&
    'answer' in item &&
    typeof item.question === 'string' &&
    typeof item.answer === 'string'
  );
}
