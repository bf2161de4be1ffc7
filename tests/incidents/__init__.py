"""Incidents of known cause on a real nginx, and what the verdict says of them."""
