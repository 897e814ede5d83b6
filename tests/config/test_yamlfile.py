"""The YAML reader: what it accepts, what it refuses byte by byte, and that nothing makes it fall over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensord.config import yamlfile
from sensord.config.yamlfile import Document, parse_yaml, read_yaml, show
from sensord.errors import ConfigError, Problem
from tests.config.rejection import REJECTED


def _refused(raw: bytes, max_bytes: int = yamlfile.MAX_BYTES) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(raw, "f.yaml", max_bytes)
    return caught.value.problems


@pytest.fixture(params=["libyaml", "pure"])
def _parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with libyaml's parser and with PyYAML's own."""
    if request.param == "pure":
        monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    else:
        assert yamlfile._LOADER is yaml.CSafeLoader, "this machine's PyYAML was built without libyaml"


_MEANINGS: list[tuple[str, object]] = [
    ("12:30", "12:30"),
    ("12:30:45", "12:30:45"),
    ("2024-05-01", "2024-05-01"),
    ("10%", "10%"),
    ("10s", "10s"),
    ("0", 0),
    ("-0", 0),
    ("42", 42),
    ("-7", -7),
    ("+7", 7),
    ("0o17", 15),
    ("0xFF", 255),
    ("9223372036854775807", 9223372036854775807),
    ("-9223372036854775808", -9223372036854775808),
    ("1.5", 1.5),
    (".5", 0.5),
    ("1e3", 1000.0),
    ("-1.5E-2", -0.015),
    ("1_000", "1_000"),
    ("1.2.3", "1.2.3"),
    ("true", True),
    ("False", False),
    ("null", None),
    ("~", None),
    ("''", ""),
    ('"no"', "no"),
    ("'010'", "010"),
    ('"12"', "12"),
    ("nobody", "nobody"),
    ("y", "y"),
    ("N", "N"),
    ("one", "one"),
    ("临汾路街道", "临汾路街道"),
    ("沪A", "沪A"),
    ('"\\u6caa"', "沪"),
]


@pytest.mark.parametrize(("text", "meaning"), _MEANINGS, ids=[text for text, _ in _MEANINGS])
@pytest.mark.usefixtures("_parser")
def test_a_scalar_has_its_yaml_1_2_meaning(text: str, meaning: object) -> None:
    """A scalar means what YAML 1.2's core schema says, whichever parser reads it."""
    data = parse_yaml(f"a: {text}\n".encode(), "f.yaml").data
    assert data == {"a": meaning}
    assert isinstance(data, dict)
    assert type(data["a"]) is type(meaning)


@pytest.mark.parametrize(
    ("raw", "position", "words"),
    [
        (b"a: b\nb: \xff\n", (2, 4), "byte 0xff is not UTF-8"),
        ("a: 临\nb: ".encode() + b"\xe4\xb8", (2, 4), "is not UTF-8"),
        (b"a: b\x00c\n", (1, 5), "U+0000"),
        (b"a: b\nc: \x1b[31m\n", (2, 4), "U+001B"),
        ("site: x".encode("utf-16"), (1, 1), "is not UTF-8"),
        ("a: 临汾路\x85b\n".encode(), (1, 7), "U+0085"),
    ],
)
def test_bytes_that_are_no_text_are_refused_at_their_position(
    raw: bytes, position: tuple[int, int], words: str
) -> None:
    """Bad UTF-8 and control characters are refused where they stand, counted in characters."""
    (problem,) = _refused(raw)
    assert (problem.line, problem.column) == position
    assert words in problem.message


def test_a_byte_order_mark_at_the_beginning_is_skipped() -> None:
    """Some editors write one; it is not part of the first key."""
    assert parse_yaml(b"\xef\xbb\xbfsite: a\n", "f.yaml").data == {"site": "a"}


def test_a_large_file_is_refused_before_it_is_parsed() -> None:
    """The limit is exact."""
    assert parse_yaml(b"a: " + b"x" * 97, "f.yaml", 100).data == {"a": "x" * 97}
    (problem,) = _refused(b"a: " + b"x" * 98, 100)
    assert "larger than 100 bytes" in problem.message


@pytest.mark.usefixtures("_parser")
def test_depth_is_bounded_and_cannot_exhaust_the_stack() -> None:
    """Twenty levels are read, the twenty-first is refused, and so are two hundred thousand."""
    assert parse_yaml(b"[" * 20 + b"]" * 20, "f.yaml").data is not None
    assert "deeper than 20" in _refused(b"[" * 21 + b"]" * 21)[0].message
    assert "deeper than 20" in _refused(b"[" * 200_000)[0].message


