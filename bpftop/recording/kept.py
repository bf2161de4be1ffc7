"""Blocks in memory, which most often are never written: compressed quickly, and as for a file only when they are."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bpftop.model import Accounting
from bpftop.recording.blocks import Block
from bpftop.recording.codec import seal

QUICK_BYTES = 64 << 10
"""Larger sections are compressed as for a file at once: ten minutes of them would take long when they are wanted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One block of the last minutes."""

    block: Block
    """Without its payload."""
    accounting: Accounting
    """At its end."""
    sections: Mapping[int, bytes]
    """Each compressed by zlib; empty when ``payload`` is there."""
    payload: bytes

    @classmethod
    def of(cls, block: Block, sections: Mapping[int, bytes], accounting: Accounting) -> Kept:
        """``block`` has no payload, or that of ``sections``."""
        bare = replace(block, payload=b"")
        if block.payload or sum(map(len, sections.values())) > QUICK_BYTES:
            return cls(bare, accounting, {}, block.payload or seal(sections))
        return cls(bare, accounting, {number: zlib.compress(raw, 1) for number, raw in sections.items()}, b"")

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.payload) + sum(map(len, self.sections.values()))

    def whole(self) -> Block:
        """As it is written."""
        sections = {number: zlib.decompress(each) for number, each in self.sections.items()}
        return replace(self.block, payload=self.payload or seal(sections))
