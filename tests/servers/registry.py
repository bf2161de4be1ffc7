"""All servers, in the order of the table."""

from __future__ import annotations

from tests.servers import apache, haproxy, java, nginx, node, postgres, python_servers, redis, uring
from tests.servers.case import Case

ALL: tuple[Case, ...] = tuple(
    case
    for module in (nginx, apache, haproxy, redis, postgres, python_servers, node, java, uring)
    for case in module.CASES
)
QUICK = tuple(case for case in ALL if case.quick)
