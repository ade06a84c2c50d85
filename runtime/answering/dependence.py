"""Whether a question needs what was said before it, and the words that it then lacks: by rule.

`standalone.py` asks first here. It is wording, not understanding: where the wording leaves open who
or what is meant, the ruling says so, and its text is still the best that a rule can do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from runtime.language.detection import detect
from runtime.language.months import ENGLISH_MONTHS, HEBREW_MONTHS
from runtime.language.stems import list_stems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import Question

Verdict: TypeAlias = Literal["independent", "joined", "open"]
"""`independent`: nothing is missing. `joined`: what is missing stands in the earlier questions.
`open`: it is not plain which of several people, topics or times is meant."""

MOST_CHARACTERS: Final = 300
"""A longer question brings its own words; of a longer earlier one, its end is taken."""
MOST_EARLIER: Final = 3
"""Earlier questions that are joined, and turns that are looked at for people."""
_LONG_ANSWER: Final = 400
"""In an answer of more characters, "that" or "the second" may be one of many things."""
_RICH: Final = 4
"""Words that carry meaning, from which on an opening "and" makes a question lean on nothing."""
_FRAGMENT_WORDS: Final = 2


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rule found, and the text to search for: the question, earlier ones before it."""

    verdict: Verdict
    text: str


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


_ASKING: Final = _words(
    "how what when where which who whose why did does do is are was were has have had can could",
    "will would should may might any anything tell list show give summarize summarise describe",
    "compare find please and but also so or then since until in at on for from after before during",
    "the a an her his their my our your its it this that these those he she they i we you if there",
    "ok okay thanks thank yes no hi hello more same other another explain elaborate name",
)
"""English words that begin a sentence and, though capital there, name nobody."""
_CALENDAR: Final = _words(
    *ENGLISH_MONTHS,
    "monday tuesday wednesday thursday friday saturday sunday",
    "i hebrew english phq gad christmas passover",
)
_ROLES: Final = re.compile(
    r"\b(?:clients?|patients?|mother|father|mom|dad|parents?|husband|wife|partner|son|daughter"
    r"|sister|brother|boss|doctor|physician|friend|teacher|who|anyone|anybody|someone|everyone)\b"
    r"|(?<![א-ת])[ושהלבמ]{0,2}(?:אמא|אבא|הורים|בעל|אישה|אשת|בן|בת|אחות|אח|סבתא|סבא|חברה|חבר"
    r"|בוס|מנהלת?|רופאה?|מטופלת?|מטופלים|מטופלות|מורה|ילד|ילדה|מישהו|מישהי|מי)(?![א-ת])",
    re.IGNORECASE,
)
_PERSON: Final = re.compile(
    r"\b(?:he|she|him|her|his|hers|himself|herself|they|them|their|theirs)\b"
    r"|(?<![א-ת])[וש]?(?:(?:הוא|היא|הם|הן)(?! ה| שם)"
    r"|אותו|אותה|אותם|אותן|לו|לה|להם|להן|שלו|שלה|שלהם|שלהן|איתו"
    r"|איתה|איתם|ממנו|ממנה|עליו|עליה|אליו|אליה|אצלו|אצלה|עבורו|עבורה|אצלם)(?![א-ת])",
    re.IGNORECASE,
)
_TIME_NOUN: Final = (
    r"(?:day|week|month|year|morning|evening|night|time|session|visit|spring|summer|autumn|fall"
    r"|winter|quarter)s?"
)
_THING: Final = re.compile(
    rf"\b(?:this|these|those)\b(?!\s+{_TIME_NOUN}\b)"
    r"|\b(?:about|of|for|with|after|before|since|from|like|to|than|in|by|despite|without|did|does"
    r"|is|was|has|had|do|and|but|why|when|how)\s+that\b(?!\s+(?:he|she|they|the|her|his|their)\b)"
    r"|\b(?:then|there)\s*[?.!]*$"
    r"|\bthe\s+same\b|\b(?:which|other|another|first|second|third|last|latter|former)\s+ones?\b"
    r"|\bthe\s+(?:latter|former|first|second|third|other)\s*[?.!]*$"
    r"|(?<![א-ת])[ושמבלכ]?(?<!מה )(?:זה|זו|זאת|אלה|אלו)(?![א-ת])|מה זה (?:אומר|עשה|גרם|עזר)"
    r"|(?<!שבוע )(?<!חודש )(?<!שנה )(?<!יום )(?<!פעם )(?<![א-ת])ה(?:זה|זו|זאת|אלה|אלו)(?![א-ת])"
    r"|(?<![א-ת])(?:אותו דבר|כנ\"ל|ה(?:ראשון|שני|שלישי|ראשונה|שנייה|שלישית))\s*[?.!]*$",
    re.IGNORECASE,
)
_IT: Final = re.compile(r"\bits?\b", re.IGNORECASE)
_DETERMINED: Final = re.compile(r"\b(?:the|an?|any|her|his|their|my|\w+'s)\s+\w{3,}", re.IGNORECASE)
_ORDINAL: Final = re.compile(
    r"\b(?:first|second|third|last|latter|former|other)(?:\s+ones?)?\s*[?.!]*$"
    r"|(?<![א-ת])ה(?:ראשון|שני|שלישי|ראשונה|שנייה|שלישית|אחרת?|אחרים)\s*[?.!]*$",
    re.IGNORECASE,
)
_TIME: Final = re.compile(
    rf"\b(?:{'|'.join(ENGLISH_MONTHS)}"
    r"|today|yesterday|ago|(?:last|past|this|next|previous)\s+(?:\w+\s+)?"
    rf"{_TIME_NOUN}|(?:19|20)\d\d)\b"
    rf"|(?:{'|'.join(HEBREW_MONTHS)}|היום|אתמול"
    r"|ש?עברה?|האחרונה?|האחרונים|לפני\s+(?:שבוע|חודש|שנה|יומ))(?![א-ת])",
    re.IGNORECASE,
)
"""A time that narrows a search: two of them, and it is not plain which one is meant."""
_ABOUT: Final = re.compile(
    r"^(?:(?:and|but|so|ok|okay)[, ]+)*(?:(?:what|how)\s+(?:about|of)|same\s+(?:for|with)"
    r"|(?:and|or)\s+(?:for|with))\s+"
    r"|^ו?(?:מה\s+(?:לגבי|עם|בנוגע\s+ל|בקשר\s+ל|קורה\s+עם)|לגבי|כנ\"ל\s+לגבי)\s*",
    re.IGNORECASE,
)
_MORE: Final = re.compile(
    r"^(?:and\s+)?(?:(?:any|some)thing\s+else|what\s+else|who\s+else|tell\s+me\s+more|go\s+on"
    r"|(?:more|further)\s+(?:details?|about)|elaborate|expand|explain|really|are\s+you\s+sure"
    r"|why\s+not)\b"
    r"|^ו?(?:מה\s+עוד|עוד\s+משהו|מי\s+עוד|ספרי?\s+עוד|ספרי?\s+לי\s+עוד|עוד\s+פרטים|תפרטי?|פרטי?"
    r"|תרחיבי?|הרחיבי?|תסבירי?|הסבירי?|באמת|בטוח|למה\s+לא|מדוע\s+לא)(?![א-ת])",
    re.IGNORECASE,
)
_OPENING: Final = re.compile(
    r"^(?:and|but|also|or|then)\b[, ]*"
    r"|^(?:אבל|או|וגם|גם)\s+|^ו(?!רד|יקטור|יטמין|עד)(?=[א-ת\"]{2})",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")


def rule(question: Question) -> Ruling:
    """Return whether the question leans on its history's, and the text that stands alone.

    With a client given, "she" is that client, and needs no name.
    """
    text = question.text
    earlier = [turn.content for turn in question.history if turn.role == "user"]
    is_scoped = question.client_id is not None
    if not earlier or not leans(text, is_scoped=is_scoped):
        return Ruling("independent", text)
    chain = _lean_chain(earlier, is_scoped=is_scoped)
    replaced = _put_in_place(text, chain[0]) if len(chain) == 1 else None
    if replaced is not None:
        return Ruling("joined", replaced)
    joined = " ".join((*(_end_of(each) for each in chain), text))
    last_answer = question.history[-1].content if question.history[-1].role == "assistant" else ""
    is_open = (
        len(chain) > 1
        or len(_people(" . ".join((*earlier[-MOST_EARLIER:], text)))) > 1
        or _may_name_another(text)
        or (bool(_TIME.search(text)) and any(map(_TIME.search, chain)))
        or bool(_ORDINAL.search(text))
        or (len(last_answer) > _LONG_ANSWER and bool(_THING.search(text) or _IT.search(text)))
    )
    return Ruling("open" if is_open else "joined", joined)


def leans(text: str, *, is_scoped: bool) -> bool:
    """Return whether a question of this wording needs an earlier one to be understood."""
    if len(text) > MOST_CHARACTERS:
        return False
    if _ABOUT.match(text) or _MORE.match(text) or _THING.search(text):
        return True
    content = list_stems(text)
    if _OPENING.match(text) and not (len(content) >= _RICH or (_people(text) and len(content) > 1)):
        return True
    if _is_fragment(text, content, is_scoped=is_scoped):
        return True
    if any(not _DETERMINED.search(text[: found.start()]) for found in _IT.finditer(text)):
        return True
    return not is_scoped and any(
        not _names_someone(text[: found.start()]) for found in _PERSON.finditer(text)
    )


def _is_fragment(text: str, content: Sequence[str], *, is_scoped: bool) -> bool:
    """Return whether the question is a piece of one: `Since when?`; `Any allergies?`, of whom."""
    if is_scoped or not content:
        return not content
    # A sentence begins with a capital, whoever it names.
    if _people(f"is {text[0].lower()}{text[1:]}"):
        return False
    words = _WORD.findall(text.casefold())
    return len(content) == 1 or len(words) <= _FRAGMENT_WORDS + (words[0] == "any")


def _names_someone(before: str) -> bool:
    """Return whether somebody is named before a pronoun: in Hebrew, with no capitals, by room."""
    if _ROLES.search(before) or _people(before):
        return True
    return detect(before) == "he" and len(list_stems(before)) >= _RICH


def _lean_chain(earlier: Sequence[str], *, is_scoped: bool) -> list[str]:
    """Return the earlier questions back to the last that leans on none, oldest first."""
    chain: list[str] = []
    for text in reversed(earlier[-MOST_EARLIER:]):
        chain.insert(0, text)
        if not leans(text, is_scoped=is_scoped):
            break
    return chain


def _people(text: str) -> set[str]:
    """Return the words that may name people: capital ones but where any word is."""
    found = set()
    starts = True
    for match in re.finditer(r"[^\W\d_]+|[.?!\n]", text):
        word = match[0]
        if not word[0].isalpha():
            starts = True
            continue
        is_name = word[0].isupper() and not word.isupper() and word.casefold() not in _CALENDAR
        if is_name and not (starts and word.casefold() in _ASKING):
            found.add(word.casefold())
        starts = False
    return found


def _put_in_place(text: str, earlier: str) -> str | None:
    """Return the earlier question asked of another: `And Dana?` after `Did Noa sleep?`."""
    asked = _ABOUT.sub("", _OPENING.sub("", text, count=1) if not _ABOUT.match(text) else text)
    named, known = _WORD.findall(asked), _people(earlier)
    if len(named) != 1 or len(known) != 1 or named[0].casefold() in _ASKING:
        return None
    if not _people(f"is {named[0]}"):
        return None
    name = re.sub(r"['’]s?$", "", named[0])
    return re.sub(rf"\b{re.escape(next(iter(known)))}\b", name, earlier, flags=re.IGNORECASE)


def _may_name_another(text: str) -> bool:
    """Return whether `ומה לגבי …` may end in a name: one or two words, without an article."""
    about = _ABOUT.match(text)
    if about is None or detect(text) != "he":
        return False
    rest = _WORD.findall(text[about.end() :])
    if not rest or len(rest) > 2 or _PERSON.search(text) or _THING.search(text):  # noqa: PLR2004
        return False
    return not rest[0].startswith("ה")


def _end_of(text: str) -> str:
    """Return the text, or of a long one the end of whole words."""
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[-MOST_CHARACTERS:].partition(" ")[2]
