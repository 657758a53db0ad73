"""The version of the distribution, in the one place that need not be parsed to be read."""

__version__ = "0.1.0"
