/** What a metric is called, what it counts, and which labels it always bears. */
export type MetricDeclaration =
  | { readonly type: 'counter' | 'gauge'; readonly help: string; readonly labels: readonly string[] }
  | {
      readonly type: 'histogram';
      readonly help: string;
      readonly labels: readonly string[];
      /** Upper bounds, in seconds. */
      readonly buckets: readonly number[];
    };

const MODEL_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120];
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120];
const SEARCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
const EMBEDDING_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const REDIS_SECONDS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1];
const STAGE_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30, 60, 300, 900, 3_600];

/** Every metric of the house. Dashboards and alerts depend on these names: they may be added to, not changed. */
export const METRICS: Readonly<Record<string, MetricDeclaration>> = {
  ai_response_time_seconds: {
    type: 'histogram',
    help: 'Time of an answer or model call, from request to last token, by model and endpoint.',
    labels: ['model', 'endpoint'],
    buckets: MODEL_SECONDS,
  },
  ai_token_usage_total: {
    type: 'counter',
    help: 'Tokens sent to and received from models, by type (input, output).',
    labels: ['model', 'type'],
  },
  ai_error_total: {
    type: 'counter',
    help: 'Model calls that failed, by error code.',
    labels: ['model', 'error_type'],
  },
  chatsphere_usage_rows_dropped_total: {
    type: 'counter',
    help: 'Usage rows that were lost because the database was away for too long or refused them.',
    labels: [],
  },
  chatsphere_http_requests_total: {
    type: 'counter',
    help: 'HTTP requests answered, by route pattern.',
    labels: ['method', 'route', 'status'],
  },
  chatsphere_http_request_duration_seconds: {
    type: 'histogram',
    help: 'Time from an HTTP request to the end of its response.',
    labels: ['method', 'route'],
    buckets: REQUEST_SECONDS,
  },
  chatsphere_search_duration_seconds: {
    type: 'histogram',
    help: 'Time to retrieve passages for a query.',
    labels: [],
    buckets: SEARCH_SECONDS,
  },
  chatsphere_embedding_texts_total: {
    type: 'counter',
    help: 'Texts asked to be embedded, by outcome.',
    labels: ['model', 'outcome'],
  },
  chatsphere_embedding_duration_seconds: {
    type: 'histogram',
    help: 'Time of one call to an embedder.',
    labels: ['model'],
    buckets: EMBEDDING_SECONDS,
  },
  chatsphere_job_stage_duration_seconds: {
    type: 'histogram',
    help: 'Time of one run of a stage of a job.',
    labels: ['kind', 'stage'],
    buckets: STAGE_SECONDS,
  },
  chatsphere_job_ended_total: {
    type: 'counter',
    help: 'Jobs that ended, by final state.',
    labels: ['kind', 'state'],
  },
  chatsphere_jobs_running: { type: 'gauge', help: 'Stages running in this process.', labels: ['kind'] },
  chatsphere_jobs_queued: {
    type: 'gauge',
    help: 'Jobs that wait, also those put off to later.',
    labels: ['kind', 'stage'],
  },
  chatsphere_job_oldest_queued_seconds: {
    type: 'gauge',
    help: 'How long the job that waits longest could have run.',
    labels: [],
  },
  chatsphere_announcements_total: {
    type: 'counter',
    help: 'Announcements of jobs to a queue that processes share, by outcome (sent, skipped because enough wait, local because the queue is away).',
    labels: ['outcome'],
  },
  chatsphere_celery_tasks_total: {
    type: 'counter',
    help: 'Tasks that came through Celery and ended here, by outcome (succeeded, failed, retried, expired, refused).',
    labels: ['outcome'],
  },
  chatsphere_queue_announcements: {
    type: 'gauge',
    help: 'Announcements of jobs in the queue that processes share, by state.',
    labels: ['state'],
  },
  chatsphere_background_waited_seconds_total: {
    type: 'counter',
    help: 'Time that steps of background work have waited for questions to go first.',
    labels: [],
  },
  chatsphere_workers_alive: { type: 'gauge', help: 'Processes that run jobs and were heard of lately.', labels: [] },
  chatsphere_generation_builds_total: {
    type: 'counter',
    help: 'Builds of index generations that ended, by outcome (swapped, waiting, failed, cancelled).',
    labels: ['outcome'],
  },
  chatsphere_generation_swaps_total: {
    type: 'counter',
    help: 'Times that another index generation of a bot took over, by kind (automatic, manual, rollback).',
    labels: ['kind'],
  },
  chatsphere_generation_swap_duration_seconds: {
    type: 'histogram',
    help: 'Time of the transaction that lets another index generation answer.',
    labels: [],
    buckets: SEARCH_SECONDS,
  },
  chatsphere_answers_total: {
    type: 'counter',
    help: 'Questions answered, by outcome.',
    labels: ['outcome'],
  },
  chatsphere_degraded_answers_total: {
    type: 'counter',
    help: 'Answers that fell short of what was asked for, by step of the degradation ladder.',
    labels: ['step'],
  },
  chatsphere_answer_cache_total: {
    type: 'counter',
    help: 'Where answers come from: kept (exact, semantic), joined (made for an equal question just now), waited (made by another process), miss (made anew), off (not to be kept).',
    labels: ['result'],
  },
  chatsphere_answer_streams: {
    type: 'gauge',
    help: 'Streamed answers that are being made, also those that nobody reads for a moment.',
    labels: [],
  },
  chatsphere_redis_up: {
    type: 'gauge',
    help: '1 while Redis answers in time, 0 while each process goes on with its own memory.',
    labels: [],
  },
  chatsphere_redis_command_duration_seconds: {
    type: 'histogram',
    help: 'Time that Redis took to answer, by what it was asked for.',
    labels: ['command'],
    buckets: REDIS_SECONDS,
  },
  chatsphere_redis_failures_total: {
    type: 'counter',
    help: 'Commands that Redis did not carry out in time, by what it was asked for and reason (timeout, connection, refused).',
    labels: ['command', 'reason'],
  },
  chatsphere_model_retries_total: {
    type: 'counter',
    help: 'Model calls that were tried again.',
    labels: ['model'],
  },
  chatsphere_model_calls_total: {
    type: 'counter',
    help: 'Calls of models that ended, by outcome (ok, failed, cancelled).',
    labels: ['model', 'outcome'],
  },
  chatsphere_model_fallbacks_total: {
    type: 'counter',
    help: 'Answers that a later model of a chain gave, by that model.',
    labels: ['model'],
  },
  chatsphere_model_rests_total: {
    type: 'counter',
    help: 'Times that a model rested under one key because its provider said so, by error code.',
    labels: ['model', 'reason'],
  },
  chatsphere_model_hedges_total: {
    type: 'counter',
    help: 'Second calls made because the first was slow to begin, by outcome (won, lost).',
    labels: ['model', 'outcome'],
  },
  chatsphere_model_circuit_state: {
    type: 'gauge',
    help: 'State of the circuit of a model under one key: 0 closed, 1 half-open, 2 open.',
    labels: ['model', 'key'],
  },
  chatsphere_model_first_token_seconds: {
    type: 'histogram',
    help: 'Time from a call of a model to its first visible token.',
    labels: ['model'],
    buckets: MODEL_SECONDS,
  },
};
