"""bpftop: live request latency of a server, per client, counted in the kernel."""

__version__ = "0.1.0"
