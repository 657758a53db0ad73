"""The engine: BullMQ's queues in Redis, run by BullMQ's own scripts."""
