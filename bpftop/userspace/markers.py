"""``--usdt``: from names of markers to the script that times from one to the other."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from bpftop.errors import UsageError
from bpftop.scripts.attach import REQUEST_KEYS, usdt_script
from bpftop.userspace import files
from bpftop.userspace.elf import Marker
from bpftop.userspace.mapped import Mapped
from bpftop.userspace.values import Attachment, Place

USDT_FORM = "--usdt PATH:START,END"
USDT_COST = "each marked request costs the target about 2 µs"
_PAIRS = (("start", "end"), ("start", "done"), ("entry", "return"), ("begin", "end"))


def usdt(word: str, place: Place, key: str = "") -> Attachment:
    """The script for one ``--usdt`` word; ``key``: arg0 or tid, empty for what fits. Raises UsageError, TargetError."""
    file, start_words, end_words = _usdt_words(word)
    found = _file(file, {_dtrace(start_words[-1]), _dtrace(end_words[-1])}, place)
    markers = files.elf_of(found).markers
    start, end = (_marker(markers, words, found) for words in (start_words, end_words))
    if (start.provider, start.name) == (end.provider, end.name):
        raise UsageError(f"start and end are the same marker {start.name}", _usdt_hint(markers, found, start.name))
    silent = [marker.name for marker in (start, end) if not marker.arguments]
    if silent and key == "arg0":
        raise UsageError(f"the marker {silent[0]} has no arguments, so none can be the key", "--usdt-key tid")
    notes = [USDT_COST]
    if silent and not key:
        notes.append(f"the marker {silent[0]} has no arguments: a request belongs to its thread")
    by = key or ("tid" if silent else REQUEST_KEYS[0])
    script = usdt_script(
        found.path, end.provider, start.name, end.name, key=by, start_provider=start.provider, everyone=place.everyone
    )
    return Attachment(script, tuple(notes))


def _usdt_words(word: str) -> tuple[str, list[str], list[str]]:
    """File (may be empty), and for start and end each the name with or without its provider in front."""
    before, comma, after = word.rpartition(",")
    head, end = before.split(":"), after.split(":")
    file = head.pop(0) if len(head) > 1 else ""
    if not comma or len(head) > 2 or len(end) > 2 or not all((*head, *end)):
        raise UsageError(f"{word!r} is not of the form PATH:START,END or PATH:PROVIDER:START,PROVIDER:END", USDT_FORM)
    return file, head, end


def _file(word: str, names: set[str], place: Place) -> Mapped:
    if word:
        return files.find(word, place)
    return files.first_with(", ".join(sorted(names)), lambda elf: names <= {m.name for m in elf.markers}, place)


def _dtrace(name: str) -> str:
    """``query-start``, as DTrace writes it, is ``query__start`` in the file."""
    return name.replace("-", "__")


def _marker(markers: Sequence[Marker], words: Sequence[str], file: Mapped) -> Marker:
    """The marker that PROVIDER:NAME or NAME means."""
    if not markers:
        raise UsageError(f"{file.name} has no USDT markers", f"readelf -n {file.name}")
    fits = [m for m in markers if m.name == _dtrace(words[-1]) and words[:-1] in ([], [m.provider])]
    providers = sorted({marker.provider for marker in fits})
    if len(providers) > 1:
        raise UsageError(
            f"the marker {words[-1]} exists for several providers: {', '.join(providers)}",
            f"--usdt {file.name}:{providers[0]}:{words[-1]},…",
        )
    if not fits:
        names = list(dict.fromkeys(m.name for m in markers))
        said = ":".join(words)
        raise UsageError(
            f"there is no marker {said} in {file.name}; it has {files.some(names, words[-1])}",
            _usdt_hint(markers, file, words[-1]),
        )
    # All places of an inlined marker have the same arguments; one without would leave the key unset.
    return min(fits, key=lambda marker: len(marker.arguments))


def _usdt_hint(markers: Sequence[Marker], file: Mapped, name: str) -> str:
    """The command with the two markers that are likely meant."""
    names = list(dict.fromkeys(m.name for m in markers))
    near = difflib.get_close_matches(name, names, 1, 0.0)[0]
    for begin, end in _PAIRS:
        for start in (near, near.replace(end, begin)):
            if begin in start and start in names and start.replace(begin, end) in names:
                return f"bpftop report --usdt {file.name}:{start},{start.replace(begin, end)}"
    return f"readelf -n {file.name}"
