"""What requests may say, and what is kept of it: limits that the API and the registry share."""
