"""Everything that reads what others wrote, on bytes that nobody meant: ``make fuzz``."""
