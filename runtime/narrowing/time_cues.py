"""The words round a time in a question, which say what it is there for. `time_spans.py` asks.

Patterns and what they are looked for in; the text is `plain`. What they amount to, `time_spans.py`
decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from runtime.narrowing.dated_phrases import TimePhrase

Relation: TypeAlias = Literal["within", "since", "after", "before", "until", "none"]

_NOTE: Final = (
    r"(?:sessions?|visits?|appointments?|meetings?|consultations?|encounters?|notes?|records?"
    r"|entries|summar(?:y|ies)|check-?ins?|follow-?ups?|treatments?"
    r"|[לבמהוש]{0,2}(?:פגיש(?:ה|ות|ת|תה|תו)|מפגש(?:ים|י)?|ביקור(?:ים|י|ה|ו)?|טיפול(?:ים|י)?"
    r"|רשומ(?:ה|ות)|סיכומ(?:ים|י)|סיכום|תיעוד|הערות))"
)
_A_NOTE: Final = re.compile(rf"(?<![א-ת\w]){_NOTE}(?![א-ת\w])", re.IGNORECASE)
_OF_A_NOTE: Final = re.compile(
    rf"(?<![א-ת\w]){_NOTE}(?: (?:with|of|for|של|עם|ל)? ?[^\s,;?]+){{0,2}}?"
    r"(?:,? (?:on|from|of|in|at|dated|since|between|before|after|until|up to|for|של|מתאריך"
    r"|בתאריך|מיום"
    r"|ביום|מאז|לפני|אחרי|עד|החל|בין|מ?חודש|ב?חודש))?(?: the)?\s*$",
    re.IGNORECASE,
)
"""Before a phrase, it makes of it the date of a note, whatever else the question speaks of."""

_SUBJECT: Final = re.compile(
    r"\b(?:how long|how many (?:days|weeks|months|years)|how old|since when|(?:what|which) (?:year"
    r"|month|date|day)|what age)\b"
    r"|(?<![א-ת])(?:[לבמ]?כמה (?:זמן|שנים|חודשים|שבועות|ימים)|ב[ןת] כמה|ממתי|מאז מתי"
    r"|באיז[הו] (?:שנה|חודש"
    r"|תאריך|יום|תקופה|גיל))(?![א-ת])",
    re.IGNORECASE,
)
"""The question is about a time, so none is given."""
_COMPARES: Final = re.compile(
    r"\b(?:than|compar\w+|versus|vs|relative to|differ\w*|unlike|as opposed to)\b"
    r"|לעומת|בהשוואה|השווא|השוו|יחסית|ביחס ל|מאשר|הבדל|בניגוד|נבדל",
    re.IGNORECASE,
)
_EVENT: Final = re.compile(
    r"\b(?:born|birth\w*|dob|diagnos\w+|surger\w+|operat(?:ed|ion|ions)|hospitali[sz]\w+"
    r"|admi(?:tted|ssion)"
    r"|discharged|injur\w+|accident\w*|crash\w*|fell|fall|fractur\w+|broke\w*|died|death|married"
    r"|marriage"
    r"|divorc\w+|wedding|moved|immigrat\w+|retire\w*|graduat\w+|lost|expir\w+|vaccin\w+|stroke"
    r"|heart attack"
    r"|pregnan\w+|miscarr\w+|quit|stop\w*|start\w*|began|begin|beginning|transplant\w*|biopsy"
    r"|scans?|mri"
    r"|x-?rays?|founded|built|won|elected|war|army|school)\b"
    r"|(?<![א-ת])[והשלבמכ]{0,2}(?:נולד|ניתוח|נותח|אושפז|אשפוז|אובחנ|אובחן|אבחנה|תאונ|נפצע|פציע"
    r"|נפטר|מת[הו]?(?![א-ת])"
    r"|התחתנ|התחתן|חתונ|התגרש|גירוש|עבר[הו]?(?![א-ת])|עלה|עלתה|עלו|הפסיק|התחיל|החלה|החלו|פרש|שבר"
    r"|התקף|שבץ|חוסנ|חיסון"
    r"|הפלה|לידה|ילדה|הריון|איבד|נוסד|הוקמ|הוקם|ייסד|יסד|נבחר"
    r"|זכ[הת]|מלחמ|צבא|בחירות|שירת|צילום|בדיק)",
    re.IGNORECASE,
)
"""What notes tell of with a date of its own, so that a date in the question may be that one."""
_SEEKS_PERSON: Final = re.compile(
    r"^(?:who|whose|whom|which (?:client|patient|woman|man|person|child)s?)\b"
    r"|^(?:[לבמשעכ]?מי|(?:של|עם|אצל|את) מי|איז[הו] (?:מטופל|לקוח|אישה|גבר|אדם|חולה|ילד))",
    re.IGNORECASE,
)
_ASKS: Final = re.compile(
    r"(?:^|[,:;-]\s+|\b(?:please|and|so|also|אנא|בבקשה) )(?:what|when|where|which|who|whose|why|how"
    r"|did|does|do|summari[sz]e|list|show|tell|give|find|describe|explain|remind|outline|review"
    r"|please|prepare|write|draft"
    r"|(?:[לבמשו]|על |עם |את |של |אצל |עד )?(?:מה(?! ש)|מהו|מהי|מהם|מי|מתי|איפה|היכן|איך|כיצד|למה"
    r"|מדוע|כמה|האם|איזה|איזו|אילו|אלו)|ת?סכמ?י?|הצג|הראה|הראי|ספרי?|תני?|מצאי?|פרטי?|תארי?)(?!\w)"
    r"|^(?:is|are|was|were|has|have|had|can|could|will|would|should|summary|any|notes|sessions"
    r"|visits"
    r"|records|all|every(?:thing)?|רשימת|סיכום|פגישות|כל|יש|היה|הייתה|היו)(?!\w)",
    re.IGNORECASE,
)
_FIRST_PERSON: Final = re.compile(r"\b(?:I|I'm|I've|I'd|my|me|we|we've|our)\b", re.IGNORECASE)
_SENTENCE_END: Final = re.compile(r"(?<=[?!])\s|(?<=[^\d.\s][.])\s(?=[A-Zא-ת])|\n")
_SHORT_WORDS: Final = 8
_PAST: Final = re.compile(
    r"\b(?:did|was|were|had|came|said|saw|seen|reported|today's|notes?|sessions?|visits?"
    r"|appointments?)\b"
    r"|(?<![א-ת])[ושה]?(?:היה|הייתה|היו(?!ם)|קרה|אמר|סיפר|דיווח|תיאר|התלונ|ציינ|ציין|עשינו|עבדנו"
    r"|דיברנו|דיבר|הגיע"
    r"|ראיתי|טיפלתי|נפגש|פגש|עלה|עלתה|הרגיש|נראה|נראתה|ביקש|שית)",
    re.IGNORECASE,
)
"""That which "today" may mean a day by; "how is she today" means now."""

_EARLY: Final = (
    r"(?: the)?(?: (?:very )?(?:start|beginning|end|middle) of)?(?: early| late| mid)?(?: the)?"
)
_HE_WORD: Final = r"(?<![א-ת])[ושה]{0,2}"
"""A Hebrew word begins here: `עד` is until, but not in `גלעד`, nor is `כל` every in `מיכל`."""
_HE_EARLY: Final = r"(?: ?(?:תחילת|אמצע|סוף|חודש|שנת|תאריך|יום))*"
_SINCE: Final = re.compile(
    rf"(?:\b(?:since|starting(?: from| in| on)?){_EARLY}"
    rf"|{_HE_WORD}(?:מאז|החל)(?: [במ])?{_HE_EARLY})[ -]*$",
    re.IGNORECASE,
)
_AFTER: Final = re.compile(
    rf"(?:\b(?:after|following|later than){_EARLY}|{_HE_WORD}(?:אחרי|לאחר){_HE_EARLY})[ -]*$",
    re.IGNORECASE,
)
_BEFORE: Final = re.compile(
    rf"(?:\b(?:before|prior to|earlier than){_EARLY}|{_HE_WORD}(?:לפני|טרם|קודם){_HE_EARLY})[ -]*$",
    re.IGNORECASE,
)
_UNTIL: Final = re.compile(
    rf"(?:\b(?:until|till|til|up to|through){_EARLY}|{_HE_WORD}עד{_HE_EARLY})[ -]*$", re.IGNORECASE
)
_FROM: Final = re.compile(r"(?:\bfrom(?: the)?)[ -]*$", re.IGNORECASE)
_ONWARD: Final = re.compile(r"^ ?(?:on|onwards?|and later|והלאה|ואילך)\b", re.IGNORECASE)
_NOT_MEANT: Final = re.compile(
    r"(?:\b(?:by|to|as of|for(?: about| around| at least| over)?(?: the)?|over|than|more than"
    r"|less than"
    r"|about|next|every|each|until about|next to)"
    rf"|{_HE_WORD}(?:במשך|לקראת|נכון ל(?:שנת )?|בגיל|כל|ב?ערך|יותר מ))[ -]*$",
    re.IGNORECASE,
)
"""A duration, a deadline, a vague time."""
_SPOKEN_OVER: Final = re.compile(r"\bover(?: the)?[ -]*$", re.IGNORECASE)
_FOR_NOTES: Final = re.compile(rf"{_NOTE} for(?: the)? $", re.IGNORECASE)
_WITHIN: Final = re.compile(
    rf"(?:\b(?:in|during|throughout|within|of|from|dated|year|month){_EARLY}"
    r"|(?:[במ]?(?:חודש|שנת|תחילת|סוף|אמצע)))[ -]*$",
    re.IGNORECASE,
)
"""What makes a time of a word that need not be one, such as a month's bare name."""
_OF_THE: Final = re.compile(r"\bof the $", re.IGNORECASE)
"""Before a year: it is part of a thing's name."""
_BEARING_CHARACTERS: Final = 80
_RANGE_JOINT: Final = re.compile(
    rf"^ ?(?:(?:up )?(?:to|until|till|through|and|-)|ל|ו?עד|ובין|ו)?(?: ?-)?{_EARLY}{_HE_EARLY} ?$",
    re.IGNORECASE,
)
_RANGE_OPENING: Final = re.compile(
    rf"(?:\b(?:from|between|since){_EARLY}|{_HE_WORD}(?:בין|מאז|החל)(?: מ)?{_HE_EARLY})[ -]*$",
    re.IGNORECASE,
)


