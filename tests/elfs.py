"""ELF files made by hand."""

from __future__ import annotations

import struct


def hand_made(*sections: tuple[bytes, int, bytes], wide: bool = True, order: str = "<") -> bytes:
    """An ELF file of sections (name, type, content)."""
    names = b"\0" + b"".join(name + b"\0" for name, _, _ in sections) + b".shstrtab\0"
    contents = [*(content for _, _, content in sections), names]
    kinds = [*(kind for _, kind, _ in sections), 3]
    head_size, entry = (64, 64) if wide else (52, 40)
    at, offsets = head_size, []
    for content in contents:
        offsets.append(at)
        at += len(content)
    layout = order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII")
    rows = [struct.pack(layout, *[0] * 10)]
    for i, content in enumerate(contents):
        name = names.index((sections[i][0] if i < len(sections) else b".shstrtab") + b"\0")
        rows.append(struct.pack(layout, name, kinds[i], 0, 0, offsets[i], len(content), 0, 0, 1, 0))
    head = b"\x7fELF" + bytes([2 if wide else 1, 2 if order == ">" else 1, 1]) + bytes(9)
    head += struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), 3, 62, 1, 0, 0, at, 0, head_size, 0, 0,
                        entry, len(rows), len(rows) - 1)  # fmt: skip
    return head + b"".join(contents) + b"".join(rows)


def note(owner: bytes, kind: int, content: bytes, order: str = "<") -> bytes:
    """One note of a section of notes."""
    padded = [part + bytes(-len(part) % 4) for part in (owner, content)]
    return struct.pack(order + "3I", len(owner), len(content), kind) + padded[0] + padded[1]
