"""The screen of ``bpftop run``: any program's maps and words."""
