"""What each tab is, for the help."""

from __future__ import annotations

from bpftop.ui.anyscript.look import LOG, MAP, OVERVIEW, Tab

_ABOUT = {
    OVERVIEW: (
        "Everything that the program prints: its values with their change in a second and their trend, its histograms "
        "and tables, the newest lines of its log. A map shows what was printed last. Maps that the program does not "
        "print itself come when it ends: q ends it and shows them, q again leaves."
    ),
    MAP: (
        "A map as it was printed last. Of a histogram bpftrace knows only in which bucket a value was, so percentiles "
        "are the bounds of a bucket, by nearest rank; of less than 100 observations p99 is dim. Change is what was "
        "added in a second between the last two prints."
    ),
    LOG: (
        "What the program says (printf, time, join, cat, printed values) and, in another colour, what bpftrace says "
        "about it. The newest 5,000 lines are here, 20,000 are kept; what is dropped is counted below."
    ),
}
_PROGRAM = (
    "The run, its maps and when they were printed, what bpftrace said on stderr, and the text of the program. It runs "
    "as it is: nothing is added to it, and nothing is cleared."
)


def about(tab: Tab) -> str:
    """The text for a tab."""
    return _ABOUT.get(tab.kind, _PROGRAM)
