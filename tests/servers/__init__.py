"""Real servers, each watched by the real tool while a client of exact own count drives it.

``python -m tests.servers`` runs them all and makes the table of ``docs/servers.md``; ``test_servers.py`` runs those
that start in a second or two.
"""
