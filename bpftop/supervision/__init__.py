"""Two processes in place of one: a small one with root's rights, and one without rights that reads, draws and writes.

The supervisor owns the bpftrace children and the terminal's modes, and reads nothing that bpftrace says: the reading
ends of bpftrace's pipes are handed to the other process, which may ask for a few things by name (``requests``).
"""
