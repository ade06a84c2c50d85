"""The scrape address of a node: every process of ours listens on the same port.

The kernel hands a scrape to any of them (SO_REUSEPORT), and all read the same files, so any of them
gives the whole answer and the death of one leaves the rest listening. Only `recording.py` uses it.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from runtime.logs import log
from runtime.metrics.files import NodeCollector

IDLE_TIMEOUT_S: Final = 10
"""A silent connection is closed after it. Source: Prometheus' default scrape_timeout."""


class ScrapeServer:
    """Answers scrapes from a thread of its own until it is closed."""

    def __init__(self, directory: Path, *, host: str, port: int) -> None:
        # Not prometheus_client's own registry: Ray's and the platform's collectors are in it.
        registry = CollectorRegistry()
        registry.register(NodeCollector(directory))
        self._server = _Server((host, port), _QuietHandler)
        self._server.set_app(make_wsgi_app(registry))
        thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        thread.start()

    def close(self) -> None:
        """Stop listening; an answer under way is finished by its own thread."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_port = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the name server for our own name, as the standard class would."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Log what the standard class would print with a traceback."""
        error = sys.exc_info()[0]
        name = None if error is None else error.__name__
        log("scrape_failed", level=logging.WARNING, error_type=name)


class _QuietHandler(WSGIRequestHandler):
    timeout = IDLE_TIMEOUT_S

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing of each scrape."""
