"""Which words of a text a negation reaches."""

from __future__ import annotations

import pytest

from runtime.clinical.negation import negated_places
from runtime.clinical.words import words_of
from runtime.language.stems import stems_of


def split_by_negation(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the stems of the words that are denied, and those of the rest."""
    words = words_of(text)
    denied = negated_places(words)
    return (
        stems_of(" ".join(words[place].written for place in sorted(denied))),
        stems_of(" ".join(word.written for n, word in enumerate(words) if n not in denied)),
    )


@pytest.mark.parametrize(
    ("text", "negated", "asserted"),
    [
        ("She denies pain, nausea and fever but reports dizziness.", "nausea", "dizziness"),
        ("No tremor. Sleeps well.", "tremor", "Sleeps"),
        ("No fever, no cough, no pain.", "fever cough pain", ""),
        ("לא אכלה ולא שתתה.", "אכלה שתתה", ""),
        ("Suicidality was ruled out; anxiety persists.", "Suicidality", "anxiety"),
        ("He doesn't smoke; he drinks.", "smoke", "drinks"),
        ("Neither nausea nor vomiting, although tired.", "vomiting", "tired"),
        ("Stopped lithium because tremor began.", "lithium", "tremor"),
        ("היא מכחישה כאבים אך מדווחת על סחרחורות.", "כאבים", "סחרחורות"),
        ("ללא חום. יש שיעול.", "חום", "שיעול"),
        ("הוא הפסיק ליתיום כי הופיע רעד.", "ליתיום", "רעד"),
        ("אובדנות נשללה.", "אובדנות", ""),
    ],
)
def test_a_negation_reaches_what_it_denies(text: str, negated: str, asserted: str) -> None:
    denied, said = split_by_negation(text)
    assert stems_of(negated) <= denied
    assert stems_of(asserted) <= said
    assert not stems_of(asserted) & denied


@pytest.mark.parametrize("text", ["He does not deny cannabis.", "Not only cannabis."])
def test_a_negation_that_denies_nothing_is_none(text: str) -> None:
    denied, said = split_by_negation(text)
    assert "cannabis" in said
    assert "cannabis" not in denied
