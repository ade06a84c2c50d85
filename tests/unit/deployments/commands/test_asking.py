from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import UUID

import httpx
import pytest

from deployments.commands.asking import ask, ask_streamed, connect
from deployments.commands.failure import CommandFailed

CLIENT = UUID("6f1de9c8-9a52-4a5e-8f5f-2a1f6b1f6a10")
SPAN = {"answer_start": 0, "answer_end": 4, "quote": "…"}
SESSION_CITATION = {
    "type": "session", "session_id": "s", "client_id": "c", "client_name": "דנה לוי",
    "session_date": "2025-10-14T09:00:00Z", "similarity": 0.8, "field_name": "subjective",
    "marker": 1, "quote": "ישנה רע", "spans": [SPAN], "verified": True,
}  # fmt: skip
CLIENT_CITATION = {
    "type": "client", "client_id": "c", "client_name": "Noa", "similarity": 0.6,
    "field_name": "medical_history", "marker": 2, "quote": "Asthma.", "spans": [SPAN],
    "verified": True,
}  # fmt: skip


def server(response: httpx.Response | Exception, seen: list[httpx.Request]) -> httpx.Client:
    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(response, Exception):
            raise response
        return response

    return httpx.Client(base_url="http://127.0.0.1:1", transport=httpx.MockTransport(respond))


def ask_server(
    response: httpx.Response | Exception,
    *,
    client_id: UUID | None = None,
    seen: list[httpx.Request] | None = None,
) -> str:
    with server(response, [] if seen is None else seen) as client:
        return ask(client, "How does she sleep?", token="t0ken", client_id=client_id)


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        content = answer("Well.").content
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_asked_without_the_proxy(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        serving = threading.Thread(target=server.handle_request, daemon=True)
        serving.start()
        with connect(f"http://{host}:{server.server_port}") as client:
            assert ask(client, "How is she?", token="t0ken", client_id=None) == "Well."
        serving.join()


def answer(text: str, *citations: object) -> httpx.Response:
    return httpx.Response(200, json={"answer": text, "citations": citations, "language": "he"})


def test_the_answer_is_followed_by_its_citations() -> None:
    shown = ask_server(answer("ישנה רע [1]. Asthma [2].", SESSION_CITATION, CLIENT_CITATION))
    assert shown.splitlines() == [
        "ישנה רע [1]. Asthma [2].",
        "",
        "[1] דנה לוי, 2025-10-14, subjective: “ישנה רע”",
        "[2] Noa, medical history: “Asthma.”",
    ]


def test_passages_that_the_answer_does_not_rest_on_are_not_shown() -> None:
    unused = {**CLIENT_CITATION, "spans": []}
    shown = ask_server(answer("ישנה רע [1].", SESSION_CITATION, unused))
    assert "[1] דנה לוי" in shown
    assert "Noa" not in shown


def test_what_was_done_without_is_said_below_the_answer() -> None:
    body = {
        "answer": "Well. [2]",
        "citations": [CLIENT_CITATION],
        "metadata": {"degraded": ["embedding_unavailable", "chat_unavailable"]},
    }
    shown = ask_server(httpx.Response(200, json=body))
    citation, *warnings = shown.splitlines()[2:]
    assert citation.startswith("[2] Noa")
    assert [line.split(",")[0] for line in warnings] == [
        "",
        "Searched by words alone",
        "These are the records' own sentences",
    ]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({"cache": "exact"}, "Given before to the same question; "),
        ({"cache": "semantic"}, "Given before to a question that asks the same; "),
        ({"cache": "stale", "degraded": ["stale_answer"]}, "Given before, kept beyond its time, "),
    ],
)
def test_an_answer_given_before_is_said_to_be_one(metadata: dict[str, object], said: str) -> None:
    body = {"answer": "Well. [2]", "citations": [CLIENT_CITATION], "metadata": metadata}
    *_, blank, line = ask_server(httpx.Response(200, json=body)).splitlines()
    assert (blank, line[: len(said)]) == ("", said)


@pytest.mark.parametrize("cache", ["miss", "off"])
def test_a_new_answer_is_not_said_to_be_new(cache: str) -> None:
    body = {"answer": "Well.", "citations": [], "metadata": {"cache": cache}}
    assert ask_server(httpx.Response(200, json=body)) == "Well."


def test_an_answer_without_citations_stands_alone() -> None:
    assert ask_server(answer("The records do not say.")) == "The records do not say."


