"""What a chat call has cost in tokens, estimated where its vendor does not say.

`measured.py` counts every call with it, and `guarded_chat.py` corrects the limiter's books.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.messages import ChatReply, TextDelta, UsageSoFar
from runtime.splitting import estimate_tokens

if TYPE_CHECKING:
    from runtime.messages import ChatEvent, ChatRequest


@dataclass(frozen=True, slots=True)
class CountedTokens:
    """Tokens of one call; `estimated` if either number is not wholly the vendor's own."""

    input_tokens: int
    output_tokens: int
    estimated: bool = False


def estimate_prompt_tokens(request: ChatRequest) -> int:
    """Return about how many tokens a prompt takes, its documents among them."""
    texts = [request.system, *(message.content for message in request.messages)]
    for document in request.documents:
        texts += [document.heading, document.text]
    return sum(map(estimate_tokens, texts))


class TokenCount:
    """Adds up one call: what the vendor reported, and an estimate of what came since."""

    def __init__(self, request: ChatRequest) -> None:
        self._request = request
        self._input_tokens = 0
        self._output_tokens = 0
        self._unreported: list[str] = []

    def add(self, event: ChatEvent) -> None:
        """Count a piece of a stream, or a whole reply."""
        match event:
            case TextDelta():
                self._unreported.append(event.text)
            case UsageSoFar():
                self._report(event.input_tokens, event.output_tokens)
            case ChatReply():
                if not (self._unreported or self._output_tokens):
                    self._unreported.append(event.text)
                self._report(event.input_tokens, event.output_tokens)

    def total(self) -> CountedTokens:
        """Return the tokens so far."""
        return CountedTokens(
            self._input_tokens or estimate_prompt_tokens(self._request),
            self._output_tokens + estimate_tokens("".join(self._unreported)),
            estimated=not self._input_tokens or bool(self._unreported),
        )

    def _report(self, input_tokens: int, output_tokens: int) -> None:
        self._input_tokens = input_tokens or self._input_tokens
        if output_tokens:
            self._output_tokens = output_tokens
            self._unreported.clear()
