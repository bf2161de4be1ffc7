"""A comparison for machines: JSON, JUnit's XML for test reports, Markdown for pull requests."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from bpftop import units
from bpftop.compare.model import QUANTILES, TITLES, Check, Comparison, Figures, MeasureComparison, Run, Verdict
from bpftop.compare.text import described, to_text
from bpftop.compare.wording import in_ascii, percent, plain, remarks

SCHEMA = "bpftop-compare/1"
METHOD = "98 % percentile bootstrap interval of the ratio of two percentiles, from counts; non-inferiority test"


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Schema ``bpftop-compare/1``: times in ns, changes in percent. Keys may be added; none changes its meaning."""
    return {
        "schema": SCHEMA,
        "verdict": comparison.verdict.value,
        "exit_code": comparison.verdict.exit_code,
        "reasons": list(comparison.reasons),
        "method": METHOD,
        "baseline": _run(comparison.base),
        "current": _run(comparison.current),
        "measures": {measure.name: _measure(measure) for measure in comparison.measures},
        "missing": dict(comparison.missing),
        "remarks": list(remarks(comparison)),
    }


def _run(run: Run) -> dict[str, Any]:
    return {"path": run.path, "kind": run.kind, "measures": list(run.measures), **run.facts}


def _measure(measure: MeasureComparison) -> dict[str, Any]:
    changes = {
        name: {
            "change_percent": round(found.change * 100, 3),
            "low_percent": round(found.low * 100, 3) if found.enough else None,
            "high_percent": round(found.high * 100, 3) if found.enough else None,
        }
        for name, found in measure.changes.items()
    }
    checks = [
        {
            "percentile": check.quantile,
            "threshold_percent": round(check.threshold * 100, 6),
            "verdict": check.verdict.value,
            "reason": check.reason,
        }
        for check in measure.checks
    ]
    sides = {"baseline": _figures(measure.base), "current": _figures(measure.current)}
    return {**sides, "changes": changes, "checks": checks}


def _figures(figures: Figures) -> dict[str, int | None]:
    quantiles = {f"{name}_ns": value for name, value in figures.quantiles_ns.items()}
    return {"count": figures.count, **quantiles, "max_ns": figures.max_ns}


# --- JUnit ------------------------------------------------------------------------------------------------------------


def to_junit(comparison: Comparison, ascii_only: bool = False) -> str:
    """One test case a threshold: a regression is a failure, what proves nothing is an error. Nothing is skipped.

    Where data is missing, every case is an error, and one more says what is missing.
    """
    cases = [_case(m.name, check, comparison) for m in comparison.measures for check in m.checks]
    if comparison.problems or not cases:
        cases.append(_problem_case(comparison))
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": "0",
    }
    root = ElementTree.Element("testsuites", {"name": "bpftop compare", **counts})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "bpftop compare", **counts})
    suite.extend(cases)
    ElementTree.SubElement(suite, "system-out").text = to_text(comparison, ascii_only)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + (in_ascii(text) if ascii_only else text) + "\n"


def _case(measure: str, check: Check, comparison: Comparison) -> ElementTree.Element:
    name = f"{TITLES[check.quantile]} grows by less than {plain(check.threshold)}"
    case = ElementTree.Element("testcase", {"classname": f"bpftop.compare.{measure}", "name": name})
    if comparison.problems or check.verdict is Verdict.INCONCLUSIVE:
        message = check.reason if check.verdict is Verdict.INCONCLUSIVE else comparison.problems[0]
        ElementTree.SubElement(case, "error", {"message": message, "type": Verdict.INCONCLUSIVE.value})
    elif check.verdict is Verdict.REGRESSION:
        ElementTree.SubElement(case, "failure", {"message": check.reason, "type": Verdict.REGRESSION.value})
    return case


def _problem_case(comparison: Comparison) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": "bpftop.compare", "name": "the data is complete"})
    message = "; ".join(comparison.problems) or "nothing was compared"
    ElementTree.SubElement(case, "error", {"message": message, "type": Verdict.INCONCLUSIVE.value})
    return case


# --- Markdown ---------------------------------------------------------------------------------------------------------


def to_markdown(comparison: Comparison, ascii_only: bool = False) -> str:
    """The verdict, a table a measure, remarks."""
    lines = [f"**{comparison.verdict.value}**", ""]
    lines += [f"- {_escaped(reason)}" for reason in comparison.reasons]
    lines += ["", f"baseline {_escaped(comparison.base.path)} ({_escaped(described(comparison.base))}), "]
    lines[-1] += f"current {_escaped(comparison.current.path)} ({_escaped(described(comparison.current))})"
    for measure in comparison.measures:
        lines += ["", *_markdown_table(measure)]
    notes = [f"- {_escaped(remark)}" for remark in remarks(comparison)]
    text = "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"
    return in_ascii(text) if ascii_only else text


def _markdown_table(measure: MeasureComparison) -> list[str]:
    checks = {check.quantile: check for check in measure.checks}
    rows = [
        [_escaped(measure.name), "baseline", "current", "change", "98 % interval", "limit", "verdict"],
        ["---", *["---:"] * 5, "---"],
        ["n", f"{measure.base.count:,}", f"{measure.current.count:,}", "", "", "", ""],
    ]
    for name in QUANTILES:
        found, check = measure.changes.get(name), checks.get(name)
        shown = [percent(found.change) if found else "", ""]
        if found:
            shown[1] = f"{percent(found.low)} to {percent(found.high)}" if found.enough else "too few samples"
        limit = [plain(check.threshold), check.verdict.value] if check else ["", ""]
        sides = (measure.base.quantiles_ns[name], measure.current.quantiles_ns[name])
        rows.append([TITLES[name], *(units.duration(value) for value in sides), *shown, *limit])
    rows.append(["max", units.duration(measure.base.max_ns), units.duration(measure.current.max_ns), "", "", "", ""])
    return ["| " + " | ".join(row) + " |" for row in rows]


def _escaped(text: str) -> str:
    """Foreign words that make no table, no link, no markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#~!&" else letter for letter in text)
