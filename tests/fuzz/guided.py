"""One target under atheris (libFuzzer: inputs that reach new code are kept and changed further).

``python -m tests.fuzz.guided TARGET [options of libFuzzer] [folders with inputs]``; a find is written where
``-artifact_prefix=`` says. Needs a process of its own: libFuzzer ends it.
"""

from __future__ import annotations

import sys

import atheris


def main() -> None:
    """Fuzz until an option of libFuzzer says stop, or something is found."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["bpftop"]):
        from tests.fuzz.targets import TARGETS
    run = TARGETS[name].run
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
