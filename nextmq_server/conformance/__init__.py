"""The receiver's table (protocol sections 2 and 3) as cases, for our own homes and for any handler."""
