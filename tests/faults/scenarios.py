"""Bad habits of a bpftrace, each with what must come of it. ``SEED`` moves the place, the times and the pieces."""

from __future__ import annotations

from dataclasses import dataclass

from bpftop.model import State

_GOOD = """
chance = restless()
on_signals(lambda number: (note(signal=number), os._exit(0)))
ticks = chance.randrange(2, 6)
total = 0
def run(n):
    global total
    for _ in range(n):
        for _ in range(chance.randrange(4)):
            total += 1
            event(now())
        counted(total, total)
        time.sleep(chance.random() / 100)
"""
"""A start without faults: ``run(n)`` makes ticks with events; all that is counted is told."""
_LAST = "note(ready=1)\nforever()"
ENDS_SOMEHOW = -1000


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the fake does, and how a session must look in the end, before it is stopped."""

    name: str
    body: str
    state: State | None = None
    """None: live, or stalled by the time one looks."""
    code: int | None = None
    said: str = ""
    """A pattern in the state's words."""
    rejected: bool = False
    """Some lines could not be read, and that is counted."""
    lost: bool = False
    cut: bool = False
    """Asked to end it writes half a line: that is no loss, unlike that of one that somebody else ended."""
    final: bool = True
    """The last counts noted must be those shown."""


def _at_once(name: str, body: str, code: int, said: str) -> Scenario:
    """It ends before it has begun."""
    return Scenario(name, body, State.FAILED, code, said)


def _ends(name: str, body: str, code: int, said: str, *, rejected: bool = False) -> Scenario:
    """It ends after some good ticks."""
    return Scenario(name, f"{_GOOD}attached(9)\nrun(ticks)\n{body}", State.FAILED, code, said, rejected)


def _lives(name: str, body: str, state: State | None = None, said: str = "", *, last: str = _LAST) -> Scenario:
    """After some good ticks it does something, and no more is counted."""
    return Scenario(name, f"{_GOOD}attached(9)\nrun(ticks)\n{body}\n{last}", state, None, said)


def _cut(name: str, body: str) -> Scenario:
    """As bpftrace when SIGINT finds it in a write to a full pipe."""
    text = f"{_GOOD}attached(9)\nrun(ticks)\non_signals(lambda number: ({body}, os._exit(0)))\n{_LAST}"
    return Scenario(name, text, cut=True)


def _goes_on(name: str, body: str, *, rejected: bool = False, final: bool = True) -> Scenario:
    """Something odd between good ticks."""
    text = f"{_GOOD}attached(9)\nrun(ticks)\n{body}\nrun(2)\n{_LAST}"
    return Scenario(name, text, rejected=rejected, final=final)


