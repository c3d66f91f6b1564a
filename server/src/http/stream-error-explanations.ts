/** Those of streamed answers. */
export const STREAM_ERROR_EXPLANATIONS = {
  stream_interrupted: {
    meaning: 'The answer broke off after it had begun, or the connection to the provider before it had.',
    remedy: 'Resume it if the error has `resume`, else ask again; what came so far is incomplete.',
  },
  stream_expired: {
    meaning: 'There is no stream of this message that the key may read: there never was, or it is no longer kept.',
    remedy:
      'Streams are kept for some minutes after their end; answers of conversations are replayed from what is stored. Ask again.',
  },
  stream_unavailable: {
    meaning:
      'Streams of other servers are in Redis, which this server cannot reach at this moment: it cannot tell whether the answer is there.',
    remedy: 'Ask again after `Retry-After`; another server may see it at once.',
  },
  answer_stopped: {
    meaning: 'The answer was stopped by `POST /v1/messages/{id}/stop` before it had begun.',
    remedy: 'Ask again if you want it after all.',
  },
};
