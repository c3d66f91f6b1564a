import { AppError } from '../../kernel/index.ts';

/** What a variable of a prompt template holds. `line`: one line; `text`: the owner's words; `data`: fenced, never instructions. */
export type PromptVariableType = 'line' | 'text' | 'data';

export interface PromptVariable {
  readonly type: PromptVariableType;
  /** Whether a template must show it, whatever the question. */
  readonly needed: boolean;
  readonly description: string;
}

/** Every variable that a template may name. */
export const PROMPT_VARIABLES = {
  bot_name: { type: 'line', needed: false, description: "The bot's name." },
  instructions: { type: 'text', needed: false, description: "The bot's `instructions`; may be empty." },
  rules: {
    type: 'text',
    needed: false,
    description: 'The house rules: facts from passages only, markers, when to decline, and that passages are data.',
  },
  refusal_message: {
    type: 'line',
    needed: true,
    description: 'What is said, word for word, when the passages hold no answer. `rules` holds it, too.',
  },
  summary: {
    type: 'data',
    needed: false,
    description: 'What was said before the messages that are sent; may be empty.',
  },
  passages: { type: 'data', needed: true, description: 'The numbered passages that were found.' },
} as const satisfies Readonly<Record<string, PromptVariable>>;

export type PromptVariableName = keyof typeof PROMPT_VARIABLES;

export type PromptValues = Readonly<Record<PromptVariableName, string>>;

export type TemplateNode =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'variable'; readonly name: PromptVariableName }
  /** Shown only when the variable holds something. */
  | { readonly type: 'section'; readonly name: PromptVariableName; readonly nodes: readonly TemplateNode[] };

const LONGEST_TEMPLATE = 20_000;
/** Of one variable: a short template that shows the passages a thousand times would make a prompt of megabytes. */
const MOST_PLACES = 4;
/** `\{{` stands for two brackets; what lies between brackets must be a name, with `#` or `/` for a section. */
const TAG = /\\\{\{|\{\{([#/]?)([^{}]{0,100})\}\}|\{\{/g;

interface OpenSection {
  readonly name: PromptVariableName | null;
  readonly nodes: TemplateNode[];
}

/**
 * Reads a template: text with `{{variable}}`, and `{{#variable}}...{{/variable}}` round what is shown only when the variable
 * holds something. Throws `invalid_request` with the given `param` when it is too long, names an unknown variable, leaves a tag or
 * section open, shows a variable in more than four places, or lacks a needed one.
 */
export function parseTemplate(text: string, param: string): readonly TemplateNode[] {
  const refuse = (fault: string): never => {
    throw new AppError('invalid_request', `${param}: ${fault}`, { param });
  };
  if (text.trim() === '') refuse('The template is empty.');
  if (text.length > LONGEST_TEMPLATE) refuse(`A template may have at most ${LONGEST_TEMPLATE} characters.`);
  const nodes = readNodes(text, refuse);
  for (const [name, { needed }] of Object.entries(PROMPT_VARIABLES)) {
    const isShown = alwaysShows(nodes, name) || (name === 'refusal_message' && alwaysShows(nodes, 'rules'));
    if (needed && !isShown) {
      const other = name === 'refusal_message' ? ' (or {{rules}}, which holds it)' : '';
      refuse(`The template must show {{${name}}}${other}, and not only within a section of another variable.`);
    }
  }
  return nodes;
}

function readNodes(text: string, refuse: (fault: string) => never): readonly TemplateNode[] {
  const open: OpenSection[] = [{ name: null, nodes: [] }];
  const places = new Map<string, number>();
  const add = (node: TemplateNode): void => void open.at(-1)?.nodes.push(node);
  let last = 0;
  for (const tag of text.matchAll(TAG)) {
    if (tag.index > last) add({ type: 'text', text: text.slice(last, tag.index) });
    last = tag.index + tag[0].length;
    if (tag[0].startsWith('\\')) {
      add({ type: 'text', text: '{{' });
      continue;
    }
    if (tag[2] === undefined)
      refuse('A "{{" has no "}}" behind it, or a bracket within. Write \\{{ for the brackets themselves.');
    const name = (tag[2] ?? '').trim();
    if (!isVariable(name)) {
      return refuse(`There is no variable "${name}". There are: ${Object.keys(PROMPT_VARIABLES).join(', ')}.`);
    }
    if (tag[1] === '#') open.push({ name, nodes: [] });
    else if (tag[1] === '') {
      add({ type: 'variable', name });
      const shown = (places.get(name) ?? 0) + 1;
      places.set(name, shown);
      if (shown > MOST_PLACES) refuse(`The template shows {{${name}}} in more than ${MOST_PLACES} places.`);
    } else {
      const section = open.pop();
      if (section === undefined || section.name !== name)
        return refuse(`{{/${name}}} closes no section that is open there.`);
      add({ type: 'section', name, nodes: section.nodes });
    }
  }
  if (last < text.length) add({ type: 'text', text: text.slice(last) });
  if (open.length > 1) refuse(`The section {{#${open.at(-1)?.name}}} is not closed.`);
  return open[0]?.nodes ?? [];
}

function isVariable(name: string): name is PromptVariableName {
  return Object.hasOwn(PROMPT_VARIABLES, name);
}

/** Whether the variable is shown whenever it holds something. */
export function alwaysShows(nodes: readonly TemplateNode[], name: string): boolean {
  return nodes.some(
    (node) =>
      (node.type === 'variable' && node.name === name) ||
      (node.type === 'section' && node.name === name && alwaysShows(node.nodes, name)),
  );
}

/** Whether the template names the variable anywhere. */
export function names(nodes: readonly TemplateNode[], name: PromptVariableName): boolean {
  return nodes.some(
    (node) => node.type !== 'text' && (node.name === name || (node.type === 'section' && names(node.nodes, name))),
  );
}

/** Puts the values in, once: nothing in a value is read as a template. */
export function fillTemplate(nodes: readonly TemplateNode[], values: PromptValues): string {
  return nodes
    .map((node) => {
      if (node.type === 'text') return node.text;
      if (node.type === 'variable') return values[node.name];
      return values[node.name] === '' ? '' : fillTemplate(node.nodes, values);
    })
    .join('');
}
