"""Real servers for tests and demonstrations."""
