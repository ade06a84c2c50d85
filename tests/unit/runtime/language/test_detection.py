from __future__ import annotations

import pytest

from runtime.language.detection import detect


@pytest.mark.parametrize(
    "text",
    ["מה שלומה?", "האם לקחה escitalopram?", "מינון של Seroquel XR", "מה אמרה Dana Levi?", "שָׁלוֹם"],
)
def test_hebrew_with_borrowed_names_is_hebrew(text: str) -> None:
    assert detect(text) == "he"


@pytest.mark.parametrize(
    "text", ["How is she?", "What did דנה say about her sleep?", "", "123 ?", "¿Cómo está?"]
)
def test_everything_else_is_english(text: str) -> None:
    assert detect(text) == "en"
