"""What could be watched on this host."""

from __future__ import annotations

from bpftop.target import listeners
from bpftop.text import safe

_ROWS = 12


def listening() -> str:
    """Processes with listening ports, one a line; empty when none can be seen."""
    found = list(listeners().items())
    if not found:
        return ""
    width = max(len(safe(name, 30)) for name, _ in found)
    lines = [f"  {safe(name, 30):{width}}  {_ports(ports)}" for name, ports in found[:_ROWS]]
    return "\nlistening here\n" + "\n".join(lines) + "\n"


def _ports(ports: tuple[int, ...]) -> str:
    shown = " ".join(f":{port}" for port in ports[:6])
    return shown + (" …" if len(ports) > 6 else "")
