/** Those of the server's own setup: its database, its files and its settings. */
export const SETUP_ERROR_EXPLANATIONS = {
  database_unavailable: {
    meaning: 'The database does not answer.',
    remedy: 'Try again; the operator of the server finds the cause in the log.',
  },
  role_needs_database: {
    meaning: 'The server and its workers were divided into processes that share no database.',
    remedy: 'Set `DATABASE_URL`, or run one process for everything: leave out `ROLE` and `--no-worker`.',
  },
  secret_mismatch: {
    meaning:
      'The server was started with another secret than the one that the API keys of the database were made with.',
    remedy:
      'Set `CHATSPHERE_SECRET`, or bring back the file `secret` of the data folder, as they were. If the secret is lost, start once with `chatsphere serve --new-secret` and make all API keys anew.',
  },
  vector_extension_missing: {
    meaning: 'The PostgreSQL database has no pgvector, or one that is too old.',
    remedy:
      'Install pgvector 0.8 or later on the server of the database, and let a superuser run `CREATE EXTENSION vector` in the database. Or set `VECTOR_STORE=embedded`, if one process alone answers.',
  },
  configuration_invalid: {
    meaning: 'A setting of the server is wrong.',
    remedy: 'The operator of the server must correct the setting that the message names.',
  },
};
