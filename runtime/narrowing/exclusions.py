"""Names and times that a question looks beyond, so that they must not narrow its search. Pure.

"Who besides Maya …" is answered by the other clients' records, "Who has not come since March" by
what is not there. `narrow.py` asks of clients and of those not seen; `time_spans.py` and
`latest.py` ask of the words before a time. In doubt, a question looks beyond.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from runtime.language.name_words import list_asked_words, list_stored_words, normalise, prepare
from runtime.narrowing.time_words import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.messages import NamedClient

_MARK: Final = "§"
"""Stands for a client's name, whatever its words."""
_NEIGHBOURS: Final = re.compile(rf"{_MARK}(?:[ -]{_MARK})+")
_N: Final = rf"(?:(?:mrs?|ms|miss|mx|dr)\.? |(?:(?:my|our|the) )?(?:client|patient)s? )?{_MARK}"
_HE_N: Final = rf"(?:[א-ת]{{0,3}}(?:מטופלת?|לקוחה?|גברת|גב'|מר) )?[א-ת]{{0,3}}-?{_MARK}"
_CLIENTS: Final = r"(?:clients?|patients?|cases?)"

# --- Clients ------------------------------------------------------------------------------------

_EXCLUDED: Final = re.compile(
    r"(?:\b(?:except(?:ing)?|exception|exclud\w+|besides|other than|apart from|aside from"
    r"|save for|barring"
    r"|(?:every|any|no)(?:one|body|thing)? but|no one but|all but|who(?: else)? but|instead of"
    rf"|rather than|without|unlike|in addition to|ignor\w+|leav\w+ out|{_CLIENTS} but"
    r"|not (?:only|just|counting|including))|(?:^|[,;.?!] ?|\b(?:and|or|but) )not)"
    rf"(?: (?:for|with|of|about|to|from|by|in|at|those of|that of))? {_N}"
    rf"|\bleav\w+ {_N} (?:aside|out)\b|{_MARK},? (?:excluded|excepted|aside|apart)\b"
    rf"|(?<![א-ת])(?:(?:חוץ|לבד) מ(?:אשר |אצל |ז[הו] של )?|פרט ל|בניגוד ל)-?{_HE_N}"
    r"|(?<![א-ת])(?:מלבד|למעט|להוציא|זולת|במקום|בלי|ללא|לא כולל|לא רק|אך לא|אבל לא|ו?לא)"
    rf" (?:(?:את|של|עם|על|אצל) )?{_HE_N}",
    re.IGNORECASE,
)
_HELD_AGAINST: Final = re.compile(
    rf"^[^{_MARK}]*?(?:"
    r"\b(?:than|as (?!soon|long|far)\w+ as|such as|similar(?:ly)? to|resembl\w+"
    r"|compar\w+ (?:to|with)|same (?:\w+ ){0,3}as"
    rf"|(?:{_CLIENTS}|people|(?:any|some)(?:one|body|thing)|who)"
    rf"(?: \w+){{0,4}} like) (?:(?:that|those) of )?{_N}"
    rf"|(?<![א-ת])(?:(?:כמו|לעומת|מאשר) (?!ש-?{_MARK})(?:(?:אצל|של|עם) )?[לבמ]?-?"
    rf"|(?:בהשוואה|ביחס|דומ[הי][א-ת]?|דומות|בדומה) ל-?"
    rf"|אות[הוםן] [א-ת]+ (?:ש|כמו )|(?:יותר|פחות) (?:[א-ת]+ ){{0,2}}מ-?){_HE_N})",
    re.IGNORECASE,
)
"""What somebody else is like, whom nothing before names."""
_COMPARES: Final = re.compile(
    r"\b(?:compar\w+(?! (?:her|him)self| themselves)|contrast\w*|versus|vs|differ\w*|relative to"
    r"|rank\w*|in common|stands? out|similar)\b"
    r"|השוו|השווא|לעומת|ביחס ל|הבדל|נבדל|שונ[הי]|משותף|דומ",
    re.IGNORECASE,
)
_THE_REST: Final = re.compile(
    r"\b(?:the rest(?! of (?:her|his|their|the))|others|else|average|the group"
    rf"|other (?:people|(?:wo)?men|{_CLIENTS})|every(?:one|body)|all {_CLIENTS})\b"
    r"|(?<![א-ת])[לבמהו]{0,3}(?:(?:שאר|יתר)(?! ה(?!מטופל|לקוח|קבוצ|אנשים))|כולם|ממוצע|אחרים|אחרות"
    r"|קבוצה|כל המטופל|כל הלקוח)",
    re.IGNORECASE,
)
_OTHER_CLIENTS: Final = re.compile(
    r"\b(?:(?:which|what|any|no|my|our|in|of|from|by|do|did|have|and) other"
    r"|among (?:all )?(?:my|our|the)"
    r"|(?:other|rest|all|most|another|only one) (?:of )?(?:my|our|the)(?: other)?"
    r"|than (?:any|all|most|other)(?: other)?(?: of (?:my|our|the))?)"
    rf" {_CLIENTS}\b"
    r"|(?<![א-ת])[לבמהוש]{0,3}(?:מטופל|לקוח)(?:ים|ות|ת|ה)? ה?(?:אחר|נוספ)",
    re.IGNORECASE,
)
_ELSE: Final = re.compile(
    r"\b(?:besides|except(?: for)?|other than|apart from|like|than) (?:him|them|this one|her(?="
    r" (?:who|that|is|was|has|had|does|did|takes|took|needs|on|in|with)\b|[?.,;]|$))"
    r"|(?<![א-ת])(?:מלבד[הו]|חוץ ממנ[הו]|חוץ מה[םן]|פרט ל[הו]|כמו[הו]|כמוה[םן])(?![א-ת])",
    re.IGNORECASE,
)
"""The name may then stand in the conversation that the question was completed from."""

