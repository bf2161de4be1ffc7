"""Why bpftrace ended: its own words, turned into one sentence and the next command to type. Pure.

The texts are those of bpftrace 0.14 to 0.27, recorded; several versions have their own words for the same cause, and
some blame something else (0.24 calls a confined container an old kernel).
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable
from typing import TypeAlias

_Build: TypeAlias = "str | Callable[[re.Match[str]], str]"

_CONTAINER = "docker run --privileged --pid=host …"
_MOUNT = "sudo mount -t tracefs tracefs /sys/kernel/tracing"
_DOCTOR = "sudo bpftop doctor"
_TRY = "sudo bpftop doctor --try"
_UPGRADE = "sudo apt-get install -y bpftrace"
_REINSTALL = "sudo apt-get install -y --reinstall bpftrace"
_BTF = "sudo apt-get install -y linux-image-amd64"
_HEADERS = "sudo apt-get install -y linux-headers-$(uname -r)"
_NO_BTF = "the kernel does not describe its types (BTF), and bpftrace needs them for this program"
_CONFINED = (
    "bpftrace may not create its maps: the container is confined, or memory may not be locked (before Linux 5.11)"
)


def _point(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group)


def _list_of(found: re.Match[str]) -> str:
    """The command that shows what the program offers."""
    kind, path = found["kind"] or "uprobe", found["path"]
    return f"sudo bpftrace -l '{'usdt' if kind == 'usdt' else 'uprobe'}:{path}:*'"


def _marker(found: re.Match[str]) -> str:
    what = "marker" if found["kind"] == "usdt" else "function"
    return f"{found['path']} has no {what} {found['name'].rpartition(':')[2]}"


_RULES: tuple[tuple[str, _Build, _Build], ...] = (
    # --- rights
    (
        r"only supports running as the root user|Missing CAP_DAC_READ_SEARCH",
        "bpftrace needs root",
        "sudo bpftop TARGET",
    ),
    (r"Missing (CAP_\w+) capability", lambda m: f"bpftrace lacks {m[1]}: the container is confined", _CONTAINER),
    (r"[Ff]ailed to create +map: .*(?:Cannot allocate|No space)", "no memory for bpftrace's maps", "free -m"),
    (r"Creation of the required BPF maps has failed|[Ff]ailed to create +map", _CONFINED, _CONTAINER),
    (r"missing the BPF_MAP_TYPE_RINGBUF", _CONFINED + "; or the kernel is older than 5.8", _CONTAINER),
    (
        r"perf_event_open: Permission denied",
        "bpftrace may not open perf events: CAP_PERFMON is missing, or CAP_SYS_ADMIN where perf_event_paranoid > 2",
        _CONTAINER,
    ),
    (
        r"mmap: Operation not permitted",
        "the event buffers need more memory than kernel.perf_event_mlock_kb allows",
        "sudo sysctl -w kernel.perf_event_mlock_kb=4096",
    ),
    (
        r"mmap: Invalid argument|Failed to open perf buffer",
        "the event buffers could not be made: their size must be a power of two",
        "unset BPFTRACE_PERF_RB_PAGES",
    ),
    (
        r"Unknown BPF object load failure",
        "the kernel refused to load the program: CAP_BPF or CAP_PERFMON is missing, as in a confined container",
        _CONTAINER,
    ),
    (
        r"Too many open files",
        "the program has more attach points than this process may have open files",
        "ulimit -n 65536",
    ),
    # --- the kernel
    (r"Error reading events from \S*available_events", "tracefs is not mounted", _MOUNT),
    (
        r"[Tt]racepoint not found: ?(\S+)|No matches for tracepoint (\S+?)\.(?:\s|$)",
        lambda m: f"the kernel has no tracepoint {_point(m)}, or tracefs is not mounted",
        _DOCTOR,
    ),
    (
        r"create_probe_event: open\(\S*kprobe_events\): No such file",
        "the kernel has no kprobes (CONFIG_KPROBES)",
        "bpftop scripts",
    ),
    (
        r"(?:Error attaching probe: '?|Unable to attach probe: |No matches for )(?:kprobe|kretprobe)[: ]([^\s'.]+)",
        lambda m: f"the kernel has no function {m[1]} to trace, or no kprobes",
        "bpftop scripts",
    ),
    (
        r"(?:kfunc/kretfunc|fentry/fexit) not available|No matches for (?:fentry|fexit|kfunc|kretfunc) ",
        "the kernel does not let bpftrace trace functions by fentry (kfunc)",
        "bpftop scripts",
    ),
    (  # includes and the kernel's own types, both: up to 0.20 they are not kept apart
        r"/(linux/\S+\.h):\d+:\d+: error: (?:unknown type name '__\w+'|redefinition of )",
        lambda m: f"this bpftrace cannot compile the program's include of {m[1]}: 0.23 and newer can",
        "sudo bpftop run FILE.bt --bpftrace NEWER",
    ),
    (
        r"BTF is required for parsing|'linux/types\.h' file not found|install BTF information"
        r"|unknown type name '(?:u64|size_t)'",
        _NO_BTF,
        _BTF,
    ),
    (
        r"fatal error: '([^']+)' file not found",
        lambda m: f"the script includes {m[1]}, and the kernel headers are not installed",
        _HEADERS,
    ),
    (
        r"Unknown struct/union: '([^']+)'|Cannot resolve unknown type \"([^\"]+)\"",
        lambda m: f"this kernel does not describe {_point(m)} (BTF)",
        _BTF,
    ),
    (
        r"type '(?:struct )?([^']+)' does not contain a field named '([^']+)'",
        lambda m: f"on this kernel {m[1].removeprefix('_tracepoint_').removesuffix('_args')} has no field {m[2]}",
        _TRY,
    ),
    (
        r"Error code: (-\d+) \(([^)]+)\)",
        lambda m: f"the kernel's verifier refused the program: {m[2]}",
        _TRY,
    ),
    (
        r"Error loading (?:BPF )?program(?: for|:) ([^\s.]+)",
        lambda m: f"the kernel refused the program of {m[1]}: its verifier, or a missing capability",
        _TRY,
    ),
    # --- programs of users
    (
        r"Could not resolve symbol: /proc/self/exe:(?:BEGIN|END)_trigger",
        "this bpftrace is stripped, and before 0.16 BEGIN does not work then",
        _UPGRADE,
    ),
    (
        r"(?:usdt|u(?:ret)?probe) target file '([^']+)' does not exist|usdt context for path (\S+)",
        lambda m: f"there is no program {_point(m)}",
        lambda m: f"ls -l {_point(m)}",
    ),
    (
        r"(?:Could not resolve symbol: |No matches for u(?:ret)?probe |(?:No matches for |Failed to find usdt probe: )"
        r"(?P<kind>usdt)[: ])(?P<path>/[^:\s]+):(?P<name>[^\s,]+?)(?:[.,]?(?:\s|$))",
        _marker,
        _list_of,
    ),
    (
        r"^No probes to attach",
        "the program has nothing to attach to: no function or marker has that name",
        "sudo bpftrace -l 'uprobe:/PATH:*'",
    ),
    (
        r"Can't attach to (\d+) probes because it exceeds the current limit of (\d+)",
        lambda m: f"the script has {m[1]} attach points, and this bpftrace takes {m[2]}: narrow its wildcard",
        _UPGRADE,
    ),
    (
        r"(\w+\(\)) is an unsafe function",
        lambda m: f"the script calls {m[1]}, which can change this host",
        "bpftop scripts",
    ),
    (r"failed to open file '([^']+)'", lambda m: f"bpftrace cannot read {m[1]}", lambda m: f"ls -l {m[1]}"),
    (r"Failed to fork child: [Pp]ath '([^']+)'", lambda m: f"there is no program {m[1]}", lambda m: f"ls -l {m[1]}"),
    (r"Failed to run child", "bpftrace could not start the command it was given", _TRY),
    (r"No such process", "the process that bpftrace was given is gone", "ps -e"),
    # --- this bpftrace
    (
        r"Env var '(\w+)' did not contain|Invalid value for (\w+)|(\w+): expecting a number",
        lambda m: f"the setting {_point(m)} of bpftrace is no number",
        lambda m: f"unset {_variable(_point(m))}",
    ),
    (
        r"unable to create (\S+?)/?[^/\s]* \((?:Read-only|Permission|No space)",
        lambda m: f"bpftrace cannot write to {m[1]}",
        lambda m: f"sudo mount -o remount,rw {m[1]}",
    ),
    (
        r"error while loading shared libraries: ([^:\s]+)|version `([^']+)' not found",
        lambda m: f"bpftrace does not start: {_point(m)} is missing",
        _REINSTALL,
    ),
    (
        r"Invalid output format|unrecognized option|invalid option|USAGE:",
        "this bpftrace does not know an option",
        _UPGRADE,
    ),
    (r"Invalid probe type", "this bpftrace does not know a kind of probe that the script uses", _UPGRADE),
    (r"unexpected end of file, expected \{", "the program is empty", "bpftop scripts"),
    (
        r"^[^\s:]*:(\d+)(?::\d+(?:-\d+)?|-\d+): ERROR: (.+?)\.?$",
        lambda m: f"bpftrace does not accept line {m[1]} of the program: {m[2]}",
        _TRY,
    ),
    (r"^ERROR: (syntax.+|unterminated string)$", lambda m: f"bpftrace does not accept the program: {m[1]}", _TRY),
)
_RIGHTS = re.compile(
    r"not permitted|[Pp]ermission denied|CAP_|[Pp]rivilege|BPF maps has failed|perf buffer|object load fail"
)
_COMPILED = tuple((re.compile(pattern, re.MULTILINE), sentence, hint) for pattern, sentence, hint in _RULES)
_SIGNALS = {
    signal.SIGSEGV: ("bpftrace crashed (segmentation fault)", _UPGRADE),
    signal.SIGABRT: ("bpftrace aborted", _UPGRADE),
    signal.SIGKILL: ("bpftrace was killed, perhaps for lack of memory", "sudo dmesg | tail"),
    signal.SIGILL: ("bpftrace is built for another processor", _REINSTALL),
}

_NO_CAUSE_IN_WORDS = (-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGILL)


def lacks_rights(lines: Iterable[str]) -> bool:
    """Whether bpftrace's words are those of a program that was refused something."""
    return any(_RIGHTS.search(line) for line in lines)


