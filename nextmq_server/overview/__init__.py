"""The state of queues and of the server at a glance."""