_SEEKS: Final = re.compile(
    rf"^[^{_MARK}]*?(?:"
    r"(?P<client>\b(?:which|what|any|every|all|another|other|find|list|show|many|whose|a|of my)"
    rf"(?: (?:of|other|my|our|the|me|all))*(?: \w+)? {_CLIENTS}\b)"
    r"|(?P<one>(?:(?:^|[,:;.!?-] ?)|\b(?:me|know|out|and|or|so|is|are|also|list|find|show|see|of"
    r"|remember|people|those|one|person) )(?:who(?:'s|se|m)?|(?:which|what) (?:wo)?m[ae]n"
    r"|which (?:person|people|child(?:ren)?|couple|boy|girl|one))\b"
    r"|\b(?:any|some|every)(?:one|body)\b)"
    rf")(?P<between>[^{_MARK}?.!]*?)(?P<name>{_N})(?P<after>'s)?",
    re.IGNORECASE,
)
_SUBJECT: Final = re.compile(
    r"^(?:.*\b(?:is|are|was|were|do|does|did|has|have|had|will|would|can|could|should|might)"
    r"(?:n't| not)?)? $|(?:[,:;(-] ?|\b(?:between|among|according to) )$",
    re.IGNORECASE,
)
"""The name follows at once, an auxiliary before it at most, or ends the question: "…, A or B?"."""
_OF_SOMEBODY: Final = re.compile(
    r"\b(?:afraid|fear\w*|hat(?:es?|ed)|lov(?:es?|ed)|likes?|liked|jealous|envi\w+|worr\w+|angry"
    r"|knows?|knew|known|knowing|heard?|hears|mention\w*|nam(?:es|ed)|talk\w*|sp[eo]ak\w*|spoke|told"
    r"|tells?|said|says?|discuss\w*|complain\w*|refer\w* to|thinks?|thought|related|married"
    r"|similar|same|shar\w+|else with)\b"
    r"|(?<![א-ת])[ושמ]{0,2}(?:הזכיר|דיבר|דובר|יודע|ידע|מכיר|הכיר|פוחד|פחד|חושש|חשש|קנא|שונא|שנא"
    r"|אוהב|אהב|התלונ|תלונ|שמע|סיפר|אמר|נשוי|נשוא|קשור|דומ|דואג|כועס|כעס|אחר |אות[הו] )",
    re.IGNORECASE,
)
"""What a client may feel, know or say of another, or of what is another's."""
_PROFESSIONAL: Final = re.compile(
    r"\b(?:referr\w*|prescri\w+|diagnos\w+|treat\w*|examin\w+|operat\w+ on|assess\w+"
    r"|supervis\w+) $",
    re.IGNORECASE,
)
"""Whoever does this to a client is hardly a client, and stands in the client's own records."""
_HE_SEEKS: Final = re.compile(
    rf"^[^{_MARK}]*?(?<![א-ת])(?:"
    r"(?P<client>(?:[לבמשו]?(?:איז[הו]|אילו|אלו)|כל|כמה|יש|עוד|רשימת|של|אצל)(?: [א-ת]+)? "
    r"ה?(?:מטופל|לקוח)[א-ת]{0,2})"
    r"|(?P<one>(?<!את )(?<!עם )(?<!על )ו?(?:כל )?(?:מי|מישהו|מישהי|אף אח[דת]"
    r"|איז[הו] (?:איש|אישה|גבר|אדם|ילד|ילדה)))) "
    rf"(?P<between>[^{_MARK}?.!]*?)(?P<joined>[א-ת]{{0,3}}-?){_MARK}",
)
_HE_OBJECT: Final = re.compile(
    r"(?<![א-ת])(?:את|על|עם|אצל|של|כמו|נגד|בגלל|אחרי|לפני|ליד|אודות|לגבי|כלפי|מול|לעומת"
    r"|ו?[לבמ]?ה?(?:מטופלת?|לקוחה?)) $"
)
"""Before a name without a letter joined to it, it makes of it whom something is done to."""
_HE_PROFESSIONAL: Final = re.compile(
    r"(?<![א-ת])ש?(?:הפנ(?:ה|תה)|רש[םמ]ה?|אבח[ןנ][הו]?|מטפלת?|טיפלה?|בדקה?|ניתחה?)(?: את)? $"
)
_MENTIONED: Final = re.compile(
    rf"^[^{_MARK}]*\bmention\w*(?: of)? {_N}|\bothers (?:\w+ )?(?:about|of) {_N}"
    rf"|{_MARK}(?: (?:is|was|be|been|gets?))? mentioned\b"
    rf"|^[^{_MARK}]*(?:הזכיר[א-ת]* את|אזכור[א-ת]* של) {_HE_N}|{_MARK} (?:הוזכר|מוזכר)"
    rf"|(?:הוזכר|מוזכר)[א-ת]* {_MARK}",
    re.IGNORECASE,
)
_OTHERS_WORDS: Final = re.compile(
    rf"^[^{_MARK}]*\b(?:she|he|they)\b[^{_MARK}?.!]* (?:about|of|with|to|from|by|for) {_N}"
    rf"|^[^{_MARK}]*(?<![א-ת])(?:היא|הוא|הם|הן) [^{_MARK}?.!]*(?<![א-ת])"
    rf"(?:(?:על|עם|את|אצל) |[למב]){_MARK}",
    re.IGNORECASE,
)
"""What somebody says of the client whom the conversation, not the question, has named."""


