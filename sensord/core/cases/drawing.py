"""The diagram of a case's stages in ``docs/cases.md`` and its Chinese twin, drawn from the transition table."""

from __future__ import annotations

from collections.abc import Mapping

from sensord.core.cases.case import STAGES, TABLE, Happening, State

_BEGIN, _END = "<!-- case-diagram -->", "<!-- /case-diagram -->"
_RAISED = {"zh": "出现告警", "en": "alert raised"}
_AND = {"zh": "、", "en": ", "}


def draw(language: str, words: Mapping[str, str]) -> str:
    """Draw the table as a Mermaid state diagram; happenings with the same ends share an arrow.

    ``words`` are what happenings are called; without one the happening's own name stands there, as the API says it.
    """
    arrows: dict[tuple[State, State], list[Happening]] = {}
    for (state, happening), target in TABLE.items():
        if target is not None and state is not target:
            arrows.setdefault((state, target), []).append(happening)
    lines, names = ["stateDiagram-v2"], {state: STAGES[state][language] for state in State}
    lines += [f'    state "{name}" as {state.value}' for state, name in names.items() if name != state.value]
    lines.append(f"    [*] --> accepted: {_RAISED[language]}")
    for (one, other), happenings in arrows.items():
        said = _AND[language].join(words.get(one.value, one.value) for one in happenings)
        lines.append(f"    {one.value} --> {other.value}: {said}")
    return "\n".join([*lines, "    closed --> [*]", "    void --> [*]"]) + "\n"


def redraw(text: str, language: str, words: Mapping[str, str]) -> str:
    """Return a document with the diagram between its marks drawn anew; raises ``ValueError`` when there are none."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    if not rest or not after:
        raise ValueError(f"the document lacks {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n```mermaid\n{draw(language, words)}```\n{_END}{after}"
