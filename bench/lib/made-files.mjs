// The smallest files of each format, made in code.
import { zipOf } from './zip.mjs';

const XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>';
const PACKAGE = 'http://schemas.openxmlformats.org/package/2006';
const OFFICE = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';

/** A PDF: one page, a line of text each. ASCII only, without brackets. */
export function pdfOf(lines) {
  const text = lines.map((line) => `(${line}) Tj T*`).join('\n');
  const content = `BT /F1 11 Tf 14 TL 60 780 Td\n${text}\nET`;
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, index) => {
    const offset = file.length;
    file += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const start = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${offsets.join('')}`;
  return Buffer.from(
    `${file}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`,
    'latin1',
  );
}

/** A Word document of paragraphs. */
export function docxOf(paragraphs) {
  const body = paragraphs.map((text) => `<w:p><w:r><w:t>${text}</w:t></w:r></w:p>`).join('');
  const main = 'http://schemas.openxmlformats.org/wordprocessingml/2006/main';
  return packageOf('word/document.xml', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document', [
    ['word/document.xml', `${XML}<w:document xmlns:w="${main}"><w:body>${body}</w:body></w:document>`],
  ]);
}

/** A workbook with one sheet of text cells. */
export function xlsxOf(rows) {
  const cells = (row) => row.map((text) => `<c t="inlineStr"><is><t>${text}</t></is></c>`).join('');
  const data = rows.map((row, index) => `<row r="${index + 1}">${cells(row)}</row>`).join('');
  const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main';
  const sheets = `<sheets><sheet name="Words" sheetId="1" r:id="rId1"/></sheets>`;
  return packageOf('xl/workbook.xml', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet', [
    ['xl/workbook.xml', `${XML}<workbook xmlns="${main}" xmlns:r="${OFFICE}">${sheets}</workbook>`],
    ['xl/_rels/workbook.xml.rels', relationships('worksheet', 'worksheets/sheet1.xml')],
    ['xl/worksheets/sheet1.xml', `${XML}<worksheet xmlns="${main}"><sheetData>${data}</sheetData></worksheet>`],
  ]);
}

function packageOf(main, type, parts) {
  const types = `<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/${main}" ContentType="${type}.main+xml"/>`;
  return zipOf([
    ['[Content_Types].xml', `${XML}<Types xmlns="${PACKAGE}/content-types">${types}</Types>`],
    ['_rels/.rels', relationships('officeDocument', main)],
    ...parts,
  ]);
}

function relationships(type, target) {
  return `${XML}<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="rId1" Type="${OFFICE}/${type}" Target="${target}"/></Relationships>`;
}
