// How the figures of the scaling benchmark are rounded and summed up.
import { percentile } from './client.mjs';

export function round(value) {
  return Math.round(value * 100) / 100;
}

/** Of a list of times in milliseconds. */
export function timesOf(list) {
  if (list.length === 0) return { requests: 0 };
  return {
    requests: list.length,
    p50_ms: round(percentile(list, 50)),
    p95_ms: round(percentile(list, 95)),
    p99_ms: round(percentile(list, 99)),
    max_ms: round(Math.max(...list)),
  };
}
