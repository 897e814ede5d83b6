"""Every metric of the daemon, in one table, and the meter that counts them for Prometheus.

Rules: the name starts with ``sensord_`` and ends with its base unit (``_seconds``, ``_bytes``) or ``_total``;
labels have few values and never name a case, a vehicle or a person. Devices are named where somebody must know which
one to mend (gaps): as many as are registered, and no secret, for it is ``places.yaml`` that names them.
``docs/metrics.md`` is written from the table: ``python -m sensord.telemetry.metrics docs/metrics.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

PREFIX = "sensord_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Buckets for work inside the machine, in seconds."""
SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Buckets for what depends on others, in seconds."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. ``name`` is without the prefix; ``help`` states the unit; ``buckets`` are a histogram's."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "gauge", text, labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name, "histogram", text, labels, buckets)


METRICS: tuple[Metric, ...] = (
    # Ingest: from the broker into the journal.
    _counter("messages_received_total", "Messages that arrived from the broker, by kind of topic.", "kind"),
    _counter("messages_committed_total", "Messages that are durable in the journal."),
    _counter("groups_committed_total", "Groups that are durable in the journal (ticks included)."),
    _histogram("commit_seconds", "Time of one durable commit, in seconds.", QUICK),
    _gauge("queue_bytes", "Arrivals that wait for the journal, in bytes."),
    _counter(
        "acknowledgements_total",
        "Acknowledgements to the broker: sent, or late (connection gone).",
        "outcome",
    ),
    _gauge("mqtt_connected", "1 while the broker has accepted a session of ours and its subscriptions.", "session"),
    _counter("mqtt_reconnects_total", "Connections of a session to the broker after its first one.", "session"),
    _counter(
        "mqtt_disconnections_total",
        "Connections that ended, and attempts that failed, by reason.",
        "reason",
        "session",
    ),
    _counter(
        "mqtt_session_lost_total", "Reconnections at which the broker had forgotten a session of ours.", "session"
    ),
    _counter(
        "mqtt_takeovers_total",
        "Takeovers of a client id of ours: told by the broker, or suspected.",
        "evidence",
        "session",
    ),
    _counter("dropped_total", "Messages that were acknowledged but not journaled, by reason.", "reason"),
    _gauge("mqtt_echo_seconds", "How long the oldest echo that the broker has taken waits there, in seconds."),
    _gauge("reading_age_seconds", "How far readings in their turn are behind: broker, queue, journal; in seconds."),
    _gauge("fresh_lane_open", "1 while the newest readings go ahead of those that wait, else 0."),
    _counter("fresh_messages_total", "Messages of the fresh lane, by what became of them.", "what"),
    _gauge("journal_blocked", "1 while the journal refuses records (disk full), else 0."),
    _gauge("reserve_bytes", "While the disk is full: what the newest readings may still take, in bytes."),
    _gauge("disk_free_files", "Files that the state directory's disk takes yet (inodes), where it counts them."),
    _counter("journal_refusals_total", "Commits that the journal refused for now (disk full)."),
    _gauge("journal_seq", "Number of the newest group in the journal."),
    _counter("journal_days_given_up_total", "Journal days deleted before their time, for the journal was too large."),
    _gauge("journal_bytes", "Size of the journal on disk, in bytes."),
    # Core: from the journal to decisions.
    _counter(
        "readings_total", "Readings by stream: accepted, late, duplicate, retained, clock_suspect.", "stream", "outcome"
    ),
    _counter("dead_letters_total", "Messages that could not become readings, by reason.", "reason"),
    _counter("sequence_gaps_total", "Readings that had not come before their successors, by device.", "device"),
    _counter("sequence_gaps_filled_total", "Such readings that came after all, later, by device.", "device"),
    _counter("sequence_leaps_total", "Numbers too far from those before (a million) to be a gap, by device.", "device"),
    _counter("messages_held_total", "Messages that were not sent, or wait in a digest, by reason.", "reason"),
    _counter("failures_total", "Times that a mistake of ours kept something from being handled, by part.", "part"),
    _counter("transitions_total", "Changes of alerts, by rule and kind of change.", "rule", "change"),
    _gauge("active_alerts", "Alerts that are active, by level.", "level"),
    _gauge("open_cases", "Cases that are not closed, by level.", "level"),
    _gauge("unknown_places", "Places of which nothing is known, because a sensor is silent."),
    _gauge(
        "occupancy_drift",
        "What an occupancy was off by at worst, by rule: left over at its last new beginning, or below zero since.",
        "rule",
    ),
    _gauge("applied_seq", "Number of the newest journal group that the core has applied."),
    _gauge("lag_seconds", "Age of the newest applied group, in seconds."),
    _gauge("host_clock_offset_seconds", "By how much the host's clock is ahead of journal time, in seconds."),
    _histogram("step_seconds", "Time of one step of the core with its transaction, in seconds.", QUICK),
    _counter("state_refusals_total", "Writes that the state database refused for now (disk full)."),
    _counter("state_damage_total", "Times that something in the state database was not what was written."),
    _gauge("snapshot_bytes", "Size of the newest state snapshot, in bytes."),
    _histogram("snapshot_seconds", "Time to take and save a snapshot, in seconds.", QUICK),
    _counter("reloads_total", "Reloads of rules and configuration: applied, refused.", "outcome"),
    # Notifications.
    _counter(
        "notifications_total",
        "Attempts to notify, by channel and outcome: sent (repeated: as a possible repeat), retried, unclear, failed.",
        "channel",
        "outcome",
    ),
    _histogram("notification_seconds", "From the decision to the receipt, in seconds.", SLOW, "channel"),
    _histogram("send_seconds", "Time of one attempt to send, in seconds.", SLOW, "channel"),
    _gauge("outbox_pending", "Notifications that are not yet sent, by channel.", "channel"),
    _gauge("outbox_oldest_seconds", "Age of the oldest page that is not yet sent, by channel, in seconds.", "channel"),
    _counter("results_dropped_total", "Outcomes of actions that were not told over MQTT: too many waited."),
    _counter("notify_failures_total", "Errors of the sending worker itself (not of a receiver).", "channel"),
    # Time-series sinks.
    _counter("sink_points_total", "Points by sink and outcome.", "sink", "outcome"),
    _gauge("sink_lag_groups", "Journal groups that a sink is behind.", "sink"),
    _gauge("sink_stalled_seconds", "For how long a sink has got no further though something waits for it.", "sink"),
    _histogram("sink_write_seconds", "Time of one write to a sink, in seconds.", SLOW, "sink"),
    _counter("sink_retries_total", "Writes that a sink refused for now.", "sink"),
    _counter("sink_failures_total", "Errors of the feeding worker itself (not of the database).", "sink"),
    _counter("sink_resets_total", "Cursors of sinks that were beyond the journal's end and were set back.", "sink"),
    _counter("sink_missed_groups_total", "Journal groups that were gone before the sink had them.", "sink"),
    # The daemon itself.
    _gauge("fact_good", "1 while a fact of /readyz is good, else 0, by fact.", "fact"),
    _gauge("stuck_calls", "Calls that hang and that nobody waits for any more, by the part that made them.", "part"),
    _counter("troubles_total", "Troubles of the daemon itself that people were told of, by kind.", "trouble"),
    _counter("orphaned_cases_total", "Open cases that were voided, for the journal has lost their beginning."),
    _counter("report_failures_total", "Reports that could not be made or looked after; tried again every minute."),
    _counter("deaths_total", "Earlier runs on this state directory that ended in no good order; outlives the process."),
    _counter(
        "worker_failures_total",
        "Workers that died of an error; the daemon stops then, and the next one begins at 0: see deaths_total.",
        "worker",
    ),
    _counter("http_requests_total", "Requests to our own HTTP server, by path and status.", "path", "status"),
    _counter("http_connections_dropped_total", "Connections that were let go: too slow, or too many.", "reason"),
    _histogram("http_request_seconds", "Time of one request to our own HTTP server, in seconds.", QUICK, "path"),
)


