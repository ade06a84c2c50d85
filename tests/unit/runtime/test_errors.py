from __future__ import annotations

import inspect
import pickle

import pytest

from runtime import errors
from runtime.errors import AIAgentError, ConfigurationError, RateLimitError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, AIAgentError)
]


def test_the_tree_at_the_top_of_the_file_is_the_tree() -> None:
    drawn = [line.split("─ ")[-1].split()[0] for line in (errors.__doc__ or "").splitlines()
             if "── " in line or line.strip() == "AIAgentError"]  # fmt: skip
    assert sorted(drawn) == sorted(kind.__name__ for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_positional_and_required_so_that_pickling_keeps_them(
    kind: type[AIAgentError],
) -> None:
    if kind.__init__ is Exception.__init__:
        assert isinstance(pickle.loads(pickle.dumps(kind())), kind)
        return
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty for p in parameters)
    error = kind(*(f"value {number}" for number in range(len(parameters))))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_texts_say_what_happened_and_what_to_do() -> None:
    error = ConfigurationError("AI_X", "is not set.", "Set it.")
    assert str(error) == "AI_X: is not set. Set it."
    limited = RateLimitError("cohere", "embed-v4.0", "embed", "HTTP 429", 2.0)
    assert str(limited) == "cohere embed (embed-v4.0): HTTP 429"
    assert limited.retryable
