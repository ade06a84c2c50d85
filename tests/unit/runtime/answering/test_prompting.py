from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import ModuleType

import pytest

from runtime.answering import prompting
from runtime.answering.checking import mask_markers
from runtime.answering.prompting import PROMPT_VERSION, prompt_version, write_request
from runtime.messages import (
    FIELDS,
    ChatMessage,
    ChatRequest,
    Language,
    Passage,
    Question,
    RecordKey,
    Turn,
)
from runtime.phrases import FIELD_NAMES, NOT_IN_RECORDS
from runtime.providers import prompt

TODAY = date(2026, 1, 31)


def write(question: Question, *passages: Passage, language: Language = "en") -> ChatRequest:
    return write_request(question, passages, language=language, today=TODAY)


@pytest.mark.parametrize("language", ["en", "he"])
def test_the_model_is_told_the_date_and_the_very_words_for_no_answer(language: Language) -> None:
    system = write(Question("?"), language=language).system
    assert "2026-01-31" in system
    assert NOT_IN_RECORDS[language] in system
    assert "{" not in system


@pytest.mark.parametrize("language", ["en", "he"])
def test_every_field_has_a_name_in_each_language(language: Language) -> None:
    fields = {field for names in FIELDS.values() for field in names}
    assert set(FIELD_NAMES[language]) == fields


def test_documents_are_numbered_by_rank_and_say_whose_and_when(
    make_passage: Callable[..., Passage],
) -> None:
    first, second = make_passage("Sleeps."), make_passage("Eats.", field_name="plan")
    profile = replace(
        second,
        record=RecordKey("client", second.client_id),
        session_date=None,
        field_name="medical_history",
    )
    documents = write(Question("?"), first, profile).documents
    assert [document.marker for document in documents] == [1, 2]
    assert documents[0].heading == "Noa Bar, 2025-10-14, subjective"
    assert documents[1].heading == "Noa Bar, medical history"
    assert write(Question("?"), profile, language="he").documents[0].heading == (
        "Noa Bar, רקע רפואי"
    )


def test_a_note_cannot_cite(make_passage: Callable[..., Passage]) -> None:
    note = "As seen [2], [3, 4], 【5】, [6\u20137] ]8[ and [sic]."
    document = write(Question("?"), make_passage(note)).documents[0]
    assert document.text == "As seen (2), (3, 4), (5), (6\u20137) (8) and [sic]."
    assert mask_markers(document.text) == document.text


def test_the_question_comes_last_after_earlier_turns() -> None:
    history = (Turn("user", "How is she?"), Turn("assistant", "Well [1]."))
    assert write(Question("Since when?", history=history)).messages == (
        ChatMessage("user", "How is she?"),
        ChatMessage("assistant", "Well [1]."),
        ChatMessage("user", "Since when?"),
    )


def test_a_user_speaks_first() -> None:
    history = (Turn("assistant", "Hello!"), Turn("user", "How is she?"), Turn("assistant", "Well."))
    kept = write(Question("?", history=history)).messages
    assert [message.content for message in kept] == ["How is she?", "Well.", "?"]
    assert len(write(Question("?", history=history[:1])).messages) == 1


class TestVersion:
    def test_it_is_that_of_the_texts_and_the_same_every_time(self) -> None:
        assert prompt_version() == PROMPT_VERSION

    @pytest.mark.parametrize(
        ("module", "name"),
        [
            (prompting, "_TEMPLATES"),
            (prompting, "NOT_IN_RECORDS"),
            (prompting, "FIELD_NAMES"),
            (prompt, "_INTRODUCTION"),
            (prompt, "_BESIDE"),
            (prompt, "_QUESTION"),
        ],
    )
    def test_no_text_of_a_prompt_changes_without_it(
        self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
    ) -> None:
        texts = getattr(module, name)
        worded = {language: _reworded(text) for language, text in texts.items()}
        monkeypatch.setattr(module, name, worded)
        assert prompt_version() != PROMPT_VERSION

    @pytest.mark.parametrize("name", ["_REVISION", "TEMPERATURE", "MAX_TOKENS"])
    def test_nor_does_what_else_an_answer_hangs_on(
        self, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.setattr(prompting, name, 7)
        assert prompt_version() != PROMPT_VERSION


def _reworded(text: str | dict[str, str]) -> str | dict[str, str]:
    if isinstance(text, str):
        return f"{text}!"
    return {name: f"{word}!" for name, word in text.items()}
