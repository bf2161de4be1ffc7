"""Metric families over OTLP with OpenTelemetry's own SDK, an optional extra: ``pip install '.[otlp]'``."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bpftop import __version__
from bpftop.errors import UsageError
from bpftop.export.exponential import SCHEMA, exponential
from bpftop.export.metrics import PREFIX, Distribution, Family, Labels
from bpftop.text import safe

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import export as sdk

PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
"""What the extra ``otlp`` stands for."""
TIMEOUT_S = 5.0
_UNITS = {"seconds": "s", "": "1"}


def endpoint_of(url: str) -> str:
    """The address for metrics: ``/v1/metrics`` where no path is given. Raises UsageError for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url} is no address for OTLP", "bpftop serve nginx --otlp http://127.0.0.1:4318")
    return url if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}/v1/metrics"


class OtlpSender:
    """Sends everything counted since the start, each time; the receiver takes differences (cumulative temporality)."""

    def __init__(self, url: str, target: str) -> None:
        """Raises UsageError for a wrong URL, or with the command that installs what is missing."""
        endpoint = endpoint_of(url)
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.sdk.resources import Resource
        except ImportError as error:
            hint = f"{shlex.quote(sys.executable)} -m pip install {' '.join(PACKAGES)}"
            raise UsageError("OTLP needs OpenTelemetry's SDK, which is not installed", hint) from error
        self._said = _LastWords()
        logger = logging.getLogger("opentelemetry")
        logger.addHandler(self._said)
        logger.propagate = False
        self._exporter = OTLPMetricExporter(endpoint, timeout=TIMEOUT_S)
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES of the environment win over nothing but the SDK's defaults.
        self._resource = Resource.create(
            {"service.name": PREFIX, "service.version": __version__, "bpftop.target": safe(target)}
        )

    def send(self, families: Sequence[Family], started_unix_ns: int, now_unix_ns: int) -> str:
        """Send; why it did not arrive, in a sentence, else nothing."""
        from opentelemetry.sdk.metrics import export as sdk
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        metrics = [_metric(family, started_unix_ns, now_unix_ns) for family in families if family.series]
        scope = sdk.ScopeMetrics(InstrumentationScope(PREFIX, __version__), metrics, "")
        data = sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], "")])
        self._said.text = ""
        try:
            sent = self._exporter.export(data, timeout_millis=TIMEOUT_S * 1000) is sdk.MetricExportResult.SUCCESS
        except Exception as error:  # whatever the network and the receiver do, the watch goes on
            return f"{type(error).__name__}: {error}"
        return "" if sent else self._said.text or "the receiver did not take them"

    def close(self) -> None:
        """Let the connection go."""
        self._exporter.shutdown()


class _LastWords(logging.Handler):
    """What the SDK would have logged: the last line, for one sentence of ours."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.text = record.getMessage()


def _metric(family: Family, started_unix_ns: int, now_unix_ns: int) -> sdk.Metric:
    from opentelemetry.sdk.metrics import export as sdk

    cumulative = sdk.AggregationTemporality.CUMULATIVE
    data: Any
    if family.kind == "histogram":
        points = [_point(labels, value, started_unix_ns, now_unix_ns) for labels, value in family.series]
        data = sdk.ExponentialHistogram(points, cumulative)
    else:
        since = started_unix_ns if family.kind == "counter" else 0
        numbers = [sdk.NumberDataPoint(dict(labels), since, now_unix_ns, float(v)) for labels, v in _numbers(family)]
        data = sdk.Sum(numbers, cumulative, True) if family.kind == "counter" else sdk.Gauge(numbers)
    return sdk.Metric(f"{PREFIX}.{family.name}", family.help, _UNITS[family.unit], data)


def _numbers(family: Family) -> list[tuple[Labels, float]]:
    return [(labels, value) for labels, value in family.series if not isinstance(value, Distribution)]


def _point(
    labels: Labels, value: float | Distribution, started_unix_ns: int, now_unix_ns: int
) -> sdk.ExponentialHistogramDataPoint:
    from opentelemetry.sdk.metrics import export as sdk

    assert isinstance(value, Distribution)
    found, h = exponential(value.histogram), value.histogram
    return sdk.ExponentialHistogramDataPoint(
        attributes=dict(labels),
        start_time_unix_nano=started_unix_ns,
        time_unix_nano=now_unix_ns,
        count=value.count,
        sum=value.sum_s,
        scale=SCHEMA,
        zero_count=found.zeros,
        # OpenTelemetry's bucket i holds the values above b**i.
        positive=sdk.Buckets(found.first - 1, list(found.counts)),
        negative=sdk.Buckets(0, []),
        flags=0,
        min=int(h.low_ns[0]) / 1e9 if value.count else 0.0,
        max=int(h.high_ns[-1] - 1) / 1e9 if value.count else 0.0,
    )
