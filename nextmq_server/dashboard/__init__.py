"""The dashboard: pages for those who operate the queues of a server."""
