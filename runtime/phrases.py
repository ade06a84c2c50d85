"""The fixed sentences and names that an asker reads, in both languages.

Whoever must say one of them, a step or a provider, takes it from here, so that they are worded
once and can be recognised. Prompts to a model are not phrases: they live beside the answering step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.messages import Language

NOT_IN_RECORDS: Final[dict[Language, str]] = {
    "en": "I found no answer to this in the records.",
    "he": "לא מצאתי לכך תשובה ברשומות.",
}
"""The whole answer where none could be given. It speaks of what was found, not of what the records
hold: a passage that the search missed, or an answer we withheld, must not read as "no such thing".
"""

FIELD_NAMES: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "medical_history": "medical history",
        "notes": "notes",
        "subjective": "subjective",
        "objective": "objective",
        "assessment": "assessment",
        "plan": "plan",
    },
    "he": {
        "medical_history": "רקע רפואי",
        "notes": "הערות",
        "subjective": "דיווח סובייקטיבי",
        "objective": "ממצאים אובייקטיביים",
        "assessment": "הערכה",
        "plan": "תוכנית",
    },
}
"""What a record's fields are called when a person or a model is told where a passage stands."""
