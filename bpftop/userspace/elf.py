"""What a program or library says about itself: its functions, its USDT markers, how it was made. Nothing is executed.

Formats: elf(5); markers are notes of type 3 called ``stapsdt``, as sys/sdt.h of SystemTap writes them. Files of others
are read: whatever stands in them, the only error is ``NotElf``.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import islice
from pathlib import Path

X86_64 = 62
I386 = 3
_DYNAMIC_LIBRARY = 1
_STAPSDT = 3
_SHT_PROGBITS = 1
_SHT_NOBITS = 8
_XINDEX = 0xFFFF
_MANY = 1 << 16
"""No program has more sections, markers or libraries; what claims to is not believed, or reading it would never end."""
_SECTION_NAME, _LIBRARY_NAME, _NAME = 256, 4096, 1 << 16
"""The longest names, in bytes."""
DEBUG_FILES = Path("/usr/lib/debug")


class NotElf(ValueError):
    """The file is not an ELF file, or a broken one."""


class SymbolKind(Enum):
    """What a symbol stands for."""

    FUNCTION = "function"
    CHOSEN_AT_RUN_TIME = "ifunc"
    """Its code is a resolver that picks one of several variants (STT_GNU_IFUNC)."""
    DATA = "data"
    IMPORTED = "imported"
    """Used here, defined in another file."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One entry of a symbol table."""

    name: str
    kind: SymbolKind
    address: int


