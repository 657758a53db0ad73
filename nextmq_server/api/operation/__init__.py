"""Routes for those who operate the server: what is wrong, since when, and why."""
