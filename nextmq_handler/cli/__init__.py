"""The `nextmq` command."""
