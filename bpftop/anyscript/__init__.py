"""Any bpftrace program: reading it, running it, keeping what it prints. Knows neither screen nor files."""
