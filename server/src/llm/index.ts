export { type ModelId, parseModelId } from './model-id.ts';
export { contentTerms, plainText, questionTerms, type Statement, splitStatements } from './passage-text/index.ts';
export type {
  ChatMessage,
  ChatModel,
  ChatModelEvent,
  ChatModelRequest,
  FinishReason,
  ModelSettings,
  Passage,
  ResponseFormat,
  TokenCounter,
  TokenUsage,
  ToolCall,
  ToolCallDelta,
  ToolChoice,
  ToolDefinition,
} from './ports.ts';
export {
  type ChargedTokens,
  costInNanoUsd,
  createPriceBook,
  type ModelPrice,
  type PriceBook,
  type PriceBookOptions,
  type PriceFile,
  type UnitPrices,
} from './prices/index.ts';
export {
  builtInTemplate,
  builtInVersions,
  customTemplate,
  namesVariable,
  OPEN_TEMPLATE,
  PROMPT_VARIABLES,
  type PromptTemplate,
  type PromptValues,
  type PromptVariableName,
  promptValues,
  renderSystemPrompt,
} from './prompts/index.ts';
export * from './provider/index.ts';
export {
  createExtractiveResort,
  createModelCaller,
  createModelChain,
  createModelHealth,
  createModelRouter,
  createRotation,
  type HedgeAfter,
  type LastResort,
  type ModelAnswer,
  type ModelCallEvent,
  type ModelCaller,
  type ModelCallerOptions,
  type ModelCallOptions,
  type ModelCallReport,
  type ModelCallStart,
  type ModelDeadlines,
  type ModelEntry,
  type ModelTarget,
  type Rotation,
  readAnswer,
} from './router/index.ts';
export { createTokenCounter } from './token-counter.ts';
export { countPrompt } from './token-usage.ts';
export { createToolCallCollector, type ToolCallCollector } from './tool-calls.ts';
