"""Whether the remembered answer to one question may serve another: in doubt, it may not."""

from __future__ import annotations

from runtime.answering.language import detect
from runtime.clinical.english import read_english
from runtime.clinical.facts import Facts, read_facts
from runtime.clinical.forms import Form
from runtime.clinical.hebrew import read_hebrew
from runtime.clinical.wording import normalize_question


def asks_the_same(asked: str, remembered: str) -> bool:
    """Return whether it is certain that both questions have the same answer.

    Certain is what has the same form: each word of one has its counterpart in the other, in the
    same place. And both must claim the same facts.
    """
    first, second = normalize_question(asked), normalize_question(remembered)
    if first == second:
        return True
    return _form(first) == _form(second) and _claims(asked) == _claims(remembered)


def _form(question: str) -> Form:
    return read_hebrew(question) if detect(question) == "he" else read_english(question)


def _claims(question: str) -> tuple[frozenset[object], ...]:
    """Return the facts that no two wordings of one question state differently."""
    facts: Facts = read_facts(question)
    return (
        frozenset(facts.numbers),
        frozenset(facts.doses),
        frozenset(facts.dates),
        frozenset(facts.times),
        frozenset(facts.medications),
        frozenset(facts.negated_medications),
        frozenset(facts.sides),
        frozenset(facts.changes),
    )
