"""The panes, in the order of their number keys. A new pane is one class and one entry in ``registry.py``."""
