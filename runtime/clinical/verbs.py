"""The forms of the English verbs that the gate knows, made from `lexicons/verbs.en.txt`."""

from __future__ import annotations

from functools import cache
from typing import Final

from runtime.clinical.lexicon import FOLDER

_VOWELS: Final = "aeiou"


@cache
def verb_forms() -> dict[str, tuple[str, str]]:
    """Return for each form of a known verb its meaning, and `base`, `s`, `ing` or `ed`."""
    forms: dict[str, tuple[str, str]] = {}
    for line in (FOLDER / "verbs.en.txt").read_text("utf-8").splitlines():
        if line.startswith("#"):
            continue
        meaning, _, verbs = line.partition(": ")
        for verb in verbs.split(", "):
            lemma, _, irregular = verb.partition(" -")
            head, _, rest = lemma.partition(" ")
            rest = f" {rest}" if rest else ""
            for past in irregular.split("/") if irregular else [_past(head) + rest]:
                forms[past] = (meaning, "ed")
            forms[_third(head) + rest] = (meaning, "s")
            forms[_stem(head) + "ing" + rest] = (meaning, "ing")
            forms[lemma] = (meaning, "base")
    return forms


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb[-1] == "y" and verb[-2] not in _VOWELS:
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "o")) else "s")


def _past(verb: str) -> str:
    if verb[-1] == "y" and verb[-2] not in _VOWELS:
        return verb[:-1] + "ied"
    return _stem(verb) + "ed"


def _stem(verb: str) -> str:
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1]
    doubles = verb in {"stop", "quit", "cancel", "plan", "refer", "get", "hit", "set", "admit"}
    return verb + verb[-1] if doubles else verb
