"""The queue in process: BullMQ's semantics and virtual time. One subject in each module, none does I/O."""
