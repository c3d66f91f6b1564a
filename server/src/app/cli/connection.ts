import { type ApiClient, createApiClient } from './api-client.ts';
import { CliError, EXIT } from './cli-error.ts';

export interface Connection {
  readonly client: ApiClient;
  close(): Promise<void>;
}

/** A server that runs in this process for the length of one command. */
export interface InProcessServer {
  readonly url: string;
  readonly key: string;
  /** The folder in which it made an installation, as there was none; null: there was. */
  readonly madeIn: string | null;
  stop(): Promise<void>;
}

export interface ConnectionOptions {
  readonly fetch: typeof fetch;
  /** The server that holds the data folder now, if any. */
  findRunning(dataFolder: string | undefined): Promise<{ readonly url: string; readonly key: string } | null>;
  startInProcess(dataFolder: string | undefined): Promise<InProcessServer>;
  /** Tells a person, beside what the command prints. */
  tell(note: string): void;
}

/** Finds what to talk to: the named server, else the one that holds the data folder, else one started for the command. */
export async function openConnection(
  target: { readonly server?: string; readonly key?: string; readonly dataFolder?: string },
  options: ConnectionOptions,
): Promise<Connection> {
  if (target.server !== undefined) {
    if (target.key === undefined)
      throw new CliError(EXIT.usage, '--server needs --key.', {
        hint: 'Make a key where the server runs: chatsphere keys create "My laptop"',
      });
    if (!/^https?:\/\//.test(target.server))
      throw new CliError(EXIT.usage, '--server must be an http:// or https:// address.');
    return {
      client: createApiClient({ url: target.server, key: target.key, fetch: options.fetch }),
      close: async () => {},
    };
  }
  const running = await options.findRunning(target.dataFolder);
  if (running !== null) {
    return {
      client: createApiClient({ ...running, key: target.key ?? running.key, fetch: options.fetch }),
      close: async () => {},
    };
  }
  const server = await options.startInProcess(target.dataFolder);
  if (server.madeIn !== null) {
    options.tell(
      `There was no installation in ${server.madeIn}: a new one was made there (--data-dir names another folder).`,
    );
  }
  return {
    client: createApiClient({ url: server.url, key: target.key ?? server.key, fetch: options.fetch }),
    close: () => server.stop(),
  };
}
