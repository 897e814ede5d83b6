"""Asks HTTP servers of loopback, with one client: to make one reads certificates, which takes 20 ms of processor."""

from __future__ import annotations

from typing import Any

import httpx

_CLIENT = httpx.Client(trust_env=False, timeout=5, limits=httpx.Limits(max_keepalive_connections=0))
"""It keeps no connection: servers are shot here, and one that ends waits for the connections that it has."""


def get(url: str, **how: Any) -> httpx.Response:
    """Ask; raises ``httpx.HTTPError``."""
    return _CLIENT.get(url, **how)


def post(url: str, **how: Any) -> httpx.Response:
    """Send; raises ``httpx.HTTPError``."""
    return _CLIENT.post(url, **how)
