export { type BullMqOptions, type BullMqQueue, openBullMq } from './bullmq-queue.ts';
export { createBullMqTransport } from './bullmq-transport.ts';
export { type BoardPage, createQueueBoard, type QueueBoard } from './queue-board.ts';
