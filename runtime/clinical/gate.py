"""Whether the remembered answer to one question may serve another: in doubt, it may not."""

from __future__ import annotations

from runtime.clinical.english import read_english
from runtime.clinical.forms import Form
from runtime.clinical.hebrew import read_hebrew
from runtime.clinical.wording import normalize_question
from runtime.language.detection import detect


def asks_the_same(asked: str, remembered: str) -> bool:
    """Return whether it is certain that both questions have the same answer.

    Certain is what has the same form: each word of one has its counterpart in the other, in the
    same place.
    """
    first, second = normalize_question(asked), normalize_question(remembered)
    if first == second:
        return True
    return _form(first) == _form(second)


def _form(question: str) -> Form:
    return read_hebrew(question) if detect(question) == "he" else read_english(question)
