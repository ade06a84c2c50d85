"""Of whom and of when the extract's sentences are: what it leaves unsaid, shows, and sorts by.

`local.py` asks. A sentence of a note names nobody: "Denies suicidal thoughts." Where the passages
are of several clients, one that stood alone would be read of whomever the question is about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from operator import attrgetter
from typing import Final
from uuid import UUID

from runtime.language.months import ENGLISH_MONTHS, HEBREW_MONTHS
from runtime.language.name_words import list_asked_words, list_stored_words, prepare
from runtime.language.stems import stems_of
from runtime.messages import ChatDocument, NamedClient
from runtime.narrowing.counted_phrases import find_counted
from runtime.narrowing.mentions import choose_meant
from runtime.narrowing.time_words import plain
from runtime.providers.extract import MOST_SENTENCES, Sentence, split

_ASKS_FOR_NOW: Final = re.compile(
    r"\b(?:now|current(?:ly)?|today|at present|these days|latest|most recent(?:ly)?|lately)\b"
    r"|(?<![א-ת])(?:עכשיו|כרגע|כיום|היום|כעת|לאחרונה|ה?נוכחית?|ה?אחרונה?|ה?עדכנית?)(?![א-ת])",
    re.IGNORECASE,
)
_ASKS_FOR_COURSE: Final = re.compile(
    r"\b(?:changed?|progress(?:ed|ing)?|improved?|developed|evolved|over time|course of|since)\b"
    r"|(?<![א-ת])(?:השתנ[התו]ה?|התקדמ[הו]?|התפתח[הו]?|השתפר[הו]?|לאורך|מאז)(?![א-ת])",
    re.IGNORECASE,
)
_ASKS_FOR_ALL: Final = re.compile(
    r"^\W*(?:what (?:happened|did (?:we|she|he)? ?(?:discuss|talk|speak|agree|report|say|tell)"
    r"|was (?:discussed|agreed|said|reported)|is the plan|are the plans)"
    r"|how (?:is|was|has|have|did)|summar\w*|overview|tell me(?: about)?)\b"
    r"|^\W*(?:מה (?:קרה|היה|סוכם|סיכמנו|נאמר|שלומה?|מצבו|מצבה|התוכנית|התכנית)"
    r"|על מה (?:דיברנו|דובר)|(?:על )?מה (?:דיווח|סיפר|אמר)ה?"
    r"|איך (?:היה|היתה|הייתה)|סיכום|סכמי?|ספרי? לי)(?![א-ת])",
    re.IGNORECASE,
)
_ANY_DAY: Final = date(2001, 1, 1)
"""Where a time stands in a text does not depend on the day."""
_LEFT_BEHIND: Final = re.compile(
    r" (?:in|during|over|within|from|of)(?: the)?(?=[\s?.!]*$)", re.IGNORECASE
)
_OF_TIME_OR_ALL: Final = stems_of(
    """report reported reports say tell told
    happened discussed discuss talk speak agree agreed said plan plans been doing go going
    summary summarise summarize overview tell session sessions visit meeting appointment
    last latest recent previous week weeks month months year years yesterday today between until
    since
    קרה דיברנו דובר נאמר סוכם סיכמנו סיכום תוכנית תכנית ספר ספרי סכם סכמי שלומו שלומה מצבו מצבה
    דיווח דיווחה סיפר סיפרה אמר אמרה אצל לגבי
    פגישה פגישות מפגש ביקור טיפול אחרונה אחרון אחרונות קודמת קודם שבוע שבועות חודש חודשים שנה
    אתמול היום מאז לבין עבר שעבר שעברה """
    + " ".join((*ENGLISH_MONTHS, *HEBREW_MONTHS))
)
"""What may stand in a question that asks for no one thing: `What happened in the last session?`"""


def find_only_client(documents: Sequence[ChatDocument]) -> str:
    """Return the name of the one client that all documents are of, '' where they are of several."""
    names = {document.client_name for document in documents}
    return names.pop() if len(names) == 1 else ""


def without_names(question: str, documents: Sequence[ChatDocument]) -> str:
    """Return the question without the names of the clients whose documents these are.

    No note repeats them, but those of relatives do: with two names, a note on `Dana's sister` would
    fit `Who has more pain, Dana or Olga?` best. Of several clients, those are left out whom the
    question means; a word of the name of the only one is left out wherever it stands.
    """
    names = sorted({document.client_name for document in documents})
    if len(names) > 1:
        clients = [NamedClient(UUID(int=number), name) for number, name in enumerate(names)]
        meant = choose_meant(question, clients)
        names = [client.name for client in clients if client.id in meant]
    words = {word for name in names for word in list_stored_words(name)}
    text, end, kept = prepare(question), 0, []
    for asked in list_asked_words(question):
        if not words.isdisjoint(asked.lookups):
            kept.append(text[end : asked.start])
            end = asked.end
    return "".join([*kept, text[end:]]).strip()


def without_time(question: str) -> str:
    """Return the question without times that count from today: no note says `last month` so.

    What was noted then is all that the passages hold, where such a time is meant.
    """
    text = plain(question)
    for phrase in sorted(
        find_counted(text, _ANY_DAY, week_begins=0), key=attrgetter("start"), reverse=True
    ):
        text = text[: phrase.start] + text[phrase.end :]
    return _LEFT_BEHIND.sub("", " ".join(text.split()))


def asks_for_overview(question: str) -> bool:
    """Say whether a question, without a client's name, asks for all that its passages hold."""
    if not _ASKS_FOR_ALL.match(question):
        return False
    return all(stem.isdigit() or stem in _OF_TIME_OR_ALL for stem in stems_of(question))


def take_overview(documents: Sequence[ChatDocument]) -> list[Sentence]:
    """Return the first sentence of each passage, in their order."""
    firsts = (next(split(document), None) for document in documents)
    found = [Sentence(marker, text, stems, 0.0) for marker, text, stems in filter(None, firsts)]
    return found[:MOST_SENTENCES]


def sort_by_time(
    question: str, chosen: Sequence[Sentence], documents: Sequence[ChatDocument]
) -> list[Sentence]:
    """Return the sentences newest first where now is asked for, oldest first for a course."""
    days = {document.marker: document.day for document in documents}
    if _ASKS_FOR_NOW.search(question):
        return sorted(chosen, key=lambda sentence: days[sentence.marker], reverse=True)
    if _ASKS_FOR_COURSE.search(question):
        return sorted(chosen, key=lambda sentence: days[sentence.marker])
    return list(chosen)


def attribute(chosen: Sequence[Sentence], documents: Sequence[ChatDocument]) -> list[str]:
    """Return the sentences with whose and of when each is, where not all documents are of one."""
    by_marker = {document.marker: document for document in documents}
    is_of_one = bool(find_only_client(documents))
    is_of_one_day = len({document.day for document in documents}) <= 1
    said = []
    for sentence in chosen:
        document = by_marker[sentence.marker]
        whose = "" if is_of_one else document.client_name
        when = "" if is_of_one and is_of_one_day else document.day
        label = ", ".join(part for part in (whose, when) if part)
        said.append(f"{label}: {sentence.text}" if label else sentence.text)
    return said
