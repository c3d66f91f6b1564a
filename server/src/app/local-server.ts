import { resolve } from 'node:path';
import { createDeadline, systemClock } from '../kernel/index.ts';
import type { RunningApplication } from './application.ts';
import { type ApiClient, asList, asText, createApiClient, type Wire } from './cli/api-client.ts';
import type { InProcessServer } from './cli/connection.ts';
import { DEMO_SLUG } from './demo-slug.ts';

const DEMO_WAIT_MS = 20_000;
const POLL_MS = 100;

export interface LocalServerOptions {
  readonly version: string;
  /** Folder of the project's own documentation. */
  readonly documentation: string;
}

/** What the command line does with a data folder on this machine. */
export interface LocalServers {
  /** The server that holds the data folder now, with a key that works until it stops. */
  findRunning(dataFolder: string | undefined): Promise<{ readonly url: string; readonly key: string } | null>;
  /** What the running server says of its workers; null when none runs. */
  findWorkers(dataFolder: string | undefined): Promise<Wire | null>;
  /** The application on a free loopback port, for one command; the demo bot is trained when it resolves. */
  startInProcess(dataFolder: string | undefined): Promise<InProcessServer>;
  /** Opens the application, has it embed a word, and closes it. */
  tryApplication(dataFolder: string | undefined): Promise<{ readonly embedder: string; readonly chatModel: string }>;
}

export function createLocalServers(options: LocalServerOptions): LocalServers {
  async function start(dataFolder: string | undefined): Promise<RunningApplication> {
    const { configWith } = await import('./config.ts');
    const config = configWith({ ...folderOverride(dataFolder), host: '127.0.0.1', port: 0 });
    const logLevel = config.logLevel === 'info' ? 'warn' : config.logLevel;
    const { startApplication } = await import('./application.ts');
    return startApplication({ ...config, logLevel }, { ...options, makeAdminKey: false });
  }
  return {
    async findRunning(dataFolder) {
      const [{ readDataFolderLock }, { configWith }] = await Promise.all([
        import('../adapters/file-system/index.ts'),
        import('./config.ts'),
      ]);
      const holder = await readDataFolderLock(configWith(folderOverride(dataFolder)).dataFolder);
      return holder?.url === undefined || holder.key === undefined ? null : { url: holder.url, key: holder.key };
    },
    async findWorkers(dataFolder) {
      const running = await this.findRunning(dataFolder);
      return running === null ? null : createApiClient({ ...running, fetch }).request('GET', '/v1/workers');
    },
    async startInProcess(dataFolder) {
      const madeIn = await missingInstallation(dataFolder);
      const application = await start(dataFolder);
      await application.demoQueued;
      await demoTrained(clientOf(application));
      return { url: application.url, key: application.localKey, madeIn, stop: () => application.stop() };
    },
    async tryApplication(dataFolder) {
      const application = await start(dataFolder);
      try {
        await clientOf(application).request('POST', '/v1/embeddings', {
          json: { model: application.embedder, input: 'hello' },
        });
        return { embedder: application.embedder, chatModel: application.chatModel };
      } finally {
        await application.stop();
      }
    },
  };
}

/** The data folder when it holds no installation yet; null when it does, or a database elsewhere does. */
async function missingInstallation(override: string | undefined): Promise<string | null> {
  const [{ holdsData }, { configWith }] = await Promise.all([
    import('../adapters/file-system/index.ts'),
    import('./config.ts'),
  ]);
  const { dataFolder, database } = configWith(folderOverride(override));
  return database !== null || (await holdsData(dataFolder)) ? null : resolve(dataFolder);
}

function clientOf({ url, localKey }: RunningApplication): ApiClient {
  return createApiClient({ url, key: localKey, fetch });
}

function folderOverride(dataFolder: string | undefined): { readonly dataFolder?: string } {
  return dataFolder === undefined ? {} : { dataFolder };
}

/** Only the very first command waits here: later ones find everything trained. */
async function demoTrained(client: ApiClient): Promise<void> {
  using deadline = createDeadline(DEMO_WAIT_MS);
  while (!deadline.signal.aborted) {
    const page = await client.request('GET', `/v1/bots/${DEMO_SLUG}/sources?limit=100`).catch(() => ({ data: [] }));
    const unfinished = asList(page['data']).some((source) =>
      ['queued', 'processing'].includes(asText(source['status'])),
    );
    if (!unfinished) return;
    await systemClock.sleep(POLL_MS);
  }
}
