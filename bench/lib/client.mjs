// A small client of the HTTP interface for benchmarks.

export function createClient({ url, key }) {
  async function request(method, path, { json, form, headers = {} } = {}) {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: form ?? (json === undefined ? undefined : JSON.stringify(json)),
    });
    const body = await response.json();
    if (!response.ok)
      throw Object.assign(
        new Error(`${method} ${path}: ${response.status} ${body.error?.code} ${body.error?.message}`),
        { status: response.status, code: body.error?.code },
      );
    return body;
  }
  /** A request with a body of bytes, or with an answer of bytes. */
  async function transfer(method, path, body) {
    const type = body === undefined ? {} : { 'content-type': 'application/gzip' };
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, ...type },
      ...(body === undefined ? {} : { body }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    if (!response.ok)
      throw Object.assign(new Error(`${method} ${path}: ${response.status} ${bytes}`), { status: response.status });
    return bytes;
  }

  return {
    url,
    request,
    download: (path) => transfer('GET', path),
    upload: (path, bytes) => transfer('POST', path, bytes),
    get: (path) => request('GET', path),
    post: (path, json) => request('POST', path, { json }),
    delete: (path) => request('DELETE', path),
    async *list(path) {
      for (let after = ''; ; ) {
        const page = await request(
          'GET',
          `${path}${path.includes('?') ? '&' : '?'}limit=100&order=asc${after && `&after=${after}`}`,
        );
        yield* page.data;
        if (!page.has_more) return;
        after = page.last_id;
      }
    },
  };
}

/** Runs `work` over the items, at most `width` at once, keeping the order of the results. */
export async function mapBounded(items, width, work) {
  const results = new Array(items.length);
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index], index);
    }),
  );
  return results;
}

/** The given percentile (0..100) of numbers. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((share / 100) * sorted.length))] ?? Number.NaN;
}
