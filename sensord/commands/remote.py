"""Talking to the daemon that runs on this machine: its HTTP server, with the token from its state directory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import httpx
import msgspec

from sensord import answers
from sensord.config.load import Loaded, load_bare
from sensord.config.settings import TOKEN_FILE
from sensord.core.instant import format_instant, parse_duration, parse_instant
from sensord.decoders import json_decoder
from sensord.errors import ConfigError, Problem, SensordError, UnavailableError
from sensord.phrasebook import told
from sensord.store.past import Past
from sensord.words import language, say

TIMEOUT = 15.0
_ANSWER = json_decoder(dict[str, Any])
LARGEST = 16 << 20
"""Bytes of an answer: the daemon's lists are longer than a stranger's answers, and still not endless."""


def _base(loaded: Loaded) -> str:
    """The daemon's address; with ``port: 0`` the daemon has written the port that it took."""
    http, port = loaded.settings.http, loaded.settings.http.port
    if not port:
        try:
            port = int((loaded.resolve(loaded.settings.state_dir) / "http.port").read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise UnavailableError(say("守护进程没有运行", "the daemon does not run")) from error
    return f"http://{http.host}:{port}"


def _token(loaded: Loaded) -> str:
    """The token that the daemon made for this machine's command line."""
    path = loaded.resolve(loaded.settings.state_dir) / TOKEN_FILE
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        zh = f"无法读取 {path}：守护进程没有运行过，或当前用户无权读取"
        en = f"{path} cannot be read: the daemon has never run, or this user may not read it"
        raise UnavailableError(say(zh, en)) from error


def _fetch(
    loaded: Loaded,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Ask whoever has the daemon's port; returns status and answer. Raises ``UnavailableError``."""
    where = _base(loaded)
    try:
        with answers.blocking_client(TIMEOUT) as asking:
            request = asking.build_request(method, where + path, json=body, headers=headers)
            answer = answers.ask(asking, request, LARGEST)
    except httpx.HTTPError as error:
        raise UnavailableError(
            say(f"守护进程在 {where} 没有应答；它在运行吗？", f"the daemon does not answer at {where}; does it run?")
        ) from error
    try:
        return answer.status, _ANSWER.decode(answer.body)
    except (msgspec.MsgspecError, ValueError) as error:
        zh = f"{where} 有应答（HTTP {answer.status}），但不是守护进程的应答"
        en = f"{where} answers (HTTP {answer.status}), but not as the daemon does"
        raise UnavailableError(say(zh, en)) from error


def _ask(loaded: Loaded, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    status, found = _fetch(loaded, method, path, body, {"Authorization": f"Bearer {_token(loaded)}"})
    if status == 422 and (problems := found.get("problems")):
        raise ConfigError([Problem(**problem) for problem in problems])
    if status >= 400:
        raise SensordError(_said(found) or f"HTTP {status}")
    return found


def overview(config: Path) -> dict[str, Any]:
    """Return the site at a glance; raises ``UnavailableError`` when no daemon answers."""
    return _ask(load_bare(config), "GET", "/api/v1/overview")


def readiness(config: Path) -> dict[str, str]:
    """Return what the running daemon says is not as it should be: name to detail. Raises ``UnavailableError``."""
    loaded = load_bare(config)
    report = _fetch(loaded, "GET", "/readyz")[1]
    stuck = {
        name: say(f"{worker['silent_seconds']:.0f} 秒没有动静", f"silent for {worker['silent_seconds']:.0f} s")
        for name, worker in report["workers"].items()
        if not worker["ok"]
    }
    return stuck | {name: told(fact["detail"]) for name, fact in report["facts"].items() if not fact["ok"]}


class Decision(NamedTuple):
    """The journal group that holds an action, whether it was accepted (None: not decided yet), and why (not)."""

    seq: int
    accepted: bool | None
    sentence: str


def _decision(answer: dict[str, Any]) -> Decision:
    return Decision(int(answer["seq"]), answer.get("accepted"), _said(answer))


def _said(answer: dict[str, Any]) -> str:
    """The daemon's sentence in the terminal's language; empty when there is none."""
    return str(answer.get("detail" if language() == "zh" else "detail_en") or "")


def act(config: Path, case: str, verb: str, by: str, note: str, until: str | None = None) -> Decision:
    """Do something about a case; returns what became of it. Raises ``SensordError`` with the daemon's answer.

    ``until`` is a time as people write it; without an offset it is the site's local time.
    """
    loaded = load_bare(config)
    body: dict[str, Any] = {"verb": verb, "by": by, "note": note}
    if until is not None:
        body["until"] = _instant(until, loaded.settings.timezone)
    return _decision(_ask(loaded, "POST", f"/api/v1/cases/{quote(case, safe='')}/actions", body))


def silence(config: Path, name: str, scope: dict[str, Any], lasts: str, note: str) -> Decision:
    """Silence what fits for so long; returns what became of it. Raises ``SensordError`` with the daemon's answer."""
    try:
        until = format_instant(time.time_ns() + parse_duration(lasts))
    except ValueError as error:
        raise SensordError(str(error)) from error
    body = {**scope, "until": until, "note": note, "id": name}
    return _decision(_ask(load_bare(config), "POST", "/api/v1/silences", body))


def unsilence(config: Path, name: str) -> Decision:
    """End a silence; returns what became of it. Raises ``SensordError`` with the daemon's answer."""
    return _decision(_ask(load_bare(config), "DELETE", f"/api/v1/silences/{quote(name, safe='')}"))


def count(config: Path, compound: str, vehicles: int, by: str, note: str) -> Decision:
    """Say how many vehicles are inside a compound now; returns what became of it.

    Raises ``SensordError`` with the daemon's answer.
    """
    body = {"vehicles": vehicles, "at": format_instant(time.time_ns()), "by": by, "note": note}
    path = f"/api/v1/places/{quote(compound, safe='')}/vehicles"
    return _decision(_ask(load_bare(config), "POST", path, body))


def finding(config: Path, place: str, severity: str, code: str, text: str, by: str) -> tuple[int, str]:
    """File a finding by hand; returns the journal group, and the device in whose name it was taken.

    Raises ``SensordError`` with the daemon's answer.
    """
    body = {"place": place, "severity": severity, "code": code, "text": text, "by": by}
    answer = _ask(load_bare(config), "POST", "/api/v1/findings", body)
    return int(answer["seq"]), str(answer["device"])


def on_duty(config: Path, place: str, at: str | None) -> dict[str, Any]:
    """Return who is on duty, now or at a time as people write it; raises ``SensordError`` with the daemon's answer."""
    loaded = load_bare(config)
    asked = {"place": place} | ({} if at is None else {"at": _instant(at, loaded.settings.timezone)})
    return _ask(loaded, "GET", f"/api/v1/roster/now?{urlencode(asked)}")


def roster_changes(config: Path) -> list[dict[str, Any]]:
    """Return leave, swaps and extra duty, in force or to come; raises ``SensordError`` with the daemon's answer."""
    found: list[dict[str, Any]] = _ask(load_bare(config), "GET", "/api/v1/roster/changes")["changes"]
    return found


def change_roster(config: Path, reason: str, start: str, end: str, about: dict[str, str]) -> str:
    """Change the duty plan from ``start`` to ``end`` (times as people write them); returns the change's id.

    Raises ``SensordError`` with the daemon's answer.
    """
    loaded = load_bare(config)
    zone = loaded.settings.timezone
    body = {"from": _instant(start, zone), "to": _instant(end, zone), "reason": reason, **about}
    return str(_ask(loaded, "POST", "/api/v1/roster/changes", body)["id"])


def cancel_change(config: Path, name: str) -> None:
    """Take a change of the duty plan back; raises ``SensordError`` with the daemon's answer."""
    _ask(load_bare(config), "DELETE", f"/api/v1/roster/changes/{quote(name, safe='')}")


def _instant(text: str, zone: str) -> str:
    """A time as people write it (without an offset: the site's) as the API takes it; raises ``SensordError``."""
    try:
        return format_instant(parse_instant(text, zone))
    except ValueError as error:
        raise SensordError(say(f"{text} 不是时间", f"{text} is not a time")) from error


def reload(config: Path) -> dict[str, Any]:
    """Let the daemon read its configuration again; raises ``ConfigError`` with the mistakes that it found."""
    return _ask(load_bare(config), "POST", "/api/v1/reload")


def recent_dead_letters(config: Path, limit: int) -> list[str]:
    """Return a line per dead letter, newest first: time, topic, reason, detail. Needs no daemon."""
    loaded = load_bare(config)
    zone = loaded.settings.timezone
    return [
        f"{format_instant(letter.received_at, zone)}  {letter.topic}  {letter.reason}  {letter.detail}"
        for letter in Past(loaded.resolve(loaded.settings.state_dir)).dead_letters(limit)
    ]