def is_about_time(text: str) -> bool:
    """Say whether a time is what is asked for."""
    return _SUBJECT.search(text) is not None


def compares(text: str) -> bool:
    """Say whether one thing is held against another."""
    return _COMPARES.search(text) is not None


def dates_a_note(text: str, phrase: TimePhrase) -> bool:
    """Say whether the phrase is the date of a note: "the session of 12 March"."""
    return _OF_A_NOTE.search(_before(text, phrase)) is not None


def tells_of_event(text: str, phrase: TimePhrase) -> bool:
    """Say whether the rest of the text speaks of what has a date of its own, and of no note."""
    text = f"{text[: phrase.start]} {text[phrase.end :]}"
    return _EVENT.search(text) is not None and _A_NOTE.search(text) is None


def seeks_person(text: str) -> bool:
    """Say whether the question is for whom something is true of: "Who went abroad …"."""
    return _SEEKS_PERSON.search(text) is not None


def is_past(text: str) -> bool:
    """Say whether the question looks back, so that "today" means a day and not "now"."""
    return _PAST.search(text) is not None


def is_asked(text: str, phrase: TimePhrase) -> bool:
    """Say whether the phrase stands in a question or a request, and in no report."""
    starts = [match.end() for match in _SENTENCE_END.finditer(text)]
    first = max((start for start in starts if start <= phrase.start), default=0)
    last = min((start for start in starts if start >= phrase.end), default=len(text))
    sentence = text[first:last]
    request = _ASKS.search(sentence)
    if request and first + request.start() <= phrase.start:
        return True
    if _FIRST_PERSON.search(sentence):
        return False
    return sentence.rstrip().endswith("?") or len(sentence.split()) <= _SHORT_WORDS


