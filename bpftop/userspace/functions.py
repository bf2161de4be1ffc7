"""``--func``: from names of functions to the script that times their calls, where that is safe.

A function is timed by changing the return address on its stack (uretprobe). Some programs do not survive that: Go moves
its stacks, exceptions are lost in the changed frame (the process aborts), and after a switch of stacks a function may
return to the caller of another one. Those are refused unless the user insists.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence

from bpftop.errors import TargetError, UsageError
from bpftop.scripts.attach import SYMBOL, Function, function_script
from bpftop.userspace import files, mapped
from bpftop.userspace.elf import I386, X86_64, Elf, SymbolKind, debug_file, read_elf
from bpftop.userspace.mapped import Mapped
from bpftop.userspace.values import Attachment, Place

FUNC_FORM = "--func PATH:SYMBOL"
UNSAFE = "--func-unsafe"
FUNC_COST = (
    "each call of {names} stops its thread twice: 1 to 3 µs, up to 30 µs in a virtual machine;"
    " do not take a function that is called more than some thousand times a second"
)
_RETURN_POP = {X86_64: 8, I386: 4}
_UNWINDERS = ("__cxa_throw", "__gxx_personality_v0", "rust_eh_personality")
_IMPORTED_UNWINDERS = ("_Unwind_RaiseException", "_Unwind_Resume")
"""Every program that is linked statically with glibc defines these."""
_SWITCHERS = ("jump_fcontext", "zend_fiber_switch_context", "rb_fiber_resume", "co_switch", "coro_transfer")
_IMPORTED_SWITCHERS = ("swapcontext", "makecontext", "setcontext")
_SWITCHING_FILES = ("greenlet", "libboost_context", "libboost_coroutine")


def functions(words: Sequence[str], place: Place, unsafe: bool = False) -> Attachment:
    """The script for all ``--func`` words; ``unsafe``: the user insists. Raises UsageError, TargetError."""
    found = list(
        {(file, symbol): (file, symbol, elf) for file, symbol, elf in (_function(w, place) for w in words)}.values()
    )
    for file, _, elf in found:
        if elf.is_go:
            why = f"{file.name} is a Go program: it moves its stacks, and a return probe would crash it"
            raise TargetError(why, f"bpftop report {os.path.basename(file.name)}")
        if not unsafe and (why := _danger(file, elf, place)):
            raise TargetError(why, f"add {UNSAFE} when you know that this cannot happen")
    symbols = [symbol for _, symbol, _ in found]
    functions = [
        Function(file.path, symbol, _label(symbol, file, symbols), _RETURN_POP.get(elf.machine, 0))
        for file, symbol, elf in found
    ]
    notes = [FUNC_COST.format(names=" and ".join(dict.fromkeys(symbols)))]
    shared = sorted({os.path.basename(file.name) for file, _, _ in found if _is_library(file)})
    if shared:
        notes.append(f"every process that calls it in {', '.join(shared)} is slowed, counted or not")
    return Attachment(function_script(functions, everyone=place.everyone), tuple(notes))


def _function(word: str, place: Place) -> tuple[Mapped, str, Elf]:
    """File and symbol that one ``--func`` word means."""
    file, _, symbol = word.rpartition(":")
    if not symbol or ":" in file:
        form = "name the mangled symbol, as nm lists it" if "::" in word else "it is not of the form PATH:SYMBOL"
        raise UsageError(f"{word!r}: {form}", FUNC_FORM)
    if not SYMBOL.match(symbol):
        raise UsageError(f"{symbol!r} is no function's name: one exact symbol, no patterns", FUNC_FORM)
    found = files.find(file, place) if file else files.first_with(symbol, lambda elf: _has(elf, symbol), place)
    return found, symbol, _checked(found, symbol, place)


def _has(elf: Elf, symbol: str) -> bool:
    return any(found.kind is not SymbolKind.IMPORTED for found in elf.symbols(symbol))


def _checked(file: Mapped, symbol: str, place: Place) -> Elf:
    """The file, when ``symbol`` is exactly one function in it."""
    elf = files.elf_of(file)
    found = elf.symbols(symbol)
    debug = debug_file(elf) if not found or found[0].kind is SymbolKind.IMPORTED else None
    if debug and (stripped := read_elf(str(debug)).symbols(symbol)):
        found = stripped
    kinds = {each.kind for each in found}
    if not found:
        raise _no_function(elf, file, symbol)
    if kinds == {SymbolKind.IMPORTED}:
        raise _elsewhere(elf, file, symbol, place)
    if SymbolKind.CHOSEN_AT_RUN_TIME in kinds:
        why = f"which variant of {symbol} runs is chosen at run time (ifunc), so the name has no code of its own"
        raise UsageError(why, f"nm -D {file.name}")
    if SymbolKind.FUNCTION not in kinds:
        raise UsageError(f"{symbol} in {file.name} is data, not a function", f"nm -D {file.name}")
    addresses = {each.address for each in found if each.kind is SymbolKind.FUNCTION}
    if len(addresses) > 1:
        raise UsageError(
            f"{file.name} has several functions called {symbol}, and bpftrace would take any one", f"nm {file.name}"
        )
    if elf.machine == X86_64 and _unprobeable(elf.code(addresses.pop(), 4)):
        raise UsageError(
            f"{symbol} begins with an instruction on which the kernel puts no probe (lock or segment prefix)",
            f"objdump -d {file.name}, and take a function that calls it",
        )
    return elf


def _unprobeable(code: bytes) -> bool:
    """Whether uprobes refuse the first instruction: is_prefix_bad() in the kernel's arch/x86/kernel/uprobes.c."""
    for byte in code:
        if byte in b"\x26\x2e\x36\x3e\xf0":
            return True
        if byte not in b"\x64\x65\x66\x67\xf2\xf3":
            break
    return False


