"""Deliveries: send each job to its app over HTTP, signed, and turn the answer into a verdict."""
