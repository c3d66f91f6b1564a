import { AppError } from '../../kernel/index.ts';
import type { PageSpace, TextItem } from './pdf-fragments.ts';

/** An open PDF. Call `close` when done. */
export interface PdfDocument {
  readonly pages: number;
  readonly title: string | null;
  /** @throws AppError `parse_failed` when the page is damaged. */
  readPage(number: number): Promise<PageSpace & { readonly items: readonly TextItem[] }>;
  /** Whether anything is drawn on the first pages, pictures or shapes. */
  isDrawnOn(): Promise<boolean>;
  /** Gives memory back between pages. */
  cleanUp(): Promise<void>;
  close(): Promise<void>;
}

/** Pages that are looked at to tell a scan from empty pages. */
const PAGES_TO_LOOK_AT = 3;
const FLAG_HIDDEN = 2;

/**
 * Opens a PDF with pdf.js, in this thread: no fonts, character maps or images from anywhere, no code run, no output.
 *
 * @throws AppError `password_protected` (an empty password does not open it) or `parse_failed`.
 */
export async function openPdf(bytes: Uint8Array, name: string): Promise<PdfDocument> {
  const { getDocumentProxy } = await import('unpdf');
  try {
    // pdf.js takes the bytes it is given away from their owner.
    const proxy = await getDocumentProxy(new Uint8Array(bytes), {
      verbosity: 0,
      isEvalSupported: false,
      useSystemFonts: false,
      disableFontFace: true,
      standardFontDataUrl: undefined,
      cMapUrl: undefined,
      useWorkerFetch: false,
      useWasm: false,
      enableXfa: false,
      isOffscreenCanvasSupported: false,
      isImageDecoderSupported: false,
      maxImageSize: 1,
    });
    const { info } = await proxy.getMetadata();
    return wrap(proxy, info, { name, hasImages: holdsImages(bytes) });
  } catch (error) {
    throw refusal(error, name);
  }
}

type Proxy = Awaited<ReturnType<typeof import('unpdf')['getDocumentProxy']>>;

function wrap(
  proxy: Proxy,
  info: object,
  { name, hasImages }: { readonly name: string; readonly hasImages: boolean },
): PdfDocument {
  const isForm = 'IsAcroFormPresent' in info && info.IsAcroFormPresent === true;
  return {
    pages: proxy.numPages,
    title: 'Title' in info && typeof info.Title === 'string' ? info.Title : null,
    async readPage(number) {
      try {
        const page = await proxy.getPage(number);
        const { items, styles } = await page.getTextContent();
        const fields = isForm ? (await page.getAnnotations()).flatMap(fieldText) : [];
        page.cleanup();
        return {
          items: [...items.filter((item) => 'str' in item), ...fields],
          view: page.view,
          verticalFonts: new Set(Object.keys(styles).filter((font) => styles[font]?.vertical)),
        };
      } catch (error) {
        throw damaged(`Page ${number} of "${name}"`, error);
      }
    },
    async isDrawnOn() {
      if (hasImages) return true;
      for (let number = 1; number <= Math.min(PAGES_TO_LOOK_AT, proxy.numPages); number += 1) {
        const page = await proxy.getPage(number);
        if ((await page.getOperatorList()).fnArray.length > 0) return true;
      }
      return false;
    },
    cleanUp: async () => {
      await proxy.cleanup();
    },
    close: () => proxy.loadingTask.destroy(),
  };
}

/** What is filled in a field of a form, as text in its place. */
function fieldText(annotation: unknown): readonly TextItem[] {
  if (typeof annotation !== 'object' || annotation === null) return [];
  const { fieldType, fieldValue, rect, annotationFlags, password } = annotation as Readonly<Record<string, unknown>>;
  if ((fieldType !== 'Tx' && fieldType !== 'Ch') || password === true) return [];
  if (typeof annotationFlags === 'number' && (annotationFlags & FLAG_HIDDEN) !== 0) return [];
  const value = Array.isArray(fieldValue) ? fieldValue.join(', ') : fieldValue;
  if (typeof value !== 'string' || !Array.isArray(rect) || rect.length !== 4) return [];
  const [left, bottom, right, top] = rect.map(Number);
  const height = Math.min(Math.abs((top ?? 0) - (bottom ?? 0)) * 0.7, 12);
  return value.split(/[\r\n]+/).map((str, line) => ({
    str,
    transform: [height, 0, 0, height, left ?? 0, (top ?? 0) - height * (1.1 + 1.2 * line)],
    width: Math.min((right ?? 0) - (left ?? 0), str.length * height * 0.5),
    height,
    fontName: 'field',
  }));
}

/** Image objects are never within compressed objects, so their dictionaries can be seen in the bytes. */
function holdsImages(bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return buffer.includes('/Subtype/Image') || buffer.includes('/Subtype /Image');
}

function refusal(error: unknown, name: string): AppError {
  if (error instanceof Error && error.name === 'PasswordException') {
    return new AppError(
      'password_protected',
      `"${name}" opens only with a password. Save it without one and upload it again.`,
    );
  }
  return damaged(`"${name}"`, error);
}

function damaged(what: string, cause: unknown): AppError {
  return new AppError(
    'parse_failed',
    `${what} is damaged and cannot be read. If it opens in a PDF reader, print it to a new PDF there and upload that.`,
    { cause },
  );
}
