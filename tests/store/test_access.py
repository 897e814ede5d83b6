"""The registers (access log, audit): what is written stays, and whatever is done to them shows."""

from __future__ import annotations

import os
import pwd
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sensord.api.tokens import Role, TokenStore
from sensord.errors import StoreError
from sensord.ports import Change
from sensord.store import chain
from sensord.store.access import FILE, HEAD, AccessLog
from sensord.store.audit import AuditLog
from sensord.store.lock import StateLock
from sensord.store.registers import Registers
from sensord.store.sqlite import create_file
from tests.support.damages import DAMAGES, Damage


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
    """A log of three accesses."""
    made = AccessLog(tmp_path)
    for number in range(3):
        made.append(at=f"2026-01-0{number + 1}", by="派出所-1", reason="协查", vehicle=f"{number:016x}", via="reveal")
    return made


def test_an_intact_log(log: AccessLog) -> None:
    """Three accesses, chained; the last hash is told so that it can be kept elsewhere."""
    number, last, unfinished = log.verify()
    assert (number, unfinished) == (3, False)
    assert [one.number for one in log.entries()] == [1, 2, 3]
    assert list(log.entries())[-1].hash == last


@pytest.mark.parametrize(
    ("login", "said"),
    [("4294967295\n", "{me}"), ("{uid}\n", "{me}"), ("3999999999\n", "{me} (uid 3999999999)"), ("", "{me}")],
)
def test_the_account_of_the_system_is_written_down(
    log: AccessLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, said: str
) -> None:
    """``by`` is what somebody wrote: who was logged in when it was written is there, too, whoever they became."""
    (tmp_path / "loginuid").write_text(login.format(uid=os.getuid()))
    monkeypatch.setattr("sensord.store.access._LOGIN", tmp_path / "loginuid")
    log.append(at="2026-01-04", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal")
    line = list(log.entries())[-1]
    assert line.account == said.format(me=pwd.getpwuid(os.getuid()).pw_name)
    assert line.version == 2
    assert log.verify().number == 4


def test_both_files_gone_is_known_to_the_audit(log: AccessLog, tmp_path: Path) -> None:
    """What was noted of the access log's end is not in it any more: gone, begun anew, or forged to as many lines."""
    registers = Registers.of(tmp_path)
    registers.note("2026-01-05")
    registers.note("2026-01-06")
    assert [line.change.about["number"] for line in AuditLog(tmp_path).entries()] == ["3"], "once for each end"
    registers.verify()
    assert registers.look() == {}
    log.path.unlink()
    log.head.unlink()
    for lines in range(4):
        assert log.verify().number == lines
        assert "has lost its line 3" in registers.look()["access.log"]
        with pytest.raises(StoreError, match="has lost its line 3"):
            registers.verify()
        log.append(at="2026-01-07", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal")
    assert registers.look() == {}, "a look is at the end"
    registers.note("2026-01-08")
    with pytest.raises(StoreError, match="has lost its line 3"):
        registers.verify()


def test_a_loss_that_was_looked_into_is_written_down(log: AccessLog, tmp_path: Path) -> None:
    """From then on the new log is held against that; the audit keeps the old end, and why."""
    registers = Registers.of(tmp_path)
    registers.note("2026-01-05")
    log.path.unlink()
    log.head.unlink()
    registers.note("2026-01-06")
    assert registers.look()
    registers.note("2026-01-06", "the disk was replaced")
    assert registers.look() == {}
    registers.verify()
    assert [line.change.about.get("why", "") for line in AuditLog(tmp_path).entries()] == ["", "the disk was replaced"]


def test_nothing_was_ever_accessed(tmp_path: Path) -> None:
    """No log is an intact log without accesses."""
    assert AccessLog(tmp_path).verify()[0] == 0


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


DAMAGE: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "another reason": lambda lines: [lines[0], lines[1].replace("协查".encode(), "闲聊".encode()), lines[2]],
    "a line taken out": lambda lines: [lines[0], lines[2]],
    "the first taken out": lambda lines: lines[1:],
    "a line twice": lambda lines: [lines[0], lines[1], lines[1], lines[2]],
    "the end cut off": lambda lines: lines[:2],
    "all of it gone": lambda lines: [],
    "lines exchanged": lambda lines: [lines[1], lines[0], lines[2]],
    "garbage": lambda lines: [*lines[:2], b"{}\n", lines[2]],
    "two lines of garbage": lambda lines: [*lines, b"{}\n", b"{}\n"],
    "the last newline gone": lambda lines: [*lines[:2], lines[2].rstrip()],
    "a name before the true one": lambda lines: [lines[0], lines[1].replace(b"{", b'{"by":"X",', 1), lines[2]],
    "a key that nobody knows": lambda lines: [lines[0], lines[1].replace(b"}", b',"note":"X"}'), lines[2]],
    "spaces": lambda lines: [lines[0], lines[1].replace(b",", b", "), lines[2]],
    "spelt otherwise": lambda lines: [*lines[:2], lines[2].replace("协查".encode(), b"\\u534f\\u67e5")],
    "a line's end moved": lambda lines: [lines[0], lines[1].replace(b"\n", b"\r\n"), lines[2]],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_whatever_is_done_to_it_shows(log: AccessLog, tmp_path: Path, damage: str) -> None:
    """A change anywhere breaks the chain, or disagrees with the head."""
    path = tmp_path / FILE
    path.write_bytes(b"".join(DAMAGE[damage](_lines(path))))
    with pytest.raises(StoreError):
        log.verify()


def test_a_changed_end_is_refused_by_all_alike(log: AccessLog, tmp_path: Path) -> None:
    """Who appends, who looks and who verifies read the end in one way: none goes on from what another calls damaged."""
    path = tmp_path / FILE
    for damage in ("the last newline gone", "spelt otherwise", "two lines of garbage", "the end cut off"):
        before = path.read_bytes()
        path.write_bytes(b"".join(DAMAGE[damage](_lines(path))))
        with pytest.raises(StoreError):
            log.verify()
        assert "run sensord audit verify" in log.look()
        with pytest.raises(StoreError, match="run sensord audit verify"):
            add(log)
        path.write_bytes(before)
    assert log.verify()[0] == 3


def test_a_forged_chain_disagrees_with_the_head(log: AccessLog, tmp_path: Path) -> None:
    """Even a log that was written anew as a whole does not end where the head says."""
    head = (tmp_path / HEAD).read_text(encoding="ascii")
    (tmp_path / FILE).unlink()
    (tmp_path / HEAD).unlink()
    log.append(at="2026-01-01", by="nobody", reason="-", vehicle="0" * 16, via="reveal")
    (tmp_path / HEAD).write_text(head, encoding="ascii")
    with pytest.raises(StoreError, match=HEAD):
        log.verify()


def test_two_at_once(tmp_path: Path) -> None:
    """Several writers keep one chain."""

    def write(name: str) -> None:
        for _ in range(10):
            AccessLog(tmp_path).append(at="-", by=name, reason="-", vehicle="0" * 16, via="reveal")

    threads = [threading.Thread(target=write, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AccessLog(tmp_path).verify()[0] == 40
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_later_form_is_refused(log: AccessLog, tmp_path: Path) -> None:
    """A line that a newer program wrote is neither called damaged nor continued in the old form."""
    path = tmp_path / FILE
    lines = _lines(path)
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(b'"version":2', b'"version":3')]))
    with pytest.raises(StoreError, match="newer sensord"):
        log.verify()
    with pytest.raises(StoreError, match="newer sensord"):
        log.append(at="-", by="-", reason="-", vehicle="0" * 16, via="reveal")


@pytest.mark.parametrize("behind", [False, True], ids=["head", "head-behind"])
@pytest.mark.parametrize(
    "left",
    [b'{"number":4,"at":"2026-', b'{"number":4' + bytes(500) + b'"version":1}\n', b"{}\n", b"\n"],
    ids=["no end", "no middle", "nothing of it", "its end only"],
)
def test_what_a_crash_left_of_a_line_is_replaced(log: AccessLog, tmp_path: Path, left: bytes, behind: bool) -> None:
    """It has no end, or no middle, and the head does not know it: nobody was told of it, and the register goes on."""
    if behind:  # a crash before that one came between a line and its head
        second = list(log.entries())[1]
        (tmp_path / HEAD).write_text(f"{second.number} {second.hash}\n", encoding="ascii")
    with (tmp_path / FILE).open("ab") as file:
        file.write(left)
    number, _, unfinished = log.verify()
    assert (number, unfinished, len(list(log.entries()))) == (3, True, 3)
    add(log)
    assert log.verify()[::2] == (4, False)


def test_a_line_that_lost_its_end_is_not_taken_for_a_crash(log: AccessLog, tmp_path: Path) -> None:
    """The head knows it: cutting the end off a finished line does not get it out of the register unseen."""
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match="damaged"):
        log.append(at="2026-01-04", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal")


def test_the_audit_is_chained_as_the_access_log_is(tmp_path: Path) -> None:
    """A change that was made another person's shows; what is read back is what was written, without plates."""
    register = AuditLog(tmp_path)
    for name in ("console", "desk"):
        register.append(Change("2026-01-01", name, "admin", "reload", 0, {"by": "沪A12345"}))
    assert register.verify()[0] == 2
    assert [(one.token, one.about["by"]) for one in register.last(9)] == [("desk", "***"), ("console", "***")]
    path = tmp_path / "audit.log"
    path.write_bytes(path.read_bytes().replace(b"console", b"nobody!"))
    with pytest.raises(StoreError, match=":1: this line was changed"):
        register.verify()


def add(log: AccessLog) -> None:
    """One more access."""
    log.append(at="2026-01-09", by="派出所-1", reason="协查", vehicle="9" * 16, via="reveal")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", ["access.log", "access.head"])
def test_damage_shows_at_a_look_and_is_not_written_over(
    log: AccessLog, tmp_path: Path, file: str, damage: Damage
) -> None:
    """The end and the head must fit each other before a line is added: or a cut log would be whole again."""
    assert log.look() == ""
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    before = path.read_bytes()
    assert "run sensord audit verify" in log.look()
    with pytest.raises(StoreError):
        add(log)
    assert path.read_bytes() == before


def test_a_crash_between_a_line_and_its_head_is_no_damage(log: AccessLog, tmp_path: Path) -> None:
    """The head is one line behind, or not there yet; the next line goes on from what is there."""
    head = tmp_path / "access.head"
    before = head.read_bytes()
    add(log)
    head.write_bytes(before)
    assert log.verify()[0] == 4
    assert log.look() == ""
    assert head.read_text(encoding="ascii").split() == ["4", log.verify().hash]
    add(log)
    assert log.verify()[0] == 5


def test_a_register_is_verified_while_lines_are_added(tmp_path: Path) -> None:
    """What is verified is how the register stood at one moment, not a line whose head is still being written."""

    def write() -> None:
        for _ in range(200):
            add(AccessLog(tmp_path))

    writer = threading.Thread(target=write)
    writer.start()
    seen = [0]
    while writer.is_alive():
        seen.append(AccessLog(tmp_path).verify()[0])
    writer.join()
    assert seen == sorted(seen)
    assert AccessLog(tmp_path).verify()[0] == 200


WRITTEN = {
    "access.log": (
        '{"number":1,"at":"2026-01-05T08:00:00+08:00","by":"派出所-1",'
        '"reason":"协查 \\"2026/118\\" \\\\ é\u2028🚓\\t.",'
        f'"vehicle":"{"0" * 16}","via":"reveal","case":"C-7","before":"{"0" * 64}",'
        '"hash":"321d97897af7b13bd52d64786cc56e489693e75404050bbbef1417abe5f8e3a0","version":1}\n'
    ),
    "audit.log": (
        '{"number":1,"change":{"at":"2026-01-05T08:00:00+08:00","token":"console","role":"admin","what":"rules.put",'
        f'"seq":7,"about":{{"rule":"crowd-hot","a/b":"ü"}}}},"before":"{"0" * 64}",'
        '"hash":"b231a742dc660b59a6dd087427a61eac88afd681f48f1a56abf6a7e4b97ba760","version":1}\n'
    ),
}
"""Lines of version 1 as they are in files since that version."""


def test_a_lock_that_is_kept_is_not_waited_for(log: AccessLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that hangs must not hold up the daemon's start, an answer, or a message with a plate."""
    monkeypatch.setattr(chain, "PATIENCE", 0.05)
    with log.still():
        with pytest.raises(StoreError, match="keeps it locked"):
            log.append(at="2026-01-04", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal")
        assert "keeps it locked" in log.look()
    assert log.look() == ""
    assert log.append(at="2026-01-04", by="派出所-1", reason="协查", vehicle="0" * 16, via="reveal").number == 4


@pytest.mark.parametrize(("file", "register"), [("access", AccessLog), ("audit", AuditLog)])
def test_registers_that_were_written_earlier_stay_valid(
    tmp_path: Path, file: str, register: type[AccessLog | AuditLog]
) -> None:
    """Quotes, tabs and characters beyond ASCII among them: a line is spelt today as it was."""
    text = WRITTEN[f"{file}.log"]
    (tmp_path / f"{file}.log").write_text(text, encoding="utf-8")
    (tmp_path / f"{file}.head").write_text(f"1 {text[-79:-15]}\n", encoding="ascii")
    assert register(tmp_path).verify()[0] == 1
    assert register(tmp_path).look() == ""


def test_a_register_that_was_taken_away_is_missed(log: AccessLog, tmp_path: Path) -> None:
    """The head tells that there was one."""
    (tmp_path / "access.log").unlink()
    assert "gone" in log.look()
    with pytest.raises(StoreError, match="gone"):
        log.verify()


@pytest.mark.parametrize("register", [AccessLog, AuditLog])
def test_who_keeps_a_register_hears_at_once_that_it_takes_nothing(
    tmp_path: Path, register: type[AccessLog | AuditLog]
) -> None:
    """And that it does again: what is in it must be missed by somebody, or nobody mends it."""
    heard = list[str]()

    def append() -> None:
        if isinstance(kept, AuditLog):
            kept.append(Change("-", "cli", "admin", "reload", 0, {}))
        else:
            kept.append(at="-", by="-", reason="-", vehicle="0" * 16, via="reveal")

    kept = register(tmp_path)
    kept.hear = heard.append
    kept.path.mkdir()
    with pytest.raises(StoreError):
        append()
    kept.path.rmdir()
    append()
    assert [bool(fault) for fault in heard] == [True, False]
    assert "nothing can be written down here" in heard[0]


def test_what_root_makes_belongs_to_whoever_owns_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the first token, made as root, would be the end of the audit: the daemon could not open it."""
    given = dict[str, tuple[int, int]]()

    def chown(descriptor: int, user: int, group: int) -> None:
        given[Path(f"/proc/self/fd/{descriptor}").readlink().name] = user, group

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", chown)
    AuditLog(tmp_path).append(Change("-", "cli", "admin", "token", 0, {}))
    TokenStore(tmp_path).create("console", Role.VIEWER, 1)
    StateLock(tmp_path).close()
    create_file(tmp_path / "state.db")
    names = "audit.log", ".audit.head.new", ".tokens.json.lock", ".tokens.json.new", "lock", "state.db"
    owner = tmp_path.stat()
    assert given == dict.fromkeys(names, (owner.st_uid, owner.st_gid))
    given.clear()
    AuditLog(tmp_path).append(Change("-", "cli", "admin", "token", 0, {}))
    assert set(given) == {".audit.head.new"}
