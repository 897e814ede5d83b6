"""Makes the sinks that the configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sensord.config.settings import InfluxV1, InfluxV2, Rollups, Settings, SinkSettings
from sensord.errors import ConfigError
from sensord.ports import CursorStore, Meter, Sink
from sensord.series.influx_v1 import InfluxV1Sink

ROLLUPS_BATCH = 5000


@dataclass(frozen=True, slots=True)
class SinkPlan:
    """A sink, and how many points it wants at a time."""

    sink: Sink
    batch: int


def build_sinks(
    settings: Settings,
    read_secret: Callable[[str], str],
    cursors: CursorStore,
    meter: Meter,
    rollups: Callable[[Rollups], Sink],
    turned_off: Callable[[str, ConfigError], None],
) -> list[SinkPlan]:
    """Build every configured sink, in the file's order; ``rollups`` makes the embedded store.

    ``read_secret`` turns a path from the configuration into the secret. A sink whose secret cannot be used is left out,
    and ``turned_off`` hears which and why: nobody is told less of a crowd because a database stays away.
    """

    def secret(path: str | None) -> str:
        return read_secret(path).rstrip("\r\n") if path else ""

    def build(sink: SinkSettings) -> SinkPlan:
        match sink:
            case InfluxV2():
                from sensord.series.influx_v2 import InfluxV2Sink  # noqa: PLC0415  # a large library, for those who need it

                return SinkPlan(InfluxV2Sink(sink, secret(sink.token_file), cursors, meter), sink.batch)
            case InfluxV1():
                return SinkPlan(InfluxV1Sink(sink, secret(sink.password_file), cursors, meter), sink.batch)
            case Rollups():
                return SinkPlan(rollups(sink), ROLLUPS_BATCH)

    plans = []
    for sink in settings.sinks:
        try:
            plans.append(build(sink))
        except ConfigError as error:
            turned_off(sink.name, error)
    return plans
