import { createMemoryBus } from '../resilience/index.ts';
import { createBusTransport } from './bus-transport.ts';
import { describeJobTransportContract } from './job-transport.contract.ts';

describeJobTransportContract('a bus', async () => createBusTransport(createMemoryBus()));
