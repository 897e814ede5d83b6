"""What we wrote ourselves and what damage, another program or a stranger made of it; and what others answer us."""

from __future__ import annotations

import tempfile
import zlib
from functools import cache
from pathlib import Path

import msgspec

from sensord.api.links import AnswerLinks, LinkError
from sensord.api.tokens import Role, TokenStore
from sensord.core.cases.notice import decode_notice
from sensord.core.definition import decode_definition
from sensord.core.instant import HOUR
from sensord.core.record import Group, Record, RecordKind
from sensord.core.site import Site, definition_record
from sensord.core.snapshot import MAGIC, VERSION, unseal
from sensord.errors import SensordError, SnapshotError
from sensord.notify.http import Reply
from sensord.notify.outcome import parse_retry_after
from sensord.series.refusal import parse_retry_after as database_wish
from sensord.store.access import AccessLog
from sensord.store.backup import restore
from sensord.store.dayfile import decode_group, encode_records
from sensord.store.starts import Starts
from tests.core.street import START, definition
from tests.fuzz.target import Target, each, of_file, refusing

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@cache
def _snapshot() -> bytes:
    site = Site()
    site.step(Group(1, (definition_record(definition(), START),)))
    payload = b'{"count":90,"boot":1,"seq":1}'
    site.step(Group(2, (Record(RecordKind.MESSAGE, START + 1, "t/C1/crowd/crowd-0", payload),)))
    return site.snapshot()


def _resealed(data: bytes) -> None:
    """A state whose checksum holds, and whose content is anything: a program error, say, not a damaged disk."""
    packed = zlib.compress(data, 1)
    Site.restored(MAGIC + bytes([VERSION]) + zlib.crc32(packed).to_bytes(4, "big") + packed)


_RECORDS = [Record(RecordKind.MESSAGE, START, "t/C1/crowd/crowd-0", b'{"count":1}'), Record(RecordKind.TICK, START + 1)]
_GROUPS = (encode_records(_RECORDS), encode_records(_RECORDS * 60))
_LINKS = AnswerLinks("https://s.example", b"key of these tests", HOUR)


@cache
def _tokens() -> TokenStore:
    store = TokenStore(Path(tempfile.mkdtemp(prefix="sensord-fuzz-tokens-")))
    store.create("somebody", Role.VIEWER, START)
    return store


def _token(data: bytes) -> None:
    assert _tokens().identify(data.decode("latin-1"), START) is None


def _definition(data: bytes) -> None:
    """What can be read is written again as it is, under the same version; the reader itself is no Python to cover."""
    read = decode_definition(data)
    again = decode_definition(read.encode())
    assert (again.encode(), again.version) == (read.encode(), read.version)


def _link(data: bytes) -> None:
    """No bytes are a link that we made."""
    try:
        _LINKS.read(data.decode("utf-8", "replace"), START)
    except LinkError:
        return
    raise AssertionError("a stranger's link was taken for ours")


def _answer(data: bytes) -> None:
    """What a receiver of notifications answers."""
    text = data.decode("latin-1")
    wish = parse_retry_after(text, START)
    assert wish is None or wish >= 0
    wish = database_wish(text)
    assert wish is None or wish >= 0
    assert isinstance(Reply("h", 200, None, data).json, dict | None)


def _log(path: Path) -> None:
    log = AccessLog(path.parent)
    log.verify()
    log.append(at="", by="", reason="", vehicle="", via="")


_ACCESS = each(
    '{"number":1,"at":"","by":"","reason":"","vehicle":"","via":"","case":"","before":"' + "0" * 64 + '","hash":""}\n'
)

TARGETS = (
    Target("snapshot", refusing(Site.restored, SnapshotError), (_snapshot(), b"SNSD")),
    Target("snapshot-content", refusing(_resealed, SnapshotError), (unseal(_snapshot()),)),
    Target("journal-group", refusing(lambda data: decode_group(1, data, Path("journal.db"))), _GROUPS),
    Target("definition", refusing(_definition, *_MALFORMED), (definition().encode(),)),
    Target("notice", refusing(decode_notice, *_MALFORMED), each('{"trouble":"disk-full","active":true}')),
    Target("token", _token, each("sd_0123456789ab_secret", "sd__", "x")),
    Target("link", _link, each(_LINKS.token("c:1:r:w", START + HOUR)[:-3], "", "=" * 40)),
    Target("answer", _answer, each('{"errcode":45009}', "120", "Wed, 21 Oct 2026 07:28:00 GMT", "[" * 3000)),
    Target("access-log", of_file(_log, "log/access.log", SensordError), _ACCESS),
    Target("tokens-file", of_file(lambda p: TokenStore(p.parent).identify("sd_a_b", 0), "tok/tokens.json"), each("[]")),
    Target("starts-file", of_file(lambda path: Starts(path.parent).begin(0), "run/starts"), each("[1,2]")),
    Target(
        "backup-manifest",
        of_file(lambda path: restore(path.parent, path.parent / "state"), "bak/backup.json"),
        each('{"made_at":1,"files":{"state.db":"00","../x":"11"}}'),
    ),
)
