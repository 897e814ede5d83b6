"""``sensord.yaml`` beyond its schema: durations, time zone, topics, names, addresses.

Rules: a topic level is either fixed or one ``{part}``; what we publish must never be among what we subscribe
to, or the daemon would talk to itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from sensord.config.channelcheck import check_address, check_channel
from sensord.config.findings import Findings
from sensord.config.schema import convert
from sensord.config.settings import InfluxV1, InfluxV2, Rollups, Settings, SinkSettings
from sensord.config.yamlfile import Document, KeyPath, read_yaml
from sensord.core.instant import DAY, HOUR, MINUTE, SECOND, zone_info

_LIMITS: tuple[tuple[KeyPath, int, int], ...] = (
    (("mqtt", "keepalive"), SECOND, 65_535 * SECOND),
    (("mqtt", "session_expiry"), SECOND, 365 * DAY),
    (("journal", "keep"), HOUR, 3650 * DAY),
    (("history", "keep"), DAY, 3650 * DAY),
    (("report_files", "keep"), DAY, 3650 * DAY),
)
_LATENESS = HOUR
_PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "readings": (("kind", "device"), ("compound",)),
    "commands": (("user", "case"), ()),
    "alerts": ((), ("grid",)),
    "results": (("case",), ()),
}
"""Per topic of ``mqtt``: the parts that it must have, and those that it may have."""
_PART = re.compile(r"\{([a-z]+)\}")


def load_settings(path: Path) -> Settings:
    """Read ``sensord.yaml``; raises ``ConfigError`` with every mistake and its position."""
    return check_settings(read_yaml(path))


def check_settings(document: Document) -> Settings:
    """Check a parsed ``sensord.yaml``; raises ``ConfigError``."""
    settings, findings = convert(document, Settings), Findings(document)
    for path, least, most in _LIMITS:
        findings.duration(path, getattr(getattr(settings, str(path[0])), str(path[1])), least, most)
    for stream, text in settings.lateness.items():
        findings.duration(("lateness", stream), text, 0, _LATENESS)
    try:
        zone_info(settings.timezone)
    except ValueError as error:
        findings.error(("timezone",), str(error))
    _topics(findings, settings)
    _names(findings, "sinks", [sink.name for sink in settings.sinks])
    _names(findings, "channels", [channel.name for channel in settings.channels])
    for index, sink in enumerate(settings.sinks):
        _sink(findings, ("sinks", index), sink)
    for index, channel in enumerate(settings.channels):
        check_channel(findings, ("channels", index), channel)
    _answers(findings, settings)
    findings.finish()
    return settings


def _names(findings: Findings, part: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            findings.error((part, index), f"the name {name} is already taken", f"give each of the {part} its own name")


def _sink(findings: Findings, path: KeyPath, entry: SinkSettings) -> None:
    match entry:
        case InfluxV1() | InfluxV2():
            check_address(findings, (*path, "url"), entry.url)
        case Rollups():
            findings.duration((*path, "keep_minutes"), entry.keep_minutes, HOUR)
            findings.duration((*path, "keep_hours"), entry.keep_hours, DAY)


def _answers(findings: Findings, settings: Settings) -> None:
    findings.duration(("answers", "expires"), settings.answers.expires, 10 * MINUTE, 30 * DAY)
    url = settings.answers.url
    if url is not None:
        check_address(findings, ("answers", "url"), url)
        if "?" in url or "#" in url:
            findings.error(("answers", "url"), "the address has a query", "write for example https://s.example.org")


def _topics(findings: Findings, settings: Settings) -> None:
    templates = {name: str(getattr(settings.mqtt, name)) for name in _PARTS}
    good = [_template(findings, ("mqtt", name), template, *_PARTS[name]) for name, template in templates.items()]
    if not all(good):
        return
    for published in ("alerts", "results"):
        for subscribed in ("readings", "commands"):
            if _overlap(templates[published], templates[subscribed]):
                message = f"{published} would be received again as {subscribed}: the daemon would talk to itself"
                findings.error(("mqtt", published), message, "make the two topics differ in a fixed level")
    if _overlap(templates["readings"], templates["commands"]):
        message = "commands cannot be told from readings"
        findings.error(("mqtt", "commands"), message, "make the two topics differ in a fixed level or in their length")


def _template(findings: Findings, path: KeyPath, template: str, needed: Iterable[str], possible: Iterable[str]) -> bool:
    before, found = len(findings.errors), []
    for level in template.split("/"):
        part = _PART.fullmatch(level)
        if part is not None:
            found.append(part[1])
        elif not level or set("{}+#$\0") & set(level):
            message = f"the topic level {level!r} is neither fixed nor one {{part}}"
            findings.error(path, message, "write for example linfen/{compound}/{kind}/{device}")
    known = (*needed, *possible)
    for word in found:
        if word not in known:
            findings.error(path, f"the topic cannot have the part {{{word}}}", findings.suggest(word, known))
    for word in needed:
        if found.count(word) != 1:
            findings.error(path, f"the topic needs the part {{{word}}} once", f"add a level {{{word}}}")
    return len(findings.errors) == before


def _overlap(one: str, other: str) -> bool:
    """Whether some concrete topic fits both templates."""
    ours, theirs = one.split("/"), other.split("/")
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(a == b or "{" in a or "{" in b for a, b in pairs)
