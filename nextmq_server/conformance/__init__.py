"""The receiver's table (protocol sections 2 and 3) as cases: for this library's integrations and any handler."""
