from __future__ import annotations

from collections.abc import Iterator

from runtime import errors
from runtime.errors import ProviderError
from runtime.resilience.outcomes import OUTCOMES, outcome_of


def below(kind: type[ProviderError]) -> Iterator[type[ProviderError]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def test_of_every_provider_error_it_is_decided_what_it_tells_of_the_vendor() -> None:
    ours = {kind for kind in below(ProviderError) if kind.__module__ == errors.__name__}
    assert set(OUTCOMES) == ours


def test_an_error_of_no_known_class_says_nothing_of_the_vendor() -> None:
    assert outcome_of(ProviderError("cohere", "m", "embed", "what else", None)) == "ignored"
