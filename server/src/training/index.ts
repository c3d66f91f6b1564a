export { createDocumentParser, type DocumentParserOptions, type ParseLimits } from './document-parser.ts';
export { embedMissingVectors, type MissingVectorsOptions } from './missing-vectors.ts';
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
export { createTrainer, type TrainerLimits, type TrainerOptions } from './trainer.ts';
export { createTrainingHandler, type TrainingHandlerOptions } from './training-handler.ts';
