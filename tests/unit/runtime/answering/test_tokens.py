"""Never less than a vendor counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.answering.tokens import (
    HEADROOM,
    LEAST_FACTOR,
    LEAST_LEARNT_TOKENS,
    MOST_FACTOR,
    TokenGauge,
    most_prompt_tokens,
    most_tokens,
)
from runtime.messages import ChatDocument, ChatMessage, ChatRequest
from runtime.providers.prompt import messages_with_records

COUNTED: list[tuple[str, int, int]] = [
    ("The patient reports waking at 3 a.m. most nights and feeling exhausted by noon.", 20, 18),
    ("Denies suicidal ideation, intent or plan. Sleep 5-6 h/night; appetite reduced.", 24, 21),
    (
        "Started sertraline 50 mg qAM, increased to 100 mg on 12/03/2025; no GI side effects.",
        39,
        29,
    ),
    (
        "Escitalopram, methylphenidate, levothyroxine, lamotrigine and clonazepam were reviewed.",
        32,
        26,
    ),
    ("PHQ-9: 14 (was 19). GAD-7: 11. BP 128/84, HR 72, SpO2 98%.", 45, 36),
    ("EMDR, CBT-I, PTSD, ADHD, OCD, BPD; ROM L shoulder 0-110°, R 0-165°.", 41, 29),
    ("SHE SAID SHE WOULD NOT COME BACK BEFORE HER MOTHER'S OPERATION", 27, 16),
    (
        (
            "המטופלת מדווחת על קשיי הירדמות, מתעוררת בשלוש לפנות בוקר "
            "ברוב הלילות ואינה מצליחה לחזור לישון."
        ),
        95,
        38,
    ),
    ('מכחישה מחשבות אובדניות. תיאבון ירוד, ירידה של 4 ק"ג בחודשיים האחרונים.', 71, 30),
    ('הוחל טיפול בציפרלקס 10 מ"ג בבוקר; נקבעה פגישת מעקב ב-12.3.2025 בשעה 16:30.', 75, 40),
    ("גזזטססכךפףצץקקםןם קצץ סכסוך בזק צפצוף", 61, 27),
    ("שׁוֹלִיָּה הַמְטַפֶּלֶת סִפְּרָה שֶׁהַיֶּלֶד יָשֵׁן", 77, 50),
    ("לפי הסולם PHQ-9 הציון ירד מ-19 ל-14, GAD-7 נשאר 11, ו-BP 128/84.", 60, 36),
    ('Noa (נועה) said: "אני לא ישנה" and asked about the ציפרלקס dose.', 38, 24),
    ("1234567890 0987654321 555-1234 +972-50-123-4567", 47, 23),
    ("2025-03-12T09:00:00Z 12.3.25 3/12/2025 16:30-17:20", 51, 34),
    ("c2Vzc2lvbiBub3RlIGF0dGFjaGVkIGFzIGJhc2U2NCBkYXRhIDEyMzQ1Njc4OTA=", 50, 43),
    ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", 60, 43),
    ("4199deaa-2823-5aef-b0d5-38e4b8186429", 34, 23),
    ("https://example.org/a/b?id=4199&x=%D7%A9%D7%9C%D7%95%D7%9D#top", 44, 33),
    ("😀😢🙏🏽👩\u200d👧\u200d👦❤️\u200d🩹🫠🪢", 37, 25),
    ("\n\n\n\n\t\t\t\t    \r\n \n \t x", 17, 6),
    (" " * 120 + "end", 9, 3),
    ("-" * 60, 5, 2),
    ("." * 40, 4, 2),
    ("=== *** --- ___ ~~~ ///", 7, 7),
    (
        (
            "\u201cSmart quotes\u201d \u2014 dashes\u2026 and \u2018apostrophes\u2019 "
            "don\u2019t cost one each"
        ),
        22,
        19,
    ),
    ("Ελληνικά, русский текст и العربية في نفس السطر 中文字符 日本語 한국어", 49, 18),
    ("ﷺ ﷻ ﷲ ½ ① ㎎", 31, 15),
    ("\u200f\u200eRTL\u200f marks\u202b here\u202c", 13, 8),
    ("antidisestablishmentarianism hypercholesterolemia electroencephalography", 20, 15),
    ("xqzvbkjw pfftgh mwxhdk zzkqrv", 19, 16),
    ("aB3dE6gH9 jK2mN5pQ8 rS1tU4vW7", 27, 27),
    ("Übergewicht, naïve, café, señor, Łódź, Đặng Thị", 29, 18),
    ("a b c d e f g h i j k l m n o p", 16, 16),
    ("א ב ג ד ה ו ז ח ט י כ ל מ נ", 28, 14),
    ("", 0, 0),
]
"""Texts, the most tokens that any of nine vocabularies makes of each, and those of GPT-4o's.

