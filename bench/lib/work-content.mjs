// Content of every kind with words that are nowhere else, at the begin and at the end of each text.
import { docxOf, pdfOf, xlsxOf } from './made-files.mjs';
import { zipOf } from './zip.mjs';

const STATIC = { type: 'static', static: { max_chunk_size_tokens: 120, chunk_overlap_tokens: 40 } };
const LANGCHAIN = {
  type: 'langchain',
  langchain: {
    module: '@langchain/textsplitters',
    class: 'MarkdownTextSplitter',
    options: { chunkSize: 600, chunkOverlap: 0 },
  },
};

/** Makes versions of content: `{version: {markers, documents}, body}`; the body is for `client.request`. */
export function createContent(random) {
  let made = 0;
  const pick = (list) => list[Math.floor(random() * list.length)];

  function markers(count) {
    made += 1;
    return Array.from({ length: count }, (_, part) => `zyx${made}p${part}word`);
  }

  /** One file, of a random format unless it is named. */
  function file(extension = pick(FORMAT_NAMES)) {
    const [first, last] = markers(2);
    const bytes = Buffer.from(FORMATS[extension](first, last));
    return { version: { markers: [first, last], documents: 1 }, extension, bytes };
  }

  function text(chunking) {
    const [first, last] = markers(2);
    return {
      version: { markers: [first, last], documents: 1 },
      body: {
        json: {
          type: 'text',
          title: `Text ${made}`,
          content: markdown(first, last, 3),
          ...(chunking === undefined ? {} : { chunking_strategy: chunking }),
        },
      },
    };
  }

  function questions() {
    const [word] = markers(1);
    const items = [{ question: `What is ${word}?`, answer: 'A word that is nowhere else.' }];
    return { version: { markers: [word], documents: 1 }, body: { json: { type: 'qa', items } } };
  }

  function archive() {
    const words = markers(6);
    const entries = ['docx', 'csv', 'md'].map((name, index) => [
      `folder/${index}.${name}`,
      FORMATS[name](words[2 * index], words[2 * index + 1]),
    ]);
    return { version: { markers: words, documents: 3 }, body: { form: formOf([['all.zip', zipOf(entries)]]) } };
  }

  function severalFiles() {
    const all = [file(), file(), file()];
    const files = all.map(({ extension, bytes }, index) => [`${index}.${extension}`, bytes]);
    const words = all.flatMap(({ version }) => version.markers);
    return { version: { markers: words, documents: 3 }, body: { form: formOf(files) } };
  }

  function oneFile() {
    const { version, extension, bytes } = file();
    return { version, body: { form: formOf([[`file.${extension}`, bytes]]) } };
  }

  function longFile() {
    const [first, last] = markers(2);
    const strategy = pick([undefined, JSON.stringify(STATIC)]);
    const form = formOf([['long.md', markdown(first, last, 24)]]);
    if (strategy !== undefined) form.append('chunking_strategy', strategy);
    return { version: { markers: [first, last], documents: 1 }, body: { form } };
  }

  const kinds = [
    text,
    () => text(STATIC),
    () => text(LANGCHAIN),
    questions,
    archive,
    severalFiles,
    oneFile,
    oneFile,
    longFile,
  ];
  return { markers, file, any: () => pick(kinds)() };
}

/** A form with files of `[name, content]`. */
export function formOf(files) {
  const form = new FormData();
  for (const [name, content] of files) form.append('file', new Blob([content]), name);
  return form;
}

const FORMATS = {
  md: (first, last) => markdown(first, last, 2),
  txt: (first, last) =>
    `${first} is the word of this text. It says a little more.\n\n${paragraph(1)}\n\nIts end is ${last}.\n`,
  html: (first, last) =>
    `<html><head><title>Page</title></head><body><main><h1>Page</h1><p>${first} is the word of this page.</p><p>${paragraph(2)}</p><p>It ends with ${last}.</p></main></body></html>`,
  csv: (first, last) => `name,meaning\n${first},the word of this table\nother,another row\n${last},its last word\n`,
  pdf: (first, last) =>
    pdfOf([`${first} is the word of this page.`, 'It has a few lines of text.', `Its end is ${last}.`]),
  docx: (first, last) => docxOf([`${first} is the word of this document.`, paragraph(3), `Its end is ${last}.`]),
  xlsx: (first, last) =>
    xlsxOf([
      ['name', 'meaning'],
      [first, 'the word of this sheet'],
      ['other', 'another row'],
      [last, 'its last word'],
    ]),
};

export const FORMAT_NAMES = Object.keys(FORMATS);

/** Of few different volumes, so that some vectors are made and others taken over. */
function paragraph(number, volume = 0) {
  return `Section ${number} of volume ${volume % 50} has enough words to be cut into pieces and embedded. `.repeat(12);
}

function markdown(first, last, sections) {
  const volume = Number(/\d+/.exec(first)[0]);
  const rest = Array.from({ length: sections }, (_, number) => `## Part ${number}\n\n${paragraph(number, volume)}`);
  return `# Document\n\nThe secret word is ${first}.\n\n${rest.join('\n\n')}\n\nThe last word is ${last}.\n`;
}
