"""Sources of figures: bpftrace itself and what stands in for it, decoded to messages."""
