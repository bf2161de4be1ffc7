"""The same scripts on every bpftrace that Debian ships, and on any other that is named.

``python -m tests.bpftraces`` runs them all and makes the table of ``docs/bpftrace.md``.
"""
