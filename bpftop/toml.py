"""TOML that others wrote: whatever is in it, the answer is a table or one error."""

from __future__ import annotations

import tomllib
from typing import Any


class BadToml(ValueError):
    """It is no TOML; the message says where, as far as it is known."""


def loads(text: str) -> dict[str, Any]:
    """The table in ``text``. Raises BadToml, for endless brackets and numbers of a thousand digits too."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise BadToml("it is nested too deeply") from error
    except ValueError as error:
        raise BadToml(str(error)) from error
