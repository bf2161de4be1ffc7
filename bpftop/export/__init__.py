"""Snapshots as files and as text for pipes: CSV, JSON, a plain report. Nothing here knows a screen."""

from bpftop.export.report_csv import csv_header, csv_rows
from bpftop.export.report_json import to_json
from bpftop.export.report_text import to_text
from bpftop.export.snapshot_csv import write_snapshot

__all__ = ["csv_header", "csv_rows", "to_json", "to_text", "write_snapshot"]