class PrometheusMeter:
    """Implements ``ports.Meter`` on a registry of its own, with the process's own metrics beside.

    A name or kind that the table does not hold raises ``KeyError``, labels that differ from it
    ``ValueError``: a typing error in an instrumented line shows at its first call.
    """

    def __init__(self, metrics: Iterable[Metric] = METRICS) -> None:
        """Register every metric of the table; those without labels start at 0."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._counters: dict[str, Counter] = {}
        self._gauges: dict[str, Gauge] = {}
        self._histograms: dict[str, Histogram] = {}
        for metric in metrics:
            self._register(metric)

    def _register(self, metric: Metric) -> None:
        name = PREFIX + metric.name
        if metric.kind == "counter":
            self._counters[metric.name] = Counter(name, metric.help, metric.labels, registry=self.registry)
        elif metric.kind == "gauge":
            self._gauges[metric.name] = Gauge(name, metric.help, metric.labels, registry=self.registry)
        else:
            self._histograms[metric.name] = Histogram(
                name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets
            )

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add ``amount`` (not negative) to a counter."""
        counter = self._counters[name]
        (counter.labels(**labels) if labels else counter).inc(amount)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        gauge = self._gauges[name]
        (gauge.labels(**labels) if labels else gauge).set(value)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Add a value, in the metric's unit, to a histogram."""
        histogram = self._histograms[name]
        (histogram.labels(**labels) if labels else histogram).observe(value)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format (version 0.0.4)."""
        return generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Return the value of a counter or gauge, 0 when it was never touched; for the overview."""
        if name not in self._counters and name not in self._gauges:
            raise KeyError(name)
        return self.registry.get_sample_value(PREFIX + name, labels) or 0.0


HEADING = """# Metrics

<!-- written by `make docs` from the table in sensord/telemetry/metrics.py -->

At `/metrics` of the daemon's own HTTP server, in Prometheus' text format, beside the usual `process_*` metrics.

| metric | kind | labels | meaning |
|---|---|---|---|
"""


def document(metrics: Iterable[Metric] = METRICS) -> str:
    """Write the table as Markdown."""
    rows = []
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{PREFIX}{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n")
    return HEADING + "".join(rows)
