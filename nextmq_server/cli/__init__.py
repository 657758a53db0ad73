"""The commands that the server gives to `nextmq`: dev, serve, projects, conformance."""
