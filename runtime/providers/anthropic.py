"""Anthropic: chat by its own asynchronous client.

The assembly builds one over an HTTP client of its own. No exception of Anthropic's, of httpx's or
of aiohttp's leaves this file, nor a word of what they say: it may quote the prompt. The client's
retries are off, since attempts are counted and spaced by our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

import httpx
from anthropic import AsyncAnthropic, Omit, omit
from anthropic.types import MessageDeltaUsage, MessageParam, ThinkingConfigParam, Usage
from pydantic import SecretStr

from runtime.clock import SystemClock
from runtime.errors import BadProviderResponse, ContentRefused
from runtime.messages import ChatEvent, ChatReply, ChatRequest, TextDelta, UsageSoFar
from runtime.ports import Clock
from runtime.providers.anthropic_errors import translated
from runtime.providers.options import ProviderOptions
from runtime.providers.prompt import messages_with_records
from runtime.providers.transport import over_httpx

PROVIDER: Final = "anthropic"

_WHOLE: Final = ("end_turn", "max_tokens", "stop_sequence")
_WITHOUT_THINKING: Final[dict[str, ThinkingConfigParam]] = {
    "claude-haiku-": {"type": "disabled"},
    "claude-sonnet-5-5": {"type": "between_tools"},
}
"""How models are told, by the beginning of their name, not to think before they answer.

What they think counts towards `max_tokens` and comes before the first word; quoting the records
needs none. Other models think as they do by default: some refuse to be told. Source:
platform.claude.com/docs/en/models, each model's migration guide.
"""


def make_chat(options: ProviderOptions, http: httpx.AsyncClient) -> AnthropicChat:
    """Return the ChatModel for the catalogue."""
    assert options.api_key is not None
    assert options.base_url is not None
    return AnthropicChat(
        http,
        api_key=options.api_key,
        model=options.model,
        base_url=options.base_url,
        clock=options.clock,
    )


class AnthropicChat:
    """A `ChatModel` on `/v1/messages`.

    It asks for no temperature: the API's version 2026-10-21, which the client speaks, refuses one.
    Source: platform.claude.com/docs/en/api/versioning.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        api_key: SecretStr,
        model: str,
        base_url: str,
        clock: Clock | None = None,
    ) -> None:
        self.provider = PROVIDER
        self.name = model
        self._client = _client(http, api_key, base_url)
        self._clock = clock or SystemClock()

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the whole answer.

        Raises: ProviderError.
        """
        with translated(self.name, self._clock):
            async with asyncio.timeout(timeout_s):
                message = await self._client.messages.create(
                    model=self.name,
                    system=request.system,
                    messages=_messages(request),
                    max_tokens=request.max_tokens,
                    thinking=self._thinking(),
                )
            text = "".join(block.text for block in message.content if block.type == "text")
            usage = UsageSoFar(_input_tokens(message.usage), message.usage.output_tokens)
            return self._reply(text, message.stop_reason, usage)

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield pieces as they come, then the whole; closing it early closes the connection.

        The input's tokens are known before the first piece. Raises: ProviderError.
        """
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        with translated(self.name, self._clock):
            async with asyncio.timeout_at(deadline_s):
                events = await self._client.messages.create(
                    model=self.name,
                    system=request.system,
                    messages=_messages(request),
                    max_tokens=request.max_tokens,
                    thinking=self._thinking(),
                    stream=True,
                )
        pieces: list[str] = []
        stop_reason: str | None = None
        usage = UsageSoFar(0, 0)
        async with events:
            while True:
                news: TextDelta | UsageSoFar | None = None
                # The limit is around each wait: around the loop it would interrupt the reader.
                with translated(self.name, self._clock):
                    async with asyncio.timeout_at(deadline_s):
                        event = await anext(events, None)
                    if event is None:
                        raise self._bad("the stream ended without its end event")
                    if event.type == "message_stop":
                        break
                    if event.type == "message_start":
                        started = event.message.usage
                        news = usage = UsageSoFar(_input_tokens(started), started.output_tokens)
                    elif event.type == "message_delta":
                        stop_reason = event.delta.stop_reason or stop_reason
                        # Cumulative; the input is not always told again.
                        told = _input_tokens(event.usage) or usage.input_tokens
                        usage = UsageSoFar(told, event.usage.output_tokens)
                    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                        pieces.append(event.delta.text)
                        news = TextDelta(event.delta.text) if event.delta.text else None
                if news is not None:
                    yield news
        yield self._reply("".join(pieces), stop_reason, usage)

    def _thinking(self) -> ThinkingConfigParam | Omit:
        found = (told for model, told in _WITHOUT_THINKING.items() if self.name.startswith(model))
        return next(found, omit)

    def _reply(self, text: str, stop_reason: str | None, usage: UsageSoFar) -> ChatReply:
        if stop_reason == "refusal":
            raise ContentRefused(PROVIDER, self.name, "chat", "stop reason refusal", None)
        if stop_reason not in _WHOLE:
            raise self._bad("no stop reason of an answer's")
        if not text.strip():
            raise self._bad("an empty answer")
        return ChatReply(text, PROVIDER, self.name, usage.input_tokens, usage.output_tokens)

    def _bad(self, reason: str) -> BadProviderResponse:
        return BadProviderResponse(PROVIDER, self.name, "chat", reason, None)


def _client(http: httpx.AsyncClient, api_key: SecretStr, base_url: str) -> AsyncAnthropic:
    client = AsyncAnthropic(
        api_key=api_key.get_secret_value(),
        base_url=base_url,
        http_client=over_httpx(http),
        max_retries=0,
        timeout=None,  # of the HTTP client; its own default is 600 s
        open_telemetry={"traces": False, "propagation": False},
    )
    # ANTHROPIC_CUSTOM_HEADERS; there is no other way not to take them.
    client._custom_headers = {}  # noqa: SLF001
    return client


def _input_tokens(usage: Usage | MessageDeltaUsage) -> int:
    """Return all that was read: what a cache holds is counted apart."""
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return (usage.input_tokens or 0) + cached


def _messages(request: ChatRequest) -> list[MessageParam]:
    """Return the turns; the API itself joins neighbours of the same role."""
    messages: list[MessageParam] = []
    for message in messages_with_records(request):
        if message.role == "user":
            messages.append({"role": "user", "content": message.content})
        else:
            messages.append({"role": "assistant", "content": message.content})
    return messages
