"""Which medications a text names. The local chat model asks it of a question and of sentences."""

from __future__ import annotations

from runtime.clinical.reading import read


def find_medications(text: str) -> frozenset[str]:
    """Return the generic names: `methylphenidate` of Concerta, in either script."""
    named = (str(each.fact) for each in read(text) if each.kind == "medication")
    return frozenset(name.split()[0] for name in named)
