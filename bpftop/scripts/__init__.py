"""The probe scripts: found, their headers read, composed with the shared parts to one plain bpftrace program."""

from bpftop.scripts.catalog import catalog
from bpftop.scripts.compose import compose
from bpftop.scripts.header import parse_script

__all__ = ["catalog", "compose", "parse_script"]