_SHAPES = """
for odd in ([], 7, None, {}, {"type": "map"}, {"type": "map", "data": [1]}, {"type": "printf", "data": "E 1 x"},
            {"type": {}, "data": {}}, {"type": "lost_events", "data": {"events": "x"}},
            {"type": "map", "data": {"@counts": {"x": 1, "131772": "y", "1": -5, str(1 << 80): 3}}},
            {"type": "map", "data": {"@target_pids": 3, "@sent": [], "@counts": None}}):
    say(json.dumps(odd).encode() + b"\\n")
say(b"{" + b"[" * 100000 + b"\\n")
"""
_BOUNDS = """
for n in (1 << 63, 1 << 64, 10 ** 300, -1 << 63):
    line("map", {"@counts": {str(2 << 16 | 700): n}})
    printf(f"E 1 {n} {n} 1 1 1 1")
    printf(f"T {n}")
"""
_NEWEST = """
line("attached_probes", dict(probes="9"))
total += 1
printf(f"T {now()}")
line("map", {"@counts": {str(2 << 16 | 700): str(total)}})
line("map", {"@sent": {"1": str(total - 1)}})
note(count=total, sent=total - 1)
printf(f"t {now()}")
line("helper_error", {"msg": "x"})
"""
_BYTEWISE = """
def say(text):
    for byte in text:
        os.write(1, bytes([byte]))
        time.sleep(2e-5)
"""
_CLOCK = """
for step in {steps}:
    total += 1
    event(now() + step * 10**9)
    counted(total, total, now() + step * 10**9)
"""
_DOWN = """
for less in (1, 2):
    printf(f"T {now()}")
    line("map", {"@counts": {str(2 << 16 | 700): max(total - less, 0)}})
    printf(f"t {now()}")
"""
_NO_END = "printf(f'T {now()}'); line('map', {'@counts': {str(2 << 16 | 700): total}})"
_NEVER_COME = """
lost = 1 + SEED % 50
for _ in range(2):
    counted(total + lost, total + lost)
line("lost_events", {"events": lost})
counted(total + lost, total + lost)
"""
_HALF_LINE = 'say(b\'{"type": "printf", "data": "E 1 12345\'[:20 + SEED % 26])'
_HALF_MAP = 'say(b\'{"type": "map", "data": {"@counts": {"131772": 99999\'[:30 + SEED % 24])'
_LIBRARY = "bpftrace: error while loading shared libraries: libbcc.so.0: x"
SCENARIOS = (
    _at_once("refuses", "complain(b'ERROR: tracepoint not found: a:b\\n'); sys.exit(1)", 1, "no tracepoint a:b"),
    _at_once("ends without a word", "time.sleep(SEED % 7 / 50); os._exit(255)", 255, "code 255 without a word$"),
    _at_once("lacks a library", f"complain(b'{_LIBRARY}\\n'); os._exit(127)", 127, "libbcc.so.0 is missing"),
    _at_once("crashes", "os.kill(os.getpid(), signal.SIGSEGV)", -11, r"crashed \(segmentation fault\)$"),
    _at_once("aborts", "os.kill(os.getpid(), signal.SIGABRT)", -6, "aborted$"),
    _at_once("is killed", "time.sleep(SEED % 5 / 50); os.kill(os.getpid(), signal.SIGKILL)", -9, "killed"),
    _at_once("ends well at once", "attached(9); sys.exit(0)", 0, "exit code 0"),
    _ends("ends well early", "os._exit(0)", 0, "exit code 0"),
    _ends("ends badly early", "os._exit(1 + SEED % 200)", ENDS_SOMEHOW, "exit code [1-9]"),
    _ends("half a line", f"{_HALF_LINE}\nos.kill(os.getpid(), signal.SIGKILL)", -9, "killed", rejected=True),
    _ends("half a map", f"{_HALF_MAP}\nos.kill(os.getpid(), signal.SIGSEGV)", -11, "crashed", rejected=True),
    _ends("closes both pipes", "ignores(); os.close(1); os.close(2); forever()", -9, "killed"),
    _ends("leaves a child that holds the pipes",
          "if os.fork(): os._exit(7)\nnote(grandchild=os.getpid())\nignores()\nforever()", 7, "exit code 7"),
    Scenario("hangs at the start", f"{_GOOD}{_LAST}", State.ATTACHING, said="starting bpftrace"),
    Scenario("hangs after the attach", f"{_GOOD}attached(9)\n{_LAST}", State.ATTACHING, said="attaching 9 probes"),
    _lives("hangs later", "", State.STALLED, "no sign of life"),
    _lives("ignores SIGINT", "signal.signal(signal.SIGINT, signal.SIG_IGN)"),
    _lives("ignores SIGINT and SIGTERM", "ignores()"),
    _lives("stops itself", "note(ready=1)", State.STALLED, last="os.kill(os.getpid(), signal.SIGSTOP)"),
    _lives("closes stdout", "os.close(1)", State.STALLED, "no sign of life"),
    _cut("half a line when asked to end", _HALF_LINE),
    _cut("half a map when asked to end", _HALF_MAP),
    _goes_on("a byte at a time", _BYTEWISE),
    _goes_on("a line of a megabyte", "say(b'x' * (1 << 20) + b'\\n')"),
    _goes_on("a map of a megabyte", "line('map', {'@x' * (SEED % 3): {str(n): n for n in range(70000)}})"),
    _goes_on("NUL bytes", "say(b'\\0' * (SEED + 1) + b'\\n{\\0}\\n')", rejected=True),
    _goes_on("no UTF-8", "say(bytes(range(128 + SEED % 50, 256)) + b'\\n{\"\\xff\\n')", rejected=True),
    _goes_on("JSON of other shapes", _SHAPES, rejected=True),
    _goes_on("numbers beyond all bounds", _BOUNDS, rejected=True, final=False),
    _goes_on("a flood on stderr", "for n in range(3000): complain(b'WARNING: %d \\x1b[31m\\xff\\n' % n * 9)"),
    _goes_on("a flood of events", "for _ in range(5000): total += 1; event(now())"),
    _goes_on("the oldest dialect", "say(b'\\n\\nLost 3 events\\nAttaching 9 probes...\\n'); line('time', '12:00')"),
    _goes_on("the newest dialect", _NEWEST),
    Scenario("ticks before the attach", f"{_GOOD}run(1)\nattached(9)\nrun(ticks)\n{_LAST}"),
    _goes_on("an end said twice", "printf(f't {now()}'); printf(f't {now()}')"),
    _goes_on("a beginning said twice", "printf(f'T {now()}'); printf(f'T {now()}')"),
    _goes_on("a tick without an end", _NO_END),
    _goes_on("a clock that goes back", _CLOCK.format(steps="(-1, -60, -3600)")),
    _lives("a clock that jumps ahead", _CLOCK.format(steps="(60, 3600, 10**6)")),
    _goes_on("counts that go down", _DOWN, final=False),
    Scenario("events that never come", f"{_GOOD}attached(9)\nrun(ticks)\n{_NEVER_COME}\n{_LAST}", lost=True),
)  # fmt: skip
