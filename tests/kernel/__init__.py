"""Tests on real bpftrace, real servers and generators of known truth."""
