"""Two threads that need a type for the first time at the same moment both get it whole."""

from __future__ import annotations

import subprocess
import sys

_RACE = """
import sys, threading
from sensord.decoders import json_decoder, msgpack_decoder, convert
import msgspec

DECLARED = '''
class Inner(msgspec.Struct):
    number: int
    words: "list[str]"

class Outer(msgspec.Struct):
    one: "Inner"
    more: "dict[str, Inner]"
    numbers: "tuple[int, ...]" = ()
'''
DATA = {"one": {"number": 1, "words": ["a"]}, "more": {"b": {"number": 2, "words": []}}, "numbers": [3]}
JSON, PACKED = msgspec.json.encode(DATA), msgspec.msgpack.encode(DATA)
WAYS = [
    lambda: json_decoder(Outer).decode(JSON),
    lambda: msgpack_decoder(Outer).decode(PACKED),
    lambda: convert(DATA, Outer),
]
sys.setswitchinterval(1e-6)
for turn in range(500):
    exec(DECLARED)  # types that nothing is known of yet
    start, made = threading.Barrier(3), []

    def need(way):
        start.wait()
        made.append(way())

    threads = [threading.Thread(target=need, args=[way]) for way in WAYS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [Outer(Inner(1, ["a"]), {"b": Inner(2, [])}, (3,))] * 3, (turn, made)
"""


def test_threads_that_need_a_type_at_once_get_it_whole() -> None:
    """Without the lock this ends with a segmentation fault, so it is another process that tries."""
    done = subprocess.run([sys.executable, "-c", _RACE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