def explain(lines: Iterable[str], exit_code: int | None) -> tuple[str, str]:
    """One sentence why bpftrace ended and the next command to type.

    Args:
        lines: what it wrote on stderr, and lines of stdout that are no JSON; foreign words.
        exit_code: as ``subprocess`` tells it: minus the number of a signal; ``None`` when it runs or is unknown.
    """
    # A warning is no cause: up to 0.23 a missing tracepoint among several is one, and the run goes on.
    text = "\n".join(line.rstrip() for line in lines if "WARNING: " not in line)
    if exit_code in _NO_CAUSE_IN_WORDS:
        return _SIGNALS[signal.Signals(-exit_code)]
    for pattern, sentence, hint in _COMPILED:
        if found := pattern.search(text):
            return _said(sentence, found), _said(hint, found)
    if exit_code is not None and -exit_code in _SIGNALS:
        return _SIGNALS[signal.Signals(-exit_code)]
    if complaint := re.search(r"^(?:\S+: )?(?:ERROR|FATAL): (.+)$", text, re.MULTILINE):
        return f"bpftrace says: {complaint[1]}", _TRY
    return f"bpftrace ended{_how(exit_code)} without a word", _TRY


def _said(build: _Build, found: re.Match[str]) -> str:
    return build if isinstance(build, str) else build(found)


def _how(exit_code: int | None) -> str:
    if exit_code is None:
        return ""
    return f" with exit code {exit_code}" if exit_code >= 0 else f" by signal {-exit_code}"


def _variable(setting: str) -> str:
    return setting if setting.isupper() else f"BPFTRACE_{setting.upper()}"