def test_right_to_left_marks_stay_and_terminal_controls_go() -> None:
    assert ask_server(answer("\u200fישנה\x1b[2J\x07\nרע\x9b1m")) == "\u200fישנה[2J\nרע1m"


@pytest.mark.parametrize(
    ("client_id", "body"),
    [
        (None, {"query": "How does she sleep?"}),
        (CLIENT, {"query": "How does she sleep?", "client_id": str(CLIENT)}),
    ],
)
def test_the_question_goes_to_the_question_route(
    client_id: UUID | None, body: dict[str, str]
) -> None:
    seen: list[httpx.Request] = []
    ask_server(answer("x"), client_id=client_id, seen=seen)
    [request] = seen
    assert (request.method, request.url.path) == ("POST", "/api/v1/ai/agent/chat")
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert json.loads(request.content) == body


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (httpx.ConnectError("refused"), "No server answers at http://127.0.0.1:1"),
        (httpx.ReadTimeout("slow"), r"did not answer \(ReadTimeout\)"),
        (httpx.Response(401, json={"detail": "It expired.\x1b"}), r"^It expired\. \(401\)$"),
        (httpx.Response(502, text="<html>"), "status 502"),
        (httpx.Response(404, json=["x"]), "status 404"),
        (httpx.Response(404, json={"detail": [1]}), "status 404"),
        (httpx.Response(200, json={"hello": 1}), "is not this application"),
        (httpx.Response(302, headers={"location": "/"}), "status 302"),
    ],
)
def test_a_failure_is_one_sentence(response: httpx.Response | Exception, said: str) -> None:
    with pytest.raises(CommandFailed, match=said):
        ask_server(response)


# --- Streamed -------------------------------------------------------------------------------

DONE = {"answer": "ישנה רע [1].\n- Asthma [2].", "citations": [SESSION_CITATION]}


def event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


EVENTS = "".join(
    [
        event("meta", {"request_id": "r", "language": "he", "retrieved_count": 1}),
        event("delta", {"text": "ישנה רע [1]."}),
        event("citation", SESSION_CITATION),
        ": ping\n\n",
        event("delta", {"text": "\n- Asthma: \x1byes [2]."}),
    ]
)


class Pieces(httpx.SyncByteStream):
    """A body in pieces of a few bytes; remembers that it was closed."""

    def __init__(self, text: str, interrupt: BaseException | None = None) -> None:
        self.content = text.encode()
        self.interrupt = interrupt
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.content), 7):
            yield self.content[at : at + 7]
        if self.interrupt is not None:
            raise self.interrupt

    def close(self) -> None:
        self.closed = True


def stream_from(
    response: httpx.Response | Exception, seen: list[httpx.Request] | None = None
) -> str:
    shown: list[str] = []
    with server(response, [] if seen is None else seen) as client:
        ask_streamed(client, "How?", token="t0ken", client_id=CLIENT, show=shown.append)
    return "".join(shown)


class TestStreamed:
    def test_sentences_are_shown_as_they_come_and_then_the_citations(self) -> None:
        seen: list[httpx.Request] = []
        body = Pieces(EVENTS + event("done", DONE))
        shown = stream_from(httpx.Response(200, stream=body), seen)
        assert shown.splitlines() == [
            "ישנה רע [1].",
            "- Asthma: yes [2].",
            "",
            "[1] דנה לוי, 2025-10-14, subjective: “ישנה רע”",
        ]
        assert shown.endswith("\n")
        sent = {"query": "How?", "client_id": str(CLIENT), "stream": True}
        assert json.loads(seen[0].content) == sent

    @pytest.mark.parametrize(
        ("response", "said"),
        [
            (httpx.ConnectError("refused"), "No server answers at http://127.0.0.1:1"),
            (httpx.Response(503, json={"detail": "Try again."}), r"^Try again\. \(503\)$"),
            (httpx.Response(200, text="<html>"), "broke off"),
            (httpx.Response(200, text=EVENTS), "broke off"),
            (httpx.Response(200, text=event("delta", [])), "is not this application"),
            (
                httpx.Response(
                    200, text=EVENTS + event("error", {"status": 504, "detail": "Too late."})
                ),
                r"^Too late\. \(504\)$",
            ),
        ],
    )
    def test_a_failure_is_one_sentence(
        self, response: httpx.Response | Exception, said: str
    ) -> None:
        with pytest.raises(CommandFailed, match=said):
            stream_from(response)

    def test_an_interrupted_stream_is_closed_so_that_the_server_learns_of_it(self) -> None:
        body = Pieces(EVENTS, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            stream_from(httpx.Response(200, stream=body))
        assert body.closed
