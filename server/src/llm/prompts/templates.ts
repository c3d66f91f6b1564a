import { createHash } from 'node:crypto';
import { parseTemplate, type TemplateNode } from './template-text.ts';

/** A template of system messages, in one version. */
export interface PromptTemplate {
  /** `default@1` of those that come with the server; `custom@` and a hash of its text for an owner's own. */
  readonly version: string;
  readonly nodes: readonly TemplateNode[];
}

/** What every built-in template says behind the role that it gives. */
const BODY = [
  '',
  '',
  '{{#instructions}}# Instructions from your owner\n{{instructions}}',
  '',
  '{{/instructions}}# Rules\n{{rules}}',
  '',
  '{{#summary}}# Earlier in this conversation\n{{summary}}',
  '',
  '{{/summary}}# Passages\n{{passages}}',
].join('\n');

const DEFAULT_1 =
  'You are {{bot_name}}, an assistant that answers questions from the passages given at the end of this message. ' +
  'Be correct first, then brief: begin with the answer itself, add what is needed to act on it, and stop.';

const CUSTOMER_SERVICE_1 =
  'You are {{bot_name}}, a customer service agent who helps customers with the passages given at the end of this message. ' +
  'Be friendly, patient and plain: begin with what solves the problem, give instructions as short numbered steps, and ' +
  'ask one question back when the request is too vague to answer. Promise nothing (refunds, dates, exceptions) and ' +
  'give no contact details that a passage does not state.';

/** A version that was released never changes: a better text is the next number. */
const TEXTS: Readonly<Record<string, string>> = {
  'default@1': DEFAULT_1 + BODY,
  'customer_service@1': CUSTOMER_SERVICE_1 + BODY,
};

const BUILT_IN: ReadonlyMap<string, PromptTemplate> = new Map(
  Object.entries(TEXTS).map(([version, text]) => [version, { version, nodes: parseTemplate(text, version) }]),
);

/** For a bot without content: there is nothing to have rules on. */
export const OPEN_TEMPLATE: PromptTemplate = {
  version: 'open@1',
  nodes: [
    { type: 'text', text: 'You are ' },
    { type: 'variable', name: 'bot_name' },
    {
      type: 'text',
      text: ', a helpful assistant. Be correct, brief and friendly. Say so when you do not know.',
    },
    {
      type: 'section',
      name: 'instructions',
      nodes: [
        { type: 'text', text: '\n\n' },
        { type: 'variable', name: 'instructions' },
      ],
    },
    {
      type: 'section',
      name: 'summary',
      nodes: [
        { type: 'text', text: '\n\n# Earlier in this conversation\n' },
        { type: 'variable', name: 'summary' },
      ],
    },
  ],
};

/** The template that comes with the server: `default@1`, or `default` for its newest version. Null: there is none. */
export function builtInTemplate(name: string): PromptTemplate | null {
  const exact = BUILT_IN.get(name);
  if (exact !== undefined) return exact;
  const versions = [...BUILT_IN.keys()].filter((version) => version.startsWith(`${name}@`));
  return BUILT_IN.get(versions.at(-1) ?? '') ?? null;
}

/** Every version that can be named. */
export function builtInVersions(): readonly string[] {
  return [...BUILT_IN.keys()];
}

/** An owner's own template. Throws `invalid_request` with the `param` when it cannot be used. */
export function customTemplate(text: string, param: string): PromptTemplate {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { version: `custom@${hash}`, nodes: parseTemplate(text, param) };
}
