"""Commands that change jobs and queues. Each says what it does to how many jobs, and asks."""