def looks_beyond_clients(question: str, meant: Sequence[NamedClient]) -> bool:
    """Say whether the clients whom a question names are those it does not, or not only, ask of."""
    text = _mark_names(question, meant)
    if any(pattern.search(text) for pattern in (_EXCLUDED, _HELD_AGAINST, _OTHER_CLIENTS)):
        return True
    if _COMPARES.search(text) and _THE_REST.search(text):
        return True
    if _MENTIONED.search(text) or _OTHERS_WORDS.search(text):
        return True
    return _seeks_another(text) or _seeks_another_in_hebrew(text)


def _mark_names(question: str, meant: Sequence[NamedClient]) -> str:
    """Return the plain question with a mark for each name, the letters joined to it kept."""
    names = {word for client in meant for word in list_stored_words(client.name)}
    text = prepare(question)
    parts: list[str] = []
    end = 0
    for word in list_asked_words(question):
        if names.isdisjoint(word.lookups):
            continue
        joined = next((size for size in range(5) if normalise(word.text[size:]) in names), 0)
        parts += [text[end : word.start], word.text[:joined], _MARK, "'s" * word.possessive]
        end = word.end
    return _NEIGHBOURS.sub(_MARK, plain("".join([*parts, text[end:]])))


def _seeks_another(text: str) -> bool:
    """Say whether it asks who does something to the client: "Who is afraid of Maya?"."""
    match = _SEEKS.search(text)
    if match is None or _SUBJECT.search(match["between"]):
        return bool(match and _ELSE.search(text))
    if match["client"]:
        return True
    between = match["between"]
    if match["after"] or between.endswith(" of "):
        return _OF_SOMEBODY.search(between) is not None
    return _PROFESSIONAL.search(between) is None


def _seeks_another_in_hebrew(text: str) -> bool:
    match = _HE_SEEKS.search(text)
    if match is None:
        return _ELSE.search(text) is not None
    between = match["between"]
    if not match["joined"].strip("-ושכ") and not _HE_OBJECT.search(between):
        return False
    if match["client"]:
        return True
    if between.endswith("של "):
        return _OF_SOMEBODY.search(between) is not None
    return _HE_PROFESSIONAL.search(between) is None


# --- Times --------------------------------------------------------------------------------------

