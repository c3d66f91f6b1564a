export type {
  DocumentParser,
  ParsedChunk,
  ParsedDocument,
  ParserInput,
  QuestionAndAnswer,
  SourceContent,
  SourceOptions,
  Trainer,
  UploadedFile,
  Upsert,
} from './ports.ts';
