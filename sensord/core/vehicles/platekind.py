"""The kinds of plates, by their forms and their colours.

Source: GA 36-2018. Letters stop at Z without I and O.

::

    沪A12345    ordinary       沪AD12345  small new-energy      沪A12345D   large new-energy
    沪A1234警   police         沪A1234学  driving school        沪A1234挂   trailer
    粤Z1234港   Hong Kong      粤Z1234澳  Macau                 沪22478领   consulate     使123456  embassy
    WJ沪1234J   armed police   BA12345    army                  沪X1234应急 rescue        沪A1234临 temporary
"""

from __future__ import annotations

import re
from enum import StrEnum

from sensord.core.region import PROVINCES


class PlateKind(StrEnum):
    """What a plate is, by its form."""

    ORDINARY = "ordinary"
    SMALL_NEW_ENERGY = "small_new_energy"
    LARGE_NEW_ENERGY = "large_new_energy"
    POLICE = "police"
    TRAILER = "trailer"
    SCHOOL = "school"
    HONG_KONG = "hong_kong"
    MACAU = "macau"
    CONSULATE = "consulate"
    EMBASSY = "embassy"
    ARMED_POLICE = "armed_police"
    ARMY = "army"
    RESCUE = "rescue"
    TEMPORARY = "temporary"
    NONE = "none"
    UNREAD = "unread"


NEW_ENERGY = (PlateKind.SMALL_NEW_ENERGY, PlateKind.LARGE_NEW_ENERGY)
CIVIL = (PlateKind.ORDINARY, *NEW_ENERGY, PlateKind.TRAILER, PlateKind.SCHOOL, PlateKind.TEMPORARY)
"""The kinds that are sorted by where they are registered; the others are on duty, or of another state or system."""

ANY_PROVINCE = "".join(PROVINCES)
ARMY = "BCGHJKLNSV"
"""The letters of services and commands: with one of them an army plate begins."""


def _forms(unread: str = "") -> dict[PlateKind, re.Pattern[str]]:
    """The forms as patterns; ``unread`` may stand for any character of theirs but those that make the kind."""
    province, letter = f"[{ANY_PROVINCE}{unread}]", f"[A-HJ-NP-Z{unread}]"
    serial, digit, energy = f"[A-HJ-NP-Z0-9{unread}]", f"[0-9{unread}]", f"[A-HJK{unread}]"
    civil = f"{province}{letter}{serial}{{4}}"
    written = {
        PlateKind.ORDINARY: f"{civil}{serial}",
        PlateKind.SMALL_NEW_ENERGY: f"{province}{letter}{energy}{serial}{digit}{{4}}",
        PlateKind.LARGE_NEW_ENERGY: f"{province}{letter}{digit}{{5}}{energy}",
        PlateKind.POLICE: f"{civil}警",
        PlateKind.TRAILER: f"{civil}挂",
        PlateKind.SCHOOL: f"{civil}学",
        PlateKind.HONG_KONG: f"粤Z{serial}{{4}}港",
        PlateKind.MACAU: f"粤Z{serial}{{4}}澳",
        PlateKind.CONSULATE: f"{province}(?:{digit}{{5}}|{letter}{serial}{{4}})领",
        PlateKind.EMBASSY: f"使{digit}{{6}}",
        PlateKind.ARMED_POLICE: f"WJ(?:{province}|警)?{digit}{{4}}[A-Z0-9{unread}]",
        PlateKind.ARMY: f"[{ARMY}{unread}]{letter}{digit}{{5}}",
        PlateKind.RESCUE: f"{civil}应急",
        PlateKind.TEMPORARY: f"{civil}{serial}?临|临{civil}{serial}?",
    }
    return {kind: re.compile(form) for kind, form in written.items()}


_KNOWN, _PARTLY = _forms(), _forms("?")
_ROAD, _BLACK, _WHITE, _YELLOW = {"blue", "yellow", "black"}, {"black"}, {"white"}, {"yellow"}
_COLOURS: dict[PlateKind, set[str]] = {
    PlateKind.ORDINARY: _ROAD,
    PlateKind.SMALL_NEW_ENERGY: {"green"},
    PlateKind.LARGE_NEW_ENERGY: {"green", "yellow_green", "yellow"},
    PlateKind.POLICE: _WHITE,
    PlateKind.TRAILER: _YELLOW,
    PlateKind.SCHOOL: _YELLOW,
    PlateKind.HONG_KONG: _BLACK,
    PlateKind.MACAU: _BLACK,
    PlateKind.CONSULATE: _BLACK,
    PlateKind.EMBASSY: _BLACK,
    PlateKind.ARMED_POLICE: _WHITE,
    PlateKind.ARMY: _WHITE,
    PlateKind.RESCUE: _WHITE,
    PlateKind.TEMPORARY: {"blue", "yellow", "white"},
}
"""The colours that a form may have. A large new-energy plate is half yellow, half green, and a temporary one is pale
paper, bluish within its district and brownish beyond: cameras say either."""

_WORDS = {
    "blue": "蓝 blue",
    "yellow": "黄 yellow",
    "white": "白 white",
    "black": "黑 black",
    "green": "绿 渐变绿 绿渐变 浅绿 green gradientgreen greengradient lightgreen",
    "yellow_green": "黄绿 绿黄 黄绿双拼 双拼黄绿 黄绿相间 yellowgreen greenyellow",
}
_COLOUR_OF = {word: colour for colour, words in _WORDS.items() for word in words.split()}
_BESIDE_COLOUR = re.compile(r"[\s_\-/]|色|牌照?|plate")


def colour_of(word: str) -> str:
    """Return the colour that a source's word means; "" for a word that proves nothing, such as a number.

    Sources number their colours differently: their numbers mean nothing without the source's own list.
    """
    return _COLOUR_OF.get(_BESIDE_COLOUR.sub("", word.lower()), "")


def kind_of(text: str, colour: str = "") -> PlateKind:
    """Return the kind of a plate in its one form; ``UNREAD`` when it has no plate's form.

    So is one of the army in a colour that none of those has: so looks a plate whose province character was not read.
    Any other form says more than a colour does, in which cameras err at night.
    """
    kind = next((kind for kind, form in _KNOWN.items() if form.fullmatch(text)), PlateKind.UNREAD)
    return PlateKind.UNREAD if kind is PlateKind.ARMY and not fits(kind, colour) else kind


def may_be(text: str, colour: str) -> bool:
    """Whether a text with unread characters (``?``) may be a plate, of a kind that can have that colour."""
    return any(form.fullmatch(text) for kind, form in _PARTLY.items() if fits(kind, colour))


def nearly(text: str) -> bool:
    """Whether a text would have a plate's form if one of its characters, misread or not read, were another."""
    return len(text) in (7, 8) and any(may_be(f"{text[:place]}?{text[place + 1 :]}", "") for place in range(len(text)))


def fits(kind: PlateKind, colour: str) -> bool:
    """Whether a kind may have a colour; an unknown one ("") fits every kind."""
    return not colour or colour in _COLOURS.get(kind, colour)
