"""Programs and libraries of the target: their markers and functions, and where to attach to them."""

from bpftop.userspace.functions import FUNC_FORM, UNSAFE, functions
from bpftop.userspace.markers import USDT_FORM, usdt
from bpftop.userspace.values import Attachment, Place

__all__ = ["FUNC_FORM", "UNSAFE", "USDT_FORM", "Attachment", "Place", "functions", "usdt"]
