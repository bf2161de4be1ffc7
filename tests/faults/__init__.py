"""What goes wrong around a watch: a bpftrace with bad habits, kills at random moments, clocks, days and crowds."""