def opens_range(text: str, phrase: TimePhrase) -> bool:
    """Say whether "from" or "between" stands before the phrase."""
    before = _before(text, phrase)
    return phrase.prefix.endswith(("מ", "מה")) or _RANGE_OPENING.search(before) is not None


def joins_range(text: str, first: TimePhrase, second: TimePhrase) -> bool:
    """Say whether nothing but "to" or "and" stands between two phrases."""
    between = text[first.end : second.start]
    return _RANGE_JOINT.search(between) is not None and bool(between.strip() or second.prefix)


def find_relation(text: str, phrase: TimePhrase) -> Relation:
    """Return how the question stands to the phrase; `none` where it is no filter."""
    before, after = _before(text, phrase), text[phrase.end :]
    for relation, pattern in _RELATIONS:
        if pattern.search(before):
            return relation
    if _FROM.search(before) and _ONWARD.search(after):
        return "since"
    if phrase.prefix.endswith(("מ", "מה")):
        noted = dates_a_note(text, phrase) and not _ONWARD.search(after)
        return "within" if noted else "since"
    if _NOT_MEANT.search(before):
        spoken_over = phrase.kind == "rolling" and _SPOKEN_OVER.search(before)
        return "within" if spoken_over or _FOR_NOTES.search(before) else "none"
    return "within" if phrase.certain or _makes_time(text, phrase) else "none"


def _makes_time(text: str, phrase: TimePhrase) -> bool:
    """Say whether the words before make a time of what need not be one: "may", "2019"."""
    before = _before(text, phrase)
    if phrase.unit == "year" and _OF_THE.search(before):
        return False
    joined = phrase.prefix.endswith("ב")
    return joined or _WITHIN.search(before) is not None or dates_a_note(text, phrase)


def _before(text: str, phrase: TimePhrase) -> str:
    """Return the words before a phrase, as many as can bear on it."""
    return text[max(0, phrase.start - _BEARING_CHARACTERS) : phrase.start]


_RELATIONS: Final[tuple[tuple[Relation, re.Pattern[str]], ...]] = (
    ("since", _SINCE),
    ("after", _AFTER),
    ("before", _BEFORE),
    ("until", _UNTIL),
)
