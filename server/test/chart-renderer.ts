import { stringify } from 'yaml';

/**
 * Renders the part of Helm's templates that the chart uses: `define`, `include`, `if`, `else`, `range` over maps, pipelines, and a
 * dozen functions, with Go's trimming and truth. Throws on everything else, so that a chart which it renders is one that Helm
 * reads in the same way.
 */
export function renderChart(
  files: ReadonlyMap<string, string>,
  context: { readonly Values: unknown; readonly Release: unknown; readonly Chart: unknown },
): ReadonlyMap<string, string> {
  const definitions = new Map<string, readonly Node[]>();
  const bodies = new Map<string, readonly Node[]>();
  for (const [path, text] of files) bodies.set(path, parse(text, path, definitions));
  const scope: Scope = { root: context, variables: new Map(), definitions };
  return new Map([...bodies].map(([path, nodes]) => [path, render(nodes, scope)]));
}

type Node =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'output'; readonly pipeline: readonly Token[] }
  | { readonly type: 'if'; readonly pipeline: readonly Token[]; readonly yes: Node[]; readonly no: Node[] }
  | {
      readonly type: 'range';
      readonly names: readonly [string, string];
      readonly pipeline: readonly Token[];
      readonly body: Node[];
    };

interface Scope {
  readonly root: object;
  readonly variables: ReadonlyMap<string, unknown>;
  readonly definitions: ReadonlyMap<string, readonly Node[]>;
}

type Token = string;

const ACTION = /\{\{(-?)\s*([\s\S]*?)\s*(-?)\}\}/g;
const TOKEN = /"(?:[^"\\]|\\.)*"|\||\(|\)|:=|,|[^\s|(),:"]+/g;

function parse(text: string, path: string, definitions: Map<string, readonly Node[]>): readonly Node[] {
  const root: Node[] = [];
  const open: { readonly kind: string; readonly into: Node[]; readonly node: Node | null }[] = [
    { kind: 'file', into: root, node: null },
  ];
  const into = (): Node[] => open.at(-1)?.into ?? root;
  let from = 0;
  let trims = false;
  for (const match of text.matchAll(ACTION)) {
    const [whole, left, body = '', right] = match;
    const before = text.slice(from, match.index);
    const trimmed = trims ? before.replace(/^\s+/, '') : before;
    into().push({ type: 'text', text: left === '-' ? trimmed.replace(/\s+$/, '') : trimmed });
    from = match.index + whole.length;
    trims = right === '-';
    if (body.startsWith('/*')) continue;
    const [word = '', ...rest] = tokensOf(body);
    if (word === 'define') {
      const nodes: Node[] = [];
      definitions.set(textOf(rest[0] ?? ''), nodes);
      open.push({ kind: 'define', into: nodes, node: null });
    } else if (word === 'if') {
      const node: Node = { type: 'if', pipeline: rest, yes: [], no: [] };
      into().push(node);
      open.push({ kind: 'if', into: node.yes, node });
    } else if (word === 'else') {
      const closed = open.pop();
      if (closed?.node?.type !== 'if' || rest.length > 0) throw new Error(`${path}: a stray else: ${body}`);
      open.push({ kind: 'if', into: closed.node.no, node: closed.node });
    } else if (word === 'range') {
      const [key = '', comma, value = '', sign, ...pipeline] = rest;
      if (comma !== ',' || sign !== ':=') throw new Error(`${path}: only "range $name, $value := ..." is known`);
      const node: Node = { type: 'range', names: [key, value], pipeline, body: [] };
      into().push(node);
      open.push({ kind: 'range', into: node.body, node });
    } else if (word === 'end') {
      if (open.length === 1 || rest.length > 0) throw new Error(`${path}: a stray end`);
      open.pop();
    } else into().push({ type: 'output', pipeline: [word, ...rest] });
  }
  if (open.length > 1) throw new Error(`${path}: ${open.at(-1)?.kind} is not ended`);
  const last = text.slice(from);
  root.push({ type: 'text', text: trims ? last.replace(/^\s+/, '') : last });
  if (/\{\{|\}\}/.test(text.replace(ACTION, ''))) throw new Error(`${path}: an action is not closed`);
  return root;
}

