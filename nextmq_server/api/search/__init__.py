"""The routes that look at, or change, jobs of all queues by a filter."""
