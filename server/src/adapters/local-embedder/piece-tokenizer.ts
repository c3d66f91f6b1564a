/** A vocabulary entry: the piece of a word, and the logarithm of its probability. */
export type Piece = readonly [text: string, score: number];

/** Text to numbers of pieces. */
export interface PieceTokenizer {
  /** The pieces of the most probable cut; 0 for a run of characters that no piece holds. */
  encode(text: string): number[];
}

interface Node {
  readonly children: Map<string, Node>;
  /** 0 where no piece ends. */
  piece: number;
  score: number;
}

/** The first entries are marks, not pieces of words. */
const MARKS = 6;
const WORD_START = '\u2581';
const UNKNOWN = 0;

/**
 * The unigram cut of SentencePiece (Kudo 2018) as the model's own package makes it, oddities included, in time that
 * grows with the length of the text instead of its square.
 */
export function createPieceTokenizer(vocabulary: readonly Piece[]): PieceTokenizer {
  const root = newNode();
  for (let index = MARKS; index < vocabulary.length; index += 1) {
    const [text, score] = vocabulary[index] as Piece;
    let node = root;
    for (const symbol of text) node = childOf(node, symbol);
    node.piece = index;
    node.score = score;
  }
  const lengthOf = (piece: number): number => vocabulary[piece]?.[0].length ?? 1;
  return {
    encode(text) {
      const normalised = text.normalize('NFKC');
      if (normalised === '') return [];
      const symbols = [...(WORD_START + normalised.replaceAll(' ', WORD_START))];
      return withoutRepeatedUnknowns(lastToFirst(cut(symbols, root), lengthOf)).reverse();
    },
  };
}

function newNode(): Node {
  return { children: new Map(), piece: UNKNOWN, score: 0 };
}

function childOf(node: Node, symbol: string): Node {
  const known = node.children.get(symbol);
  if (known !== undefined) return known;
  const child = newNode();
  node.children.set(symbol, child);
  return child;
}

/** The piece that the best cut up to each position ends with. */
function cut(symbols: readonly string[], root: Node): readonly number[] {
  const best = new Float64Array(symbols.length + 1);
  const pieces = new Array<number>(symbols.length + 1).fill(UNKNOWN);
  // A score of 0 counts as none yet, and the later of two equal ones wins: so does the package that this model came with.
  const offer = (end: number, piece: number, score: number): void => {
    if (best[end] !== 0 && score < (best[end] as number)) return;
    best[end] = score;
    pieces[end] = piece;
  };
  for (let start = 0; start < symbols.length; start += 1) {
    const before = best[start] as number;
    let isKnown = false;
    let node = root.children.get(symbols[start] as string);
    for (let end = start + 1; node !== undefined; end += 1) {
      if (node.piece !== UNKNOWN) {
        isKnown = true;
        offer(end, node.piece, before + node.score);
      }
      node = end < symbols.length ? node.children.get(symbols[end] as string) : undefined;
    }
    if (!isKnown) offer(start + 1, UNKNOWN, before);
  }
  return pieces;
}

function lastToFirst(pieces: readonly number[], lengthOf: (piece: number) => number): number[] {
  const found: number[] = [];
  for (let position = pieces.length - 1; position > 0; ) {
    const piece = pieces[position] ?? UNKNOWN;
    found.push(piece);
    position -= lengthOf(piece);
  }
  return found;
}

function withoutRepeatedUnknowns(pieces: readonly number[]): number[] {
  return pieces.filter((piece, position) => piece !== UNKNOWN || pieces[position - 1] !== UNKNOWN);
}