Counted with the vocabularies that `tokens.py` names, outside this repository.
"""
MODEL = "cohere/command-a-03-2025"


@pytest.mark.parametrize(("text", "most"), [(text, most) for text, most, _ in COUNTED])
def test_no_vocabulary_makes_more_tokens_of_a_text(text: str, most: int) -> None:
    assert most_tokens(text) >= most


def test_plain_notes_are_not_estimated_out_of_proportion() -> None:
    english = [(most_tokens(text), counted) for text, _, counted in COUNTED[:4]]
    hebrew = [(most_tokens(text), counted) for text, _, counted in COUNTED[7:10]]
    assert sum(most for most, _ in english) < 1.8 * sum(counted for _, counted in english)
    assert sum(most for most, _ in hebrew) < 2.9 * sum(counted for _, counted in hebrew)


@given(st.text())
def test_what_no_vocabulary_knows_is_counted_in_bytes(text: str) -> None:
    unknown = "".join(c for c in text if ord(c) > 0x2FFFF)
    assert most_tokens(unknown) > len(unknown.encode())


TEXTS = st.text(st.sampled_from("abz AZ09אבץ \n\t.,-\u05b8é😀\ufdfa"), max_size=60)


@given(st.lists(TEXTS, max_size=5), st.lists(TEXTS, max_size=3))
def test_a_prompt_is_counted_as_it_is_sent(documents: list[str], turns: list[str]) -> None:
    request = ChatRequest(
        system="Rules.",
        messages=tuple(ChatMessage("user", text) for text in (*turns, "How is she?")),
        documents=tuple(
            ChatDocument(marker, "Noa Bar, 2025-10-14, plan", text)
            for marker, text in enumerate(documents, start=1)
        ),
        language="en",
    )
    sent = "\n".join(message.content for message in messages_with_records(request))
    assert most_prompt_tokens(request) >= most_tokens(f"Rules.\n{sent}")


class TestTokenGauge:
    def test_what_was_counted_is_never_underestimated_again(self) -> None:
        gauge = TokenGauge()
        gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=1500)
        assert gauge.correct(MODEL, 1000) >= 1500
        assert gauge.correct(MODEL, 1000) == pytest.approx(1500 * HEADROOM, abs=1)
        assert gauge.correct("another/model", 1000) == 1000

    def test_it_goes_down_slowly(self) -> None:
        gauge = TokenGauge()
        for calls, least in ((1, 0.98), (35, 0.8)):
            for _ in range(calls):
                gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=800)
            assert 1000 * least < gauge.correct(MODEL, 1000) < 1000
        for _ in range(500):
            gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=800)
        assert gauge.correct(MODEL, 1000) == pytest.approx(800 * HEADROOM, abs=2)

    def test_it_keeps_within_bounds(self) -> None:
        gauge = TokenGauge()
        gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=10**9)
        assert gauge.correct(MODEL, 1000) == 1000 * MOST_FACTOR
        for _ in range(2000):
            gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=1)
        assert gauge.correct(MODEL, 1000) == 1000 * LEAST_FACTOR

    @pytest.mark.parametrize("counted", [0, -1])
    def test_a_vendor_that_counts_nothing_teaches_nothing(self, counted: int) -> None:
        gauge = TokenGauge()
        gauge.learn(MODEL, estimated_tokens=1000, counted_tokens=counted)
        assert gauge.correct(MODEL, 1000) == 1000

    def test_a_short_prompt_teaches_nothing(self) -> None:
        gauge = TokenGauge()
        gauge.learn(MODEL, estimated_tokens=LEAST_LEARNT_TOKENS - 1, counted_tokens=800)
        assert gauge.correct(MODEL, 1000) == 1000

    @given(st.floats(LEAST_FACTOR, MOST_FACTOR), st.integers(0, 10**6))
    def test_what_fits_its_room_is_counted_as_no_more(self, factor: float, tokens: int) -> None:
        gauge = TokenGauge({MODEL: factor})
        assert gauge.correct(MODEL, gauge.room(MODEL, tokens)) <= tokens + 1
