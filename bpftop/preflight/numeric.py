"""numpy from 2.4 on refuses old processors: said in a sentence, before anything needs it."""

from __future__ import annotations

import re
import shlex
import sys

from bpftop.errors import HostError


def require_numpy() -> None:
    """Import numpy. Raises HostError with the command that installs one that loads here."""
    try:
        import numpy  # noqa: F401
    except (ImportError, RuntimeError) as error:
        hint = f"{shlex.quote(sys.executable)} -m pip install 'numpy<2.4'"
        why = reason(str(error).strip()) or type(error).__name__
        raise HostError(f"numpy does not load here: {why}", hint) from error


def reason(said: str) -> str:
    """The one line that matters of numpy's page of advice, or of a traceback that ends with it."""
    match = re.search(r"^Original error was: (.+)$", said, re.MULTILINE)
    if match:
        return match[1]
    if said.startswith("Traceback"):
        raised = re.findall(r"^\w[\w.]*(?:Error|Exception|Interrupt)\w*: (.+)$", said, re.MULTILINE)
        return str(raised[-1]) if raised else said.splitlines()[-1]
    return said.partition("\n")[0]