function render(nodes: readonly Node[], scope: Scope): string {
  return nodes
    .map((node) => {
      switch (node.type) {
        case 'text':
          return node.text;
        case 'output':
          return written(evaluate(node.pipeline, scope));
        case 'if':
          return render(isTrue(evaluate(node.pipeline, scope)) ? node.yes : node.no, scope);
        default: {
          const entries = Object.entries((evaluate(node.pipeline, scope) ?? {}) as object).sort(([one], [other]) =>
            one < other ? -1 : 1,
          );
          const [key, value] = node.names;
          return entries
            .map(([name, item]) =>
              render(node.body, { ...scope, variables: new Map([...scope.variables, [key, name], [value, item]]) }),
            )
            .join('');
        }
      }
    })
    .join('');
}

function evaluate(tokens: readonly Token[], scope: Scope): unknown {
  const calls = split(tokens);
  let piped: readonly unknown[] = [];
  for (const call of calls) piped = [evaluateCall(call, scope, piped)];
  return piped[0];
}

/** Calls of a pipeline: what stands between bars outside parentheses. */
function split(tokens: readonly Token[]): readonly (readonly Token[])[] {
  const calls: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    if (token === '|' && depth === 0) calls.push([]);
    else calls.at(-1)?.push(token);
  }
  if (depth !== 0 || calls.some(({ length }) => length === 0)) throw new Error(`not understood: ${tokens.join(' ')}`);
  return calls;
}

function evaluateCall(tokens: readonly Token[], scope: Scope, piped: readonly unknown[]): unknown {
  const values: unknown[] = [];
  const [first = ''] = tokens;
  const isFunction = /^[a-zA-Z]\w*$/.test(first);
  for (let at = isFunction ? 1 : 0; at < tokens.length; at += 1) {
    const token = tokens[at] ?? '';
    if (token !== '(') values.push(operand(token, scope));
    else {
      let depth = 1;
      let end = at + 1;
      for (; depth > 0; end += 1) depth += tokens[end] === '(' ? 1 : tokens[end] === ')' ? -1 : 0;
      values.push(evaluate(tokens.slice(at + 1, end - 1), scope));
      at = end - 1;
    }
  }
  const given = [...values, ...piped];
  if (!isFunction) {
    if (given.length !== 1) throw new Error(`not understood: ${tokens.join(' ')}`);
    return given[0];
  }
  if (first === 'include') {
    const nodes = scope.definitions.get(String(given[0]));
    if (nodes === undefined || given[1] !== scope.root) throw new Error(`nothing to include: ${String(given[0])}`);
    return render(nodes, { ...scope, variables: new Map() });
  }
  const apply = FUNCTIONS.get(first);
  if (apply === undefined) throw new Error(`the function ${first} is not known here`);
  return apply(...given);
}

const FUNCTIONS: ReadonlyMap<string, (...given: readonly unknown[]) => unknown> = new Map(
  Object.entries({
    eq: (one, other) => one === other,
    not: (value) => !isTrue(value),
    and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
    or: (...values) => values.find(isTrue) ?? values.at(-1),
    default: (instead, value) => (isTrue(value) ? value : instead),
    ternary: (yes, no, test) => (test === true ? yes : no),
    quote: (value) => JSON.stringify(written(value)),
    int64: (value) => Math.trunc(Number(value)),
    printf: (pattern, ...values) => {
      const left = [...values];
      return String(pattern).replace(/%s/g, () => written(left.shift()));
    },
    required: (message, value) => {
      if (!isTrue(value)) throw new Error(String(message));
      return value;
    },
    toYaml: (value) => stringify(value).trimEnd(),
    nindent: (width, text) => `\n${indented(String(text), Number(width))}`,
  } satisfies Record<string, (...given: readonly unknown[]) => unknown>),
);

function operand(token: Token, scope: Scope): unknown {
  if (token.startsWith('"')) return textOf(token);
  if (/^-?\d+$/.test(token)) return Number(token);
  if (token === '.') return scope.root;
  if (token.startsWith('$')) {
    if (!scope.variables.has(token)) throw new Error(`there is no ${token}`);
    return scope.variables.get(token);
  }
  if (!/^(?:\.[A-Za-z]\w*)+$/.test(token)) throw new Error(`not understood: ${token}`);
  let value: unknown = scope.root;
  for (const key of token.slice(1).split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key))
      throw new Error(`there is no ${token}`);
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function tokensOf(body: string): readonly Token[] {
  return body.match(TOKEN) ?? [];
}

function textOf(token: Token): string {
  return String(JSON.parse(token));
}

function indented(text: string, width: number): string {
  const space = ' '.repeat(width);
  return space + text.replaceAll('\n', `\n${space}`);
}

/** Go's truth: no empty text, list or map, no zero. */
function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

function written(value: unknown): string {
  if (typeof value === 'object' || value === undefined)
    throw new Error('only texts, numbers and truths can be written');
  return String(value);
}