@pytest.mark.parametrize("path", sorted(REJECTED.glob("yaml-*.yaml")), ids=lambda path: path.stem)
def test_both_parsers_refuse_the_same_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser, used where libyaml is missing, lets nothing through that libyaml's does not."""
    monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    with pytest.raises(ConfigError):
        read_yaml(path)


_SAMPLE = """\
site: example
sinks:
  - type: rollups
    name: a
  - {type: influxdb1, name: b}
mqtt: {tls: {ca_file: x},
       port: 1}
"""


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ((), (1, 1), (1, 1)),
        (("site",), (1, 7), (1, 1)),
        (("sinks",), (3, 3), (2, 1)),
        (("sinks", 0), (3, 5), (3, 5)),
        (("sinks", 0, "name"), (4, 11), (4, 5)),
        (("sinks", 1), (5, 5), (5, 5)),
        (("sinks", 1, "name"), (5, 29), (5, 23)),
        (("mqtt", "tls", "ca_file"), (6, 23), (6, 14)),
        (("mqtt", "port"), (7, 14), (7, 8)),
        (("mqtt", "host"), (6, 7), (6, 7)),
        (("sinks", 7, "name"), (3, 3), (3, 3)),
    ],
)
@pytest.mark.usefixtures("_parser")
def test_every_node_has_its_position(path: tuple[str | int, ...], value: tuple[int, int], key: tuple[int, int]) -> None:
    """Values and keys are found by path; what is not there is shown at the nearest thing above it."""
    document = parse_yaml(_SAMPLE.encode(), "f.yaml")
    assert document.position(path) == value
    assert document.position(path, key=True) == key


def test_an_escape_beyond_unicode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser raises ValueError for it, libyaml's an error with a position."""
    raw = b'a: "\\UFFFFFFFF"'
    assert _refused(raw)
    monkeypatch.setattr(yamlfile, "_LOADER", yaml.SafeLoader)
    assert "not YAML" in _refused(raw)[0].message


def test_a_path_is_written_as_people_write_it() -> None:
    """Lists in brackets, keys with dots."""
    assert show(("devices", 3, "place")) == "devices[3].place"
    assert show(()) == ""


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_cannot_be_read_is_a_config_error(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are mistakes of the configuration, with the path and a hint."""
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / name)
    assert caught.value.problems[0].file == str(tmp_path / name)
    assert "cannot be read" in caught.value.problems[0].message


def test_a_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """Opening a pipe to read it would block the start for ever."""
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_yaml(tmp_path / "pipe.yaml")


def test_many_mistakes_are_cut_off() -> None:
    """A file with thousands of refusals reports a hundred of them."""
    assert len(_refused(b"a: [" + b"*x, " * 5000 + b"]")) == yamlfile.MAX_PROBLEMS


def _survives(raw: bytes) -> None:
    """Parse; anything but a document of plain data or a ConfigError fails the test."""
    try:
        document = parse_yaml(raw, "f.yaml")
    except ConfigError as error:
        problems = error.problems
    else:
        _plain(document, (), document.data)
        return
    assert problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


def _plain(document: Document, path: tuple[str | int, ...], data: object) -> None:
    assert document.position(path) >= (1, 1)
    if isinstance(data, dict):
        for key, value in data.items():
            assert type(key) is str
            _plain(document, (*path, key), value)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _plain(document, (*path, index), value)
    else:
        assert data is None or type(data) in (str, int, float, bool)


_PIECES = st.sampled_from(
    [
        *"[]{},:?-&*!|>%@`#'\"\\ \n\t\r",
        "a",
        "- ",
        ": ",
        "---\n",
        "...\n",
        "<<",
        "010",
        ".nan",
        "\\x00",
        "\\ud800",
        "临",
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
)
@pytest.mark.usefixtures("_parser")
def test_random_bytes_never_raise_anything_but_a_config_error(raw: bytes) -> None:
    """Whatever the bytes are, there is plain data or a ConfigError."""
    _survives(raw)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_PIECES, max_size=40))
@pytest.mark.usefixtures("_parser")
def test_random_yaml_like_text_never_raises_anything_but_a_config_error(pieces: list[str]) -> None:
    """Text made of YAML's own signs reaches deeper than random bytes do."""
    _survives("".join(pieces).encode())
