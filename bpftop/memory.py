"""A process keeps what it needs: less is imported, threads share one heap, and leftovers of the start go back."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_M_ARENA_MAX = -8
_MADV_DONTNEED = 4
_LIBRARY = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r-[x-]p [^/\[]*/")
_HELD = re.compile(r"^Anonymous: +(\d+) kB", re.MULTILINE)


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """Meanwhile an import of these fails, where none has been before: who asks for them has another way.

    asyncio imports ssl, and hashlib _hashlib, which is OpenSSL: 5 MB that speak to nobody in a process that only draws.
    """
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: it is not to be found
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def one_heap() -> None:
    """All threads of this process and of those forked from it share one: else each keeps what it has once freed."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def settle() -> None:
    """What is there stays: no collector looks at it again, and what is free is given back."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError, ValueError):  # another C library, another kernel
        library = ctypes.CDLL(None)
        library.malloc_trim(0)
        for start, end in _untouched():
            library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _untouched() -> Iterator[tuple[int, int]]:
    """Where code of libraries is mapped as it is in the file: what was needed once for the start is mapped no more."""
    rows = Path("/proc/self/smaps").read_text()
    for part in re.split(r"\n(?=[0-9a-f]+-)", rows):
        place, held = _LIBRARY.match(part), _HELD.search(part)
        if place and held and held[1] == "0":
            yield int(place[1], 16), int(place[2], 16)
