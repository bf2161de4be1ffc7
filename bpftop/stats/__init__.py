"""Pure figures: log-linear buckets, quantiles, the store. No input or output, neither bpftrace nor the screen."""
