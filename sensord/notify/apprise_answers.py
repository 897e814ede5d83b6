"""Bounds for answers that apprise takes in: its plug-ins call ``requests``, which reads an answer whole, decompressed.

They make their sessions themselves, so what can be put in place is what every new session sends with. Nothing else in
the daemon uses ``requests``. A service that is not spoken to over HTTP is out of its reach.
"""

from __future__ import annotations

from typing import Any

import requests.adapters
import requests.sessions

from sensord.answers import Taking

_PART = 16_384


class BoundedAdapter(requests.adapters.HTTPAdapter):
    """Takes in 64 KiB of an answer as it was sent; any other is an error, which apprise counts as a failure."""

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        """Send a request; raises ``requests.RequestException``."""
        request.headers["Accept-Encoding"] = "identity"
        answer = super().send(request, *arguments, **{**options, "stream": True})
        taking = Taking(answer.headers.get("Content-Encoding"))
        try:
            while (part := answer.raw.read(_PART, decode_content=False)) and taking.take(part):
                pass
        finally:
            answer.close()
        if taking.fault:
            raise requests.exceptions.ContentDecodingError(taking.fault)
        answer._content, answer._content_consumed = taking.body, True  # noqa: SLF001  # as its own reader leaves them
        return answer


def bound() -> None:
    """Let every session that is made from now on send with bounds."""
    requests.sessions.HTTPAdapter = BoundedAdapter  # type: ignore[attr-defined]
