"""The metrics of a server process, in Prometheus's text format."""
