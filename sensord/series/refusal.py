"""What a database's answer means for the points that it was given, and how long to wait before trying again.

======================  ===============================================================================
answer                  meaning
======================  ===============================================================================
2xx                     written
2xx with a fault        too large or compressed, so hardly a database's: retryable (:mod:`sensord.answers`)
400, 422 of a database  a bad point: not retryable, the feeder bisects the batch
413                     too large a batch: the same
400, 422 of a stranger  something else stands at the url, or before it: retryable, it has not looked at the points
401, 403, 404, 3xx      the configuration is wrong: retryable, because a wrong token must not cost points
429, 503 and any other  throttled or broken: retryable, ``Retry-After`` is honoured
no answer               down: retryable; a repeated write of the same points changes nothing
======================  ===============================================================================

A database is known by ``X-Influxdb-Version`` (InfluxDB 1.x and 2.x, VictoriaMetrics), or by a JSON object that says
what is wrong (InfluxDB 1.x and 3.x: ``error``; 2.x: ``code`` and ``message``).

Status codes: https://docs.influxdata.com/influxdb/v2/api/#operation/PostWrite; RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import email.utils
import random
import re
from datetime import UTC, datetime

import msgspec

from sensord.answers import Answer
from sensord.errors import DeliveryError

_BAD_POINT, _TOO_LARGE = (400, 422), 413
_BEGINNINGS = (b'{"error":', b'{"code":')
_STRANGE = "no database answers like that: check url of this sink (http or https, the port), and what stands before it"
_OURS = re.compile(r"\b(basic|token|bearer)\b\W*[\w.~+/=-]{12,}", re.IGNORECASE)
_DROPPED = re.compile(r"partial write: .* dropped=(\d{1,9})\b", re.DOTALL)
"""What InfluxDB 1.x and 2.x say of a batch from which they have kept the rest (``tsdb.PartialWriteError``)."""
_WHAT_TO_FIX = {
    401: "check the token or password file of this sink",
    403: "the token or user may not write to this bucket or database: grant write access",
    404: "check url, org and bucket (or database) of this sink, and create what is missing",
}


def judge(sink: str, answer: Answer) -> None:
    """Return when the points are written; raises ``DeliveryError`` for everything else, as the module's table says."""
    if not answer.success:
        said = answer.body.decode(errors="replace") or answer.fault
        raise _refused(sink, answer, said)
    if answer.fault:
        raise DeliveryError(f"sink {sink}: the database answered {answer.status}, but with {answer.fault}")


def _refused(sink: str, answer: Answer, detail: str) -> DeliveryError:
    """Turn an answer that is not 2xx into an error; of ``detail``, its body, 200 characters are kept.

    A server that repeats our request repeats how we identified ourselves: that part is masked.
    """
    status = answer.status
    advice, final = _WHAT_TO_FIX.get(status, ""), status == _TOO_LARGE
    if status in _BAD_POINT:
        final = _is_a_databases(answer)
        advice = "" if final else _STRANGE
    if 300 <= status < 400:
        advice = "redirects are not followed: configure the final url"
    said = _OURS.sub(r"\1 ***", detail).strip()[:200]
    message = f"sink {sink}: the database answered {status}: {said}"
    if advice:
        message = f"{message} ({advice})"
    wish = parse_retry_after(answer.headers.get("Retry-After"))
    dropped = _DROPPED.search(detail) if final else None
    return DeliveryError(message, retryable=not final, retry_after=wish, dropped=int(dropped[1]) if dropped else None)


def _is_a_databases(answer: Answer) -> bool:
    """Whether a refusal is the word of a database, as the module says."""
    if answer.headers.get("X-Influxdb-Version"):
        return True
    if answer.fault:  # cut off: one that complains of each of thousands of lines says more than we take in
        return answer.body.lstrip().startswith(_BEGINNINGS)
    try:
        body = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(body, dict) and ("error" in body or {"code", "message"} <= body.keys())


def unreachable(sink: str, error: Exception) -> DeliveryError:
    """Turn a missing answer into an error."""
    kind = type(error).__name__
    return DeliveryError(f"sink {sink}: no answer from the database ({kind}); is it running at the url?")


def parse_retry_after(text: str | None) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date) as seconds from now; None when absent or unreadable."""
    if not text:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


def backoff(attempt: int, base: float, longest: float) -> float:
    """Full jitter: a random share of ``base * 2**attempt`` seconds, at most ``longest``; the first is 0."""
    return random.random() * min(longest, base * 2.0 ** min(attempt, 32))
