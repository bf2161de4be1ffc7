"""The dialect of ``bt/``: what every bpftrace from 0.17 on accepts, and what stays exact under load.

``python -m bpftop.scripts.lint bt`` reads the raw files and prints ``file:line: why``. Nothing is executed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_LINES = 70
"""Lines of code: a script is read by a person. The header, comments and blank lines do not count."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a script may not say, and why."""

    pattern: re.Pattern[str]
    why: str
    except_in: tuple[str, ...] = ()
    """Paths below ``bt/`` where it is right."""
    in_strings: bool = False
    """Look inside string literals instead of outside."""
    unless: re.Pattern[str] | None = None
    """Lines of code where it is right."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that breaks a rule."""

    path: Path
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.why}"


def _rule(
    pattern: str, why: str, *, except_in: tuple[str, ...] = (), in_strings: bool = False, unless: str = ""
) -> Rule:
    return Rule(re.compile(pattern), why, except_in, in_strings, re.compile(unless) if unless else None)


RULES = (
    _rule(r"\bargs\.", "args.x needs bpftrace 0.19: write args->x"),
    _rule(r"\bdelete\s*\(\s*@\w+\s*(\[[^\]]*\])?\s*,", "delete(@m, k) needs bpftrace 0.22: write delete(@m[k])"),
    _rule(r"=\s*delete\s*\(", "the value of delete() needs bpftrace 0.24: read the map first"),
    _rule(r"^\s*#\s*include\b", "#include needs kernel headers on the host"),
    _rule(r"^\s*config\s*=", "config = {} needs bpftrace 0.20: settings go through the environment"),
    _rule(r"\blet\b", "let needs bpftrace 0.22: assign the variable before the first if"),
    _rule(r"\bfor\s*[($]", "for needs bpftrace 0.21: unroll (n) { } works everywhere"),
    _rule(r"\bwhile\s*\(", "while is deprecated from bpftrace 0.25: unroll (n) { } works everywhere"),
    _rule(r"\bhas_key\s*\(", "has_key() needs bpftrace 0.22: compare the value with 0"),
    _rule(r"\bstrncmp\s*\(", "strncmp() is broken in bpftrace 0.27.0: compare with =="),
    _rule(r"\bstrftime\s*\(", "strftime() writes invalid JSON before bpftrace 0.22: print nsecs"),
    _rule(
        r"\bl?hist\s*\(",
        "hist() and lhist() are coarse, and wrong above 2^31 on bpftrace 0.17: count log-linear buckets",
    ),
    _rule(r"\b(stats|avg|min|max|tseries)\s*\(", "only count() and sum() can be subtracted from one print to the next"),
    _rule(
        r"(@\w*(\[[^\]]*\])?\s*(\+\+|--|[-+*|&^]=))|((\+\+|--)\s*@)",
        "@x++ is not atomic (6 % lost on two CPUs): @x = count() or sum(n)",
        except_in=("lib/events.bt",),
    ),
    _rule(
        r"(@\w*)(?:\[[^\]]*\])?\s*=(?!=)[^=;]*\1\b(?:\[[^\]]*\])?\s*[-+*|&^]",
        "@x = @x + n is not atomic (6 % lost on two CPUs): @x = count() or sum(n)",
        except_in=("lib/events.bt",),
    ),
    _rule(
        r"\b(clear|zero)\s*\(",
        "clear() races with the print before it and loses counts: print cumulative maps, subtract outside",
        except_in=("lib/tick.bt", "usdt.bt", "function.bt"),
    ),
    _rule(r"\b(system|signal|override|send_signal)\s*\(", "this function needs --unsafe, which is never given"),
    _rule(r"\b(cat|join)\s*\(", "files and arguments of other processes are none of our business"),
    _rule(r"\b(fentry|fexit):", "fentry: needs bpftrace 0.20: write kfunc: or kprobe:"),
    _rule(r"\bexit\s*\(\s*[^)\s]", "exit(n) needs bpftrace 0.21: exit()"),
    _rule(r"\bnsecs\s*\(", "nsecs(clock) needs bpftrace 0.19: nsecs"),
    _rule(
        r"%-?\d*d",
        "%d cuts 64-bit values: %llu or %lld",
        in_strings=True,
        unless=r'printf\(""(,\s*(cpu|pid|tid|uid|gid)\b)+\s*\)',
    ),
    _rule(r"%-?\d*[uxi](?![a-z])", "this format cuts 64-bit values: %llu, %lld or %llx", in_strings=True),
    _rule(r"%-?\d*s", "text in a record can be forged by a process name: numbers only", in_strings=True),
)

_HEADER = re.compile(r"^//\s*///")
_STRING = re.compile(r'"((?:\\.|[^"\\])*)"')


def lint(directory: Path) -> list[Finding]:
    """All findings in the ``.bt`` files below ``directory``, by file and line."""
    files = sorted(directory.rglob("*.bt"))
    if not files:
        return [Finding(directory, 0, "no .bt file here")]
    return [finding for path in files for finding in lint_text(path.read_text(), path, path.relative_to(directory))]


def lint_text(text: str, path: Path, below: Path | None = None) -> list[Finding]:
    """The findings in one script. ``below`` is its path below ``bt/``, for the rules with exceptions."""
    where = (below or path).as_posix()
    lines = list(_code(text))
    found = [Finding(path, number, why) for number, why in _shape(text, lines)]
    for number, code, strings in lines:
        for rule in RULES:
            subject = strings if rule.in_strings else code
            fits = rule.unless is not None and rule.unless.search(code)
            if where not in rule.except_in and not fits and rule.pattern.search(subject):
                found.append(Finding(path, number, rule.why))
    return sorted(found, key=lambda finding: finding.line)


def _shape(text: str, lines: list[tuple[int, str, str]]) -> Iterator[tuple[int, str]]:
    """Findings about the file as a whole."""
    first = text.partition("\n")[0]
    if not re.match(r"//\s+\S", first) or _HEADER.match(first):
        yield 1, "the first line is a comment that says in one sentence what the script measures"
    size = sum(1 for _, code, _ in lines if code.strip())
    if size > MAX_LINES:
        yield len(lines), f"{size} lines of code, at most {MAX_LINES}: one file, one subject"


def _code(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, code with comments and string contents blanked, and the string contents, of each line."""
    in_comment = False
    for number, line in enumerate(text.splitlines(), 1):
        code, in_comment = _without_comments(line, in_comment)
        strings = " ".join(_STRING.findall(code))
        yield number, _STRING.sub('""', code), strings


def _without_comments(line: str, in_comment: bool) -> tuple[str, bool]:
    """The line without comments, and whether a block comment is still open at its end."""
    out: list[str] = []
    i, in_string = 0, False
    while i < len(line):
        two = line[i : i + 2]
        if in_comment:
            in_comment = two != "*/"
            i += 1 if in_comment else 2
        elif in_string and two[0] == "\\":
            out.append(two)
            i += 2
        elif not in_string and two == "//":
            break
        elif not in_string and two == "/*":
            in_comment = True
            i += 2
        else:
            in_string ^= line[i] == '"'
            out.append(line[i])
            i += 1
    return "".join(out), in_comment


def main(argv: list[str]) -> int:
    """Print the findings in the directories of ``argv``; 1 when there are any."""
    findings = [finding for name in argv or ["bt"] for finding in lint(Path(name))]
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
