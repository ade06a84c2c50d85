from __future__ import annotations

from benchmarks.simulator.answers import WITHOUT_RECORDS, answer
from benchmarks.simulator.calls import ChatCall
from runtime.answering.checking import check_sentence, split_answer
from runtime.answering.support import Evidence
from runtime.messages import ChatDocument, ChatMessage, ChatRequest, Language
from runtime.providers.prompt import messages_with_records


def said(
    question: str, *records: str, language: Language = "en", max_tokens: int | None = None
) -> str:
    request = ChatRequest(
        system="Answer from the records.",
        messages=(ChatMessage("user", question),),
        documents=tuple(
            ChatDocument(marker, 'Dana "D" Levi, notes', text)
            for marker, text in enumerate(records, start=1)
        ),
        language=language,
        temperature=0.1,
        max_tokens=1000,
    )
    turns = tuple(message.content for message in messages_with_records(request))
    call = ChatCall("m", turns, max_tokens, stream=False, include_usage=True)
    reply = answer(call, 1)
    assert "".join(reply.pieces) == reply.text
    return reply.text


def test_the_sentence_that_shares_most_words_is_quoted_with_its_record() -> None:
    text = said(
        "What dose of sertraline does she take?",
        "She came late. Her mother phoned.",
        "Sleep is better. The dose of sertraline was raised to 50 mg. She likes the new job.",
    )
    assert text == "The dose of sertraline was raised to 50 mg. [2]"


def test_sentences_that_fit_nearly_as_well_are_quoted_too_each_with_its_own_record() -> None:
    text = said(
        "Does she take sertraline?",
        "Takes sertraline in the morning",
        "Her dog is ill.",
        "Takes sertraline at night.",
    )
    assert text == "Takes sertraline in the morning [1]. Takes sertraline at night. [3]"


def test_a_hebrew_question_finds_words_behind_their_prefixes() -> None:
    text = said(
        "מה מצב השינה?",
        "הגיעה באיחור. אמה התקשרה.",
        "עובדת במאפייה. דיווחה על שיפור בשינה.",
        language="he",
    )
    assert text == "דיווחה על שיפור בשינה. [2]"


def test_without_a_shared_word_the_first_record_is_quoted() -> None:
    assert said("Quid novi?", "She came late.", "He left.") == "She came late. [1]"


def test_without_records_there_is_one_fixed_sentence() -> None:
    assert said("How are you?") == WITHOUT_RECORDS


def test_the_products_check_finds_every_sentence_cited() -> None:
    text = said(
        "When did the panic attacks begin?",
        "The panic attacks began in 2021",
        "Her panic attacks began when she moved.",
    )
    parts = [text[start:end] for start, end in split_answer(text)]
    assert len(parts) == 2
    assert all("unknown_marker" in check_sentence(part, Evidence({})).warnings for part in parts)


def test_max_tokens_cuts_between_words() -> None:
    records = "Takes 20 mg of fluoxetine every morning."
    assert said("fluoxetine?", records, max_tokens=4) == "Takes 20 mg of"
