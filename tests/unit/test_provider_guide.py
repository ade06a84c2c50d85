"""The worked example of docs/provider-guide.md works as it stands there, by that page alone."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import ClassVar, cast

import pytest

from runtime import settings
from runtime.messages import Limits
from runtime.providers import catalog
from tests.unit.runtime.providers.conformance import (
    CHAT_CHECKS,
    CHECKS,
    EMBEDDING_CHECKS,
    check_malformed,
)
from tests.unit.runtime.providers.vendors import options
from tests.unit.runtime.providers.wires import (
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    End,
    Vectors,
    Vendor,
)

GUIDE = Path(__file__).parents[2] / "docs" / "provider-guide.md"


class ExampleWire:
    """What the guide says of its vendor."""

    _ends: ClassVar[dict[End, str]] = {
        "whole": "done",
        "cut": "limit",
        "refused": "declined",
        "odd": "tool",
    }

    def texts(self, body: dict[str, object]) -> list[str]:
        return cast("list[str]", body["texts"])

    def embedded(self, vectors: Vectors, tokens: int) -> object:
        rows = [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in vectors]
        return {"vectors": rows, "tokens": tokens}

    def _end(self, end: End) -> dict[str, object]:
        return {"end": self._ends[end], "read": INPUT_TOKENS, "written": OUTPUT_TOKENS}

    def answer(self, text: str, end: End = "whole") -> object:
        return {"text": text, **self._end(end)}

    def start(self) -> list[str]:
        return ["\n"]

    def piece(self, text: str) -> str:
        return json.dumps({"text": text}) + "\n"

    def finish(self, end: End = "whole") -> list[str]:
        return [json.dumps(self._end(end)) + "\n"]

    def error(self, message: str) -> object:
        return {"error": message}


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """The page's one block of Python, in its place, and its entry among the others."""
    [code] = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    module = ModuleType("runtime.providers.example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(GUIDE), "exec", dont_inherit=True), module.__dict__)
    monkeypatch.setitem(catalog.PROVIDERS, "example", module.EXAMPLE)
    return Vendor(
        "example",
        ExampleWire(),
        lambda http: catalog.chat_module("example").make_chat(
            options("example", "example-chat-1", "https://vendor.test"), http
        ),
        lambda http: catalog.embedding_module("example").make_embedder(
            options("example", "example-embed-1", "https://vendor.test"), http
        ),
        catalog.embedding_module("example").TEXTS_PER_CALL,
    )


@pytest.mark.parametrize("check", [*CHECKS, *EMBEDDING_CHECKS, *CHAT_CHECKS])
async def test_the_example_passes_the_conformance_suite(
    check: Callable[[Vendor], Awaitable[None]], example: Vendor
) -> None:
    await check(example)


async def test_the_example_says_nothing_of_what_it_cannot_read(
    example: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    await check_malformed(example, caplog)


@pytest.mark.usefixtures("example")
def test_the_entry_alone_makes_it_configurable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)  # where no .env lies
    monkeypatch.setenv("AI_CHAT_PROVIDER", "example")
    monkeypatch.setenv("EXAMPLE_API_KEY", "k3y")
    monkeypatch.setenv("AI_JWT_SECRET", "s" * 32)
    monkeypatch.setenv("AI_EXAMPLE_CHAT_MODEL", "example-chat-2")
    found, secrets = settings.load()
    assert found.chat_provider == "example"
    assert found.providers["example"].chat_model == "example-chat-2"
    assert found.limits()["example_chat"] == Limits(requests=60, tokens=100_000)
    assert secrets.key_of("example") is not None
