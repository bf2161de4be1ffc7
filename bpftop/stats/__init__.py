"""Pure figures: log-linear buckets, quantiles, the store. No input or output, no knowledge of bpftrace or the screen."""
