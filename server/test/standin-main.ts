import { type StandinSettings, startStandin } from './openai-standin.ts';

// The stand-in as a process of its own, for benchmarks: tells its address once it listens, takes settings as messages.
const standin = await startStandin();
process.on('message', (settings: Partial<StandinSettings>) => {
  Object.assign(standin.settings, settings);
  process.send?.({ settings: true });
});
process.on('disconnect', () => process.exit(0));
process.send?.({ url: standin.url });