def _no_function(elf: Elf, file: Mapped, symbol: str) -> UsageError:
    names = set(elf.functions())
    if not names:
        return UsageError(f"{file.name} is stripped: it names no functions at all", f"file {file.name}")
    inside = sorted((name for name in names if symbol.lower() in name.lower()), key=lambda name: (len(name), name))
    near = inside[:3] or difflib.get_close_matches(symbol, sorted(n for n in names if n[:1] == symbol[:1]), 3, 0.6)
    stripped = "; it is stripped, so only what it exports has names" if elf.is_stripped else ""
    like = f"; similar: {', '.join(near)}" if near else ""
    hint = f"bpftop report --func {file.name}:{near[0]}" if near else f"nm -D --defined-only {file.name}"
    return UsageError(f"there is no function {symbol} in {file.name}{like}{stripped}", hint)


def _elsewhere(elf: Elf, file: Mapped, symbol: str, place: Place) -> UsageError:
    """The function is called here and lives in a library: say in which one."""
    for library in mapped.loaded(place.pids, place.proc):
        if os.path.basename(library.name) in elf.needed and _has(files.elf_of(library), symbol):
            hint = f"--func {os.path.basename(library.name)}:{symbol}"
            return UsageError(f"{file.name} calls {symbol} in {library.name}", hint)
    return UsageError(f"{file.name} calls {symbol} in a library: {', '.join(elf.needed)}", f"ldd {file.name}")


def _danger(file: Mapped, elf: Elf, place: Place) -> str:
    """Why return probes could break this program; empty when nothing speaks against them."""
    unwinding = (symbol.kind is SymbolKind.IMPORTED for symbol in elf.symbols(*_IMPORTED_UNWINDERS))
    if elf.symbols(*_UNWINDERS) or any(unwinding):
        return (
            f"{file.name} has exceptions (C++, Rust): one that passes through a timed function would end the process,"
            " because it finds the probe's return address on the stack"
        )
    if switch := _switch(file, elf, place):
        return (
            f"{file.name} switches stacks ({switch}): a switch inside a timed function would make it return to the"
            " wrong place"
        )
    return ""


def _switch(file: Mapped, elf: Elf, place: Place) -> str:
    """By what the functions of this file may be left on one stack and entered on another; empty when by nothing."""
    for symbol in elf.symbols(*_SWITCHERS, *_IMPORTED_SWITCHERS):
        # A C library only defines those that others use; what a program has, it uses.
        if symbol.name in _SWITCHERS or symbol.kind is SymbolKind.IMPORTED or not _is_library(file):
            return symbol.name
    if _is_library(file) and "python" not in file.name:
        return ""  # what the program above it does is not inside its functions
    names = (os.path.basename(other.name) for other in mapped.loaded(place.pids, place.proc))
    return next((name for name in names if name.startswith(_SWITCHING_FILES)), "")


def _is_library(file: Mapped) -> bool:
    return ".so" in os.path.basename(file.name)


def _label(symbol: str, file: Mapped, symbols: Sequence[str]) -> str:
    return symbol if symbols.count(symbol) == 1 else f"{symbol} ({os.path.basename(file.name)})"
