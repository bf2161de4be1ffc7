"""The command line: words in, a verb run, errors printed, an exit code out. The only place that prints."""

from bpftop.cli.dispatch import main

__all__ = ["main"]
