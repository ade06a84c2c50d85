"""A chat vendor on loopback, in Cohere's wire format: answers, misquotes, or never answers."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Literal, Self

from aiohttp import web

Behaviour = Literal["quote", "misquote", "hang"]


class Vendor:
    """Serves from a thread of its own while the block runs."""

    def __init__(self) -> None:
        self.behaviour: Behaviour = "quote"
        self.asked = threading.Event()
        self.left = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> str:
        application = web.Application()
        application.router.add_post("/v2/chat", self._chat)
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        address: tuple[str, int] = self._runner.addresses[0]
        return f"http://{address[0]}:{address[1]}"

    async def _chat(self, request: web.Request) -> web.Response:
        prompt: dict[str, Any] = await request.json()
        self.asked.set()
        if self.behaviour == "hang":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.left.set()
                raise
        text = self._write(json.dumps(prompt, ensure_ascii=False))
        return web.json_response(
            {
                "id": "1",
                "finish_reason": "COMPLETE",
                "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
                "usage": {"tokens": {"input_tokens": 11, "output_tokens": 7}},
            }
        )

    def _write(self, prompt: str) -> str:
        if self.behaviour == "misquote":
            return 'The note says "she was eaten by wolves" [1].'
        assert "wakes at three" in prompt
        return "She wakes at three most nights [1]."