@dataclass(frozen=True, slots=True)
class Marker:
    """One place of a USDT marker; a marker that was inlined has several."""

    provider: str
    name: str
    arguments: tuple[str, ...]
    """As the note has them: ``-4@%eax``."""
    address: int
    semaphore: int
    """The address of the counter that switches it on; 0 when it is always on."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    kind: int
    address: int
    offset: int
    size: int
    link: int
    entry: int


class Elf:
    """One ELF file, read when asked. Raises NotElf from every member when the file is broken."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self._data = data
        if bytes(data[:4]) != b"\x7fELF" or len(data) < 52:
            raise NotElf("not an ELF file")
        self._wide = data[4] == 2
        self._order = ">" if data[5] == 2 else "<"
        head = self._unpack("HHIQQQIHHHHHH" if self._wide else "HHIIIIIHHHHHH", 16)
        self.machine, self._sections_at = head[1], head[5]
        self._section_size, self._section_count, self._names_index = head[10:13]

    @property
    def is_go(self) -> bool:
        """The Go tool chain made it."""
        return any(name in self.section_names for name in (".gopclntab", ".go.buildinfo", ".note.go.buildid"))

    @property
    def is_stripped(self) -> bool:
        """It has no table of its own functions, only of those that it exports."""
        return ".symtab" not in self.section_names

    @cached_property
    def section_names(self) -> frozenset[str]:
        """The names of its sections."""
        return frozenset(section.name for section in self._sections)

    @cached_property
    def markers(self) -> tuple[Marker, ...]:
        """Its USDT markers, in the order of the file."""
        notes = (section for section in self._sections if section.name == ".note.stapsdt")
        every = (marker for section in notes for marker in self._markers(self._content(section)))
        found = tuple(islice(every, _MANY + 1))
        if len(found) > _MANY:
            raise NotElf("it has too many markers")
        return found

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The libraries it is linked with: ``libssl.so.3``."""
        names = []
        for section in self._sections:
            if section.name == ".dynamic":
                strings = self._content(self._linked(section))
                for tag, value in self._records(section, "qQ" if self._wide else "iI"):
                    if tag == _DYNAMIC_LIBRARY:
                        names.append(_text(strings, value, _LIBRARY_NAME))
                    if len(names) > _MANY:
                        raise NotElf("it needs too many libraries")
        return tuple(names)

    @cached_property
    def build_id(self) -> str:
        """The number of this very build, in hexadecimal; empty when it has none."""
        for section in self._sections:
            if section.name == ".note.gnu.build-id":
                for owner, kind, content in self._notes(self._content(section)):
                    if owner == b"GNU" and kind == _STAPSDT:  # NT_GNU_BUILD_ID is 3 too
                        return content.hex()
        return ""

    def symbols(self, *wanted: str) -> list[Symbol]:
        """The symbols of these names, without repetition; several when one name stands for several places."""
        found: dict[Symbol, None] = {}
        for name in wanted:
            # A name may be stored as the end of a longer one.
            raw = name.encode() + b"\0"
            for table, strings in self._symbol_tables():
                places = _places(strings, raw)
                for at, *rest in self._symbol_records(table) if places else ():
                    if at in places:
                        found[self._symbol(name, *rest)] = None
        defined = {symbol.name for symbol in found if symbol.kind is not SymbolKind.IMPORTED}
        return [s for s in found if s.kind is not SymbolKind.IMPORTED or s.name not in defined]

    def code(self, address: int, size: int) -> bytes:
        """Up to ``size`` bytes of what is loaded at ``address``; empty when that is in no section."""
        for section in self._sections:
            into = address - section.address
            if section.address and section.kind == _SHT_PROGBITS and 0 <= into < section.size:
                return self._slice(section.offset + into, min(size, section.size - into))
        return b""

    def functions(self) -> Iterator[str]:
        """The names of all its functions, versions cut off; a name may come twice."""
        for table, strings in self._symbol_tables():
            for at, info, section, address in self._symbol_records(table):
                if section and self._symbol("", info, section, address).kind is SymbolKind.FUNCTION:
                    yield _text(strings, at).partition("@")[0]

    # --- tables ---

    @cached_property
    def _sections(self) -> tuple[_Section, ...]:
        if not self._sections_at:
            return ()
        layout = "IIQQQQIIQQ" if self._wide else "IIIIIIIIII"
        first = self._unpack(layout, self._sections_at)
        # Numbers that do not fit in the header are in section 0.
        count = self._section_count or first[5]
        names_index = first[6] if self._names_index == _XINDEX else self._names_index
        if self._section_size < struct.calcsize(self._order + layout) or count > _MANY:
            raise NotElf("a section table that cannot be")
        rows = [self._unpack(layout, self._sections_at + i * self._section_size) for i in range(count)]
        if names_index >= len(rows):
            raise NotElf("a section table without names")
        names = self._slice(rows[names_index][4], rows[names_index][5])
        return tuple(_Section(_text(names, r[0], _SECTION_NAME), r[1], r[3], r[4], r[5], r[6], r[9]) for r in rows)

    def _symbol_tables(self) -> Iterator[tuple[_Section, bytes]]:
        for section in self._sections:
            if section.name in (".symtab", ".dynsym") and section.kind != _SHT_NOBITS:
                yield section, self._content(self._linked(section))

    def _symbol_records(self, table: _Section) -> Iterator[tuple[int, int, int, int]]:
        """Place of the name, info, section, address."""
        if self._wide:
            for name, info, _other, section, address, _size in self._records(table, "IBBHQQ"):
                yield name, info, section, address
        else:
            for name, address, _size, info, _other, section in self._records(table, "IIIBBH"):
                yield name, info, section, address

    @staticmethod
    def _symbol(name: str, info: int, section: int, address: int) -> Symbol:
        kinds = {2: SymbolKind.FUNCTION, 10: SymbolKind.CHOSEN_AT_RUN_TIME}
        kind = SymbolKind.IMPORTED if not section else kinds.get(info & 15, SymbolKind.DATA)
        return Symbol(name, kind, address if section else 0)

    def _markers(self, content: bytes) -> Iterator[Marker]:
        address = struct.Struct(self._order + ("3Q" if self._wide else "3I"))
        for owner, kind, note in self._notes(content):
            if owner == b"stapsdt" and kind == _STAPSDT and len(note) > address.size:
                place, _base, semaphore = address.unpack_from(note)
                texts = note[address.size :].split(b"\0")
                provider, name, arguments = (part.decode("utf-8", "replace") for part in (*texts, b"", b"")[:3])
                yield Marker(provider, name, tuple(arguments.split()), place, semaphore)

    def _notes(self, content: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        """Owner, type and content of each note."""
        at = 0
        while at + 12 <= len(content):
            owner_size, size, kind = struct.unpack_from(self._order + "3I", content, at)
            owner_at = at + 12
            note_at = owner_at + (owner_size + 3 & ~3)
            yield content[owner_at : owner_at + owner_size].rstrip(b"\0"), kind, content[note_at : note_at + size]
            at = note_at + (size + 3 & ~3)

    # --- bytes ---

    def _linked(self, section: _Section) -> _Section:
        if section.link >= len(self._sections):
            raise NotElf("a table without its names")
        return self._sections[section.link]

    def _content(self, section: _Section) -> bytes:
        return b"" if section.kind == _SHT_NOBITS else self._slice(section.offset, section.size)

    def _records(self, section: _Section, layout: str) -> Iterator[tuple[int, ...]]:
        record = struct.Struct(self._order + layout)
        content = self._content(section)
        return record.iter_unpack(content[: len(content) // record.size * record.size])

    def _unpack(self, layout: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self._order + layout, self._data, at)
        except (struct.error, OverflowError):
            raise NotElf("it ends too early") from None

    def _slice(self, at: int, size: int) -> bytes:
        if at + size > len(self._data):
            raise NotElf("it ends too early")
        return bytes(self._data[at : at + size])


def read_elf(path: str) -> Elf:
    """The ELF file at ``path``. Raises OSError when it can't be read and NotElf when it is something else."""
    with open(path, "rb") as file:
        try:
            return Elf(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:  # empty, too
            raise NotElf(str(error)) from None


def debug_file(elf: Elf, folder: Path = DEBUG_FILES) -> Path | None:
    """Where the tables that were stripped from a file are installed, if they are; bpftrace looks there too."""
    path = folder / ".build-id" / elf.build_id[:2] / f"{elf.build_id[2:]}.debug"
    return path if len(elf.build_id) > 2 and path.is_file() else None


def _text(strings: bytes, at: int, most: int = _NAME) -> str:
    if not 0 <= at < len(strings):
        return ""
    end = strings.find(b"\0", at, at + most)
    return strings[at : end if end >= 0 else at + most].decode("utf-8", "replace")


def _places(strings: bytes, wanted: bytes) -> frozenset[int]:
    """Everywhere that this text stands."""
    places, at = [], strings.find(wanted)
    while at >= 0:
        places.append(at)
        at = strings.find(wanted, at + 1)
    return frozenset(places)
