"""Alerts for Prometheus Alertmanager (API version 2): one for each case, whoever is told of it.

Alertmanager knows an alert by its labels. ``severity`` is one of them, so that its routes can look at it; a case that
changes its level is therefore another alert there. Each message posts all four: the one at which the case stands
fires, whatever the message tells of; the others have ended. The end of the case ends all. Nothing has to be
remembered, and a repeat changes nothing.
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from sensord.config.channels import Alertmanager
from sensord.core.cases.notification import Reason
from sensord.core.instant import parse_duration, to_datetime
from sensord.core.level import LADDER
from sensord.notify.http import HttpSender, judge_status
from sensord.notify.verdict import judge_body
from sensord.ports import Entry


class AlertmanagerChannel:
    """A :class:`sensord.ports.Channel`; a contact's address, if there is one, becomes the label ``receiver``."""

    def __init__(
        self, settings: Alertmanager, site: str, password: str | None, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.name: str = settings.name
        self._url = httpx.URL(settings.url.rstrip("/") + "/api/v2/alerts")
        self._labels = {"alertname": "sensord_case", "site": site, **settings.labels}
        self._expires = parse_duration(settings.expires)
        self._headers = {"Content-Type": "application/json"}
        if settings.username is not None:
            pair = base64.b64encode(f"{settings.username}:{password or ''}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}"
        self._http = HttpSender(settings.name, settings.timeout, settings.allow, clock)

    async def send(self, entry: Entry) -> str:
        """Post the case's alerts. Raises ``DeliveryError``."""
        reply = await self._http.send(self._url, msgspec.json.encode(self._alerts(entry)), self._headers)
        judge_status(self.name, reply)
        judge_body(self.name, reply)
        return f"http {reply.status}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _alerts(self, entry: Entry) -> list[dict[str, Any]]:
        one = entry.notification
        over = one.reason in (Reason.CASE_CLOSED, Reason.CASE_VOID)
        labels = {**self._labels, "case": one.case, "place": one.place}
        if one.grid:
            labels["grid"] = one.grid
        if one.address:
            labels["receiver"] = one.address
        texts = {"summary": one.title, "description": one.text, "role": one.role}
        # What an older version has decided says only of which level it tells.
        began, stands = _time(one.at), one.case_level or one.level
        return [
            {
                "labels": {**labels, "severity": level.word},
                "annotations": texts,
                "startsAt": began,
                "endsAt": _time(one.at + self._expires) if level is stands and not over else began,
                **({"generatorURL": entry.link} if entry.link else {}),
            }
            for level in LADDER
        ]


def _time(instant: int) -> str:
    return to_datetime(instant).isoformat(timespec="milliseconds")
