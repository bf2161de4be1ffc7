"""Is there a terminal to draw on? Asked before Textual is imported."""

from __future__ import annotations

import os
import sys

from bpftop.errors import UsageError


def refuse_terminal(target: str = "TARGET") -> None:
    """Raise UsageError when the screen cannot be shown here; ``target`` completes the command to type instead.

    Textual reads keys from stdin and draws on stderr (stdout stays free); TERM=dumb would get full-colour escape
    sequences all the same.
    """
    hint = f"bpftop report {target} -d 10"
    for name, stream in (("stdin", sys.__stdin__), ("stderr", sys.__stderr__)):
        if stream is None or stream.closed or not stream.isatty():
            raise UsageError(f"the live screen needs a terminal, and {name} is not one", hint)
    term = os.environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        said = f"TERM is {term}" if term else "TERM is not set"
        raise UsageError(f"the live screen needs a terminal that can be drawn on, and {said}", hint)
    encoding = (getattr(sys.__stderr__, "encoding", "") or "").lower().replace("-", "").replace("_", "")
    if encoding not in ("utf8", "utf8sig"):
        raise UsageError(f"the live screen writes UTF-8, and stderr is set to {encoding}", f"PYTHONUTF8=1 {hint}")
