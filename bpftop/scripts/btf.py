"""Where a field is inside a kernel struct, from the kernel's own type information (BTF).

bpftrace can read types itself, but 0.17 parses them again for every level of nesting: +1 s of start-up for the five
structs between a task and its socket. Finding an offset here takes some milliseconds.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from pathlib import Path

from bpftop.btf_file import BTF_PATH
from bpftop.errors import HostError

_MAGIC = 0xEB9F
_KIND_STRUCT = 4
# Fields whose places have not changed since Linux 3.8 (64 bits, network name spaces on), for kernels without BTF.
_KNOWN = {
    ("sock_common", "skc_daddr"): 0,
    ("sock_common", "skc_dport"): 12,
    ("sock_common", "skc_num"): 14,
    ("sock_common", "skc_family"): 16,
    ("sock_common", "skc_net"): 48,
    ("sock_common", "skc_v6_daddr"): 56,
}
_OFFSETOF = re.compile(r"offsetof\(struct (\w+), (\w+)\)")


def place_offsets(text: str, path: Path = BTF_PATH) -> str:
    """``text`` with each ``offsetof(struct S, F)`` replaced by its number in bytes.

    Raises HostError when the kernel has no BTF or no such field and the place is not a known constant.
    """
    return _OFFSETOF.sub(lambda found: str(field_offset(found[1], found[2], path)), text)


def has_types(path: Path = BTF_PATH) -> bool:
    """Whether the kernel describes its types."""
    try:
        return bool(_load(path))
    except (OSError, ValueError, struct.error):
        return False


@lru_cache(maxsize=64)
def field_offset(struct_name: str, field: str, path: Path = BTF_PATH) -> int:
    """The offset in bytes of a direct field of a kernel struct. Raises HostError when it is not found."""
    known = _KNOWN.get((struct_name, field))
    try:
        types, strings = _load(path)
    except (OSError, ValueError, struct.error) as error:
        if known is not None:
            return known
        raise HostError(f"this kernel has no readable type information ({path}): {error}") from error
    offset = _find(types, strings, struct_name, field)
    if offset is None:
        offset = known
    if offset is None:
        raise HostError(f"this kernel's struct {struct_name} has no field {field}")
    return offset


@lru_cache(maxsize=1)
def _load(path: Path) -> tuple[bytes, bytes]:
    """The type and string sections. Format: Documentation/bpf/btf.rst in the kernel's sources."""
    data = path.read_bytes()
    magic, _version, _flags, header_length = struct.unpack_from("=HBBI", data)
    if magic != _MAGIC:
        raise ValueError("not BTF")
    type_at, type_length, string_at, string_length = struct.unpack_from("=4I", data, 8)
    types = data[header_length + type_at : header_length + type_at + type_length]
    return types, data[header_length + string_at : header_length + string_at + string_length]


def _find(types: bytes, strings: bytes, struct_name: str, field: str) -> int | None:
    """Look for the record by its name's number instead of walking 150,000 records of different lengths."""
    name_at = strings.find(b"\0" + struct_name.encode() + b"\0") + 1
    needle = struct.pack("=I", name_at)
    at = types.find(needle) if name_at else -1
    while at >= 0:
        if at % 4 == 0 and at + 12 <= len(types):
            (info,) = struct.unpack_from("=I", types, at + 4)
            if info >> 24 & 0x1F == _KIND_STRUCT:
                offset = _member(types, strings, at + 12, info, field)
                if offset is not None:  # a name may stand for several structs
                    return offset
        at = types.find(needle, at + 1)
    return None


def _member(types: bytes, strings: bytes, at: int, info: int, field: str) -> int | None:
    """The offset of a member of the struct whose members begin at ``at``; ``info`` has their number."""
    mask = 0xFFFFFF if info >> 31 else 0xFFFFFFFF  # with bit 31 set the upper byte is a bit field's size
    for member in range(info & 0xFFFF):
        if at + 12 * member + 12 > len(types):
            return None
        name, _type, bits = struct.unpack_from("=3I", types, at + 12 * member)
        if strings[name : strings.find(b"\0", name)] == field.encode():
            return int(bits & mask) // 8
    return None