_SESSION: Final = r"(?:sessions?|appointments?|visits?|meetings?|consultations?|contact)"
_NOT_SEEN: Final = re.compile(
    r"(?:\b(?:not|never|no longer|nobody|no one)|n't)(?: [\w']+){0,2}? (?:"
    r"(?:seen?|saw|visit(?:ed)?)(?! (?:an?|the|any|her|his|their) (?!client|patient))"
    r"|c[ao]me(?! (?:to terms|up))|coming|attend\w*|me?et|met|show(?:n|ed)? up|return(?:ed)?|booked"
    r"|scheduled|been (?:in|here|back)|called|hear(?:d)? from|spoken (?:to|with)"
    rf"|(?:had|has|have|having|got) (?:an? |any |one |another |her |his |their )?{_SESSION})\b"
    rf"|\b(?:no|without)(?: an?| any)? (?:{_SESSION}|notes?|entries|records?)\b"
    r"|\b(?:stopp?e?d?|ceased|quit) (?:coming|attending|visiting)\b|\bdropp?(?:ed)? out\b"
    r"|(?:\bnot|n't) (?:back|here|in touch)\b"
    r"|\b(?:skip|miss)\w* (?:(?:the|her|his|their|all) )?(?:last|past|this|sessions?"
    r"|appointments?)\b|\blost (?:touch|contact)\b"
    r"|\b(?:fail|neglect)\w* to (?:see|come|attend|show)\b"
    r"|\babsent since\b|\boverdue\b"
    r"|(?<![א-ת])(?:ו?ש?לא|טרם|אין|בלי|ללא)(?: [א-ת]+){0,2}? (?:[מנ]?הגיע[הו]?|מגיע[א-ת]*|בא[הו]?"
    r"|באים|ביקר[הו]?|נפגש[א-ת]*|פגש[א-ת]*|ראי(?:תי|נו)|טיפל(?:תי|נו)|דיבר(?:תי|נו)|תיעוד|רשומ[א-ת]*"
    r"|חזר[הו]?|הופיע[הו]?"
    r"|התקשר[הו]?|קבע[הו]?|שמעתי|התקיימ[הו]|פגיש[א-ת]*|מפגש[א-ת]*|ביקור[א-ת]*|תור(?:ים)?"
    r"|(?:היה|הייתה|היו)(?: [א-ת]+)? (?:אצל(?:י|נו)"
    r"|[בל]?(?:פגיש|מפגש|ביקור|טיפול|תור)[א-ת]*))(?![א-ת])"
    r"|(?<![א-ת])ש?(?:הפסיק[הו]? (?:להגיע|לבוא)|נשר[הו]?|נעל[םמ][הו]?|ניתק[הו]? קשר)(?![א-ת])",
    re.IGNORECASE,
)
_TIME_EXCLUDED: Final = re.compile(
    r"(?:\b(?:except(?:ing)?|excluding|besides|other than|apart from|aside from|outside|barring"
    r"|(?:all|every\w*|any\w*) but|rather than|instead of|unlike|(?<!\bor )not)"
    r"(?: (?:for|in|of|on|from|during|within|at|since))*(?: (?:the|this|her|his|their|our|my))?"
    r"|(?<![א-ת])(?:חוץ|לבד|פרט|מלבד|למעט|להוציא|לא כולל|במקום|(?<!או )ו?לא)(?: [במל]?-?)?) *$",
    re.IGNORECASE,
)
_EVENT: Final = (
    r"(?:the|her|his|their|my|our|an?|she|he|they|we|I|\w+ing|surgery|birth|hospitali[sz]ation"
    r"|diagnosis|discharge|childbirth)"
)
_FROM_EVENT: Final = re.compile(
    rf"\b(?:before|after|since|until|till|prior to|following) {_EVENT}(?: (?!and\b|or\b)[\w'-]+)"
    r"{0,4}(?: (?:of|in|from|on|at|during))?(?: the)? *$"
    r"|(?<![א-ת])(?:ו?ש?(?:לפני|אחרי|לאחר|מאז|עד|טרם|בעקבות)) (?:[הש][א-ת'\"-]+|ניתוח|לידה|אשפוז"
    r"|שינוי)(?: (?!או )[א-ת'\"-]+){0,4}? *$",
    re.IGNORECASE,
)


def looks_beyond_time(question: str) -> bool:
    """Say whether it asks who was not seen, of which nothing is noted at that time."""
    return _NOT_SEEN.search(plain(question)) is not None


def excludes_time(before: str) -> bool:
    """Say whether the plain words before a time except it: "besides", "but not in"."""
    return _TIME_EXCLUDED.search(before) is not None


def counts_from_event(before: str) -> bool:
    """Say whether the time is when something was that the question looks before, or behind.

    "Before the change of last month" is no time of that month.
    """
    return _FROM_EVENT.search(before) is not None
