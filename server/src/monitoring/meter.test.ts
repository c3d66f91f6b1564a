import { describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../kernel/index.ts';
import { createMeter } from './meter.ts';
import { METRICS } from './metrics.ts';

const quiet = { processMetrics: false };

describe('meter', () => {
  it('declares the metrics that dashboards and other rooms were promised', () => {
    const declared = Object.entries(METRICS).map(([name, { type, labels }]) => `${type} ${name}{${labels.join(',')}}`);
    expect(declared).toEqual([
      'histogram ai_response_time_seconds{model,endpoint}',
      'counter ai_token_usage_total{model,type}',
      'counter ai_error_total{model,error_type}',
      'counter chatsphere_usage_rows_dropped_total{}',
      'counter chatsphere_http_requests_total{method,route,status}',
      'histogram chatsphere_http_request_duration_seconds{method,route}',
      'histogram chatsphere_search_duration_seconds{}',
      'counter chatsphere_embedding_texts_total{model,outcome}',
      'histogram chatsphere_embedding_duration_seconds{model}',
      'histogram chatsphere_job_stage_duration_seconds{kind,stage}',
      'counter chatsphere_job_ended_total{kind,state}',
      'gauge chatsphere_jobs_running{kind}',
      'gauge chatsphere_jobs_queued{kind,stage}',
      'gauge chatsphere_job_oldest_queued_seconds{}',
      'counter chatsphere_announcements_total{outcome}',
      'counter chatsphere_celery_tasks_total{outcome}',
      'gauge chatsphere_queue_announcements{state}',
      'counter chatsphere_background_waited_seconds_total{}',
      'gauge chatsphere_workers_alive{}',
      'counter chatsphere_generation_builds_total{outcome}',
      'counter chatsphere_generation_swaps_total{kind}',
      'histogram chatsphere_generation_swap_duration_seconds{}',
      'counter chatsphere_answers_total{outcome}',
      'counter chatsphere_degraded_answers_total{step}',
      'counter chatsphere_answer_cache_total{result}',
      'gauge chatsphere_answer_streams{}',
      'gauge chatsphere_redis_up{}',
      'histogram chatsphere_redis_command_duration_seconds{command}',
      'counter chatsphere_redis_failures_total{command,reason}',
      'counter chatsphere_model_retries_total{model}',
      'counter chatsphere_model_calls_total{model,outcome}',
      'counter chatsphere_model_fallbacks_total{model}',
      'counter chatsphere_model_rests_total{model,reason}',
      'counter chatsphere_model_hedges_total{model,outcome}',
      'gauge chatsphere_model_circuit_state{model,key}',
      'histogram chatsphere_model_first_token_seconds{model}',
    ]);
  });

  it('renders what was measured', async () => {
    const meter = createMeter({ ...quiet, strict: true });
    meter.count('ai_token_usage_total', { model: 'gpt-4o-mini', type: 'input' }, 12);
    meter.count('ai_token_usage_total', { model: 'gpt-4o-mini', type: 'input' });
    meter.observe('ai_response_time_seconds', { model: 'gpt-4o-mini', endpoint: 'chat' }, 0.3);
    meter.gauge('chatsphere_jobs_running', { kind: 'train' }, 4);
    const { contentType, text: body } = await meter.render();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(body).toContain('ai_token_usage_total{model="gpt-4o-mini",type="input"} 13');
    expect(body).toContain('ai_response_time_seconds_bucket{le="0.5",model="gpt-4o-mini",endpoint="chat"} 1');
    expect(body).toContain('ai_response_time_seconds_sum{model="gpt-4o-mini",endpoint="chat"} 0.3');
    expect(body).toContain('chatsphere_jobs_running{kind="train"} 4');
  });

  it('reports the process and the event loop too', async () => {
    const { text: body } = await createMeter().render();
    expect(body).toContain('process_resident_memory_bytes ');
    expect(body).toContain('nodejs_eventloop_lag_p99_seconds ');
  });

  it('keeps two meters apart', async () => {
    const [first, second] = [createMeter(quiet), createMeter(quiet)];
    first.count('chatsphere_answers_total', { outcome: 'answered' });
    expect((await second.render()).text).not.toContain('outcome="answered"');
  });

  const faults: [string, (meter: ReturnType<typeof createMeter>) => void][] = [
    ['an unknown name', (meter) => meter.count('chatsphere_unknown_total', {})],
    ['a wrong kind', (meter) => meter.count('chatsphere_jobs_running', { kind: 'train' })],
    ['a missing label', (meter) => meter.count('chatsphere_answers_total', {})],
    ['an undeclared label', (meter) => meter.gauge('chatsphere_jobs_running', { kind: 'train', user: 'u' }, 1)],
    ['a counter that goes down', (meter) => meter.count('chatsphere_answers_total', { outcome: 'answered' }, -1)],
    ['not a number', (meter) => meter.observe('chatsphere_search_duration_seconds', {}, Number.NaN)],
  ];

  it.each(faults)('throws in tests on %s', (_, fault) => {
    expect(() => fault(createMeter({ ...quiet, strict: true }))).toThrow(TypeError);
  });

  it.each(faults)('ignores %s in production, with one warning', async (_, fault) => {
    const warnings: string[] = [];
    const logger: Logger = { ...silentLogger, warn: (__, message) => void warnings.push(message) };
    const meter = createMeter({ ...quiet, logger });
    const before = await meter.render();
    fault(meter);
    fault(meter);
    expect(warnings).toHaveLength(1);
    expect(await meter.render()).toEqual(before);
  });

  it('counts a duration as zero when the clock was set back meanwhile', async () => {
    const meter = createMeter({ ...quiet, strict: true });
    meter.observe('chatsphere_search_duration_seconds', {}, -3_600);
    expect((await meter.render()).text).toContain('chatsphere_search_duration_seconds_sum 0');
  });

  it('bounds the values of a label', async () => {
    const meter = createMeter({ ...quiet, strict: true, maxLabelValues: 3 });
    for (let model = 0; model < 1_000; model += 1) {
      meter.count('chatsphere_model_retries_total', { model: `model-${model}${'x'.repeat(model)}` });
    }
    meter.count('chatsphere_model_retries_total', { model: 'model-0' });
    const lines = (await meter.render()).text.split('\n').filter((line) => line.startsWith('chatsphere_model_retries'));
    expect(lines).toHaveLength(4);
    expect(lines).toContain('chatsphere_model_retries_total{model="model-0"} 2');
    expect(lines).toContain('chatsphere_model_retries_total{model="other"} 997');
  });
});
