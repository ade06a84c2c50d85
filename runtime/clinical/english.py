"""An English question in one form for all the wordings that surely ask the same.

A word keeps its place and itself, unless a table says that another means the same; auxiliaries
become the tense they mark. So nothing is lost that the tables do not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from runtime.clinical.english_wordings import (
    HEADS,
    drop_taking,
    measure_wrapping,
    name_age,
    put_owner_first,
)
from runtime.clinical.forms import Form, Item, keep_sign, move_adjunct
from runtime.clinical.lexicon import lexicon
from runtime.clinical.reading import read_mention
from runtime.clinical.verbs import verb_forms
from runtime.clinical.words import Word, listed, words_of

_TENSES: Final = {
    **dict.fromkeys(("do", "does"), "present"), "did": "past",
    **dict.fromkeys(("is", "are", "am"), "is"), **dict.fromkeys(("was", "were"), "was"),
    **dict.fromkeys(("has", "have"), "perfect"), "had": "past perfect",
}  # fmt: skip
_PRONOUNS: Final = frozenset(
    listed(
        """he him his she her hers they them their theirs i me my mine you your yours we us our
        ours"""
    )
)
_NOUN_FOLLOWS: Final = frozenset(
    listed("the a an his her their my our your 's of this that any no")
)
_HABITUAL: Final = frozenset(("take", "use", "live", "work", "study", "suffer", "experience"))
"""Of these, `is taking` says what `takes` does."""
_OF_ONE_TIME: Final = frozenset(
    listed(
        """start stop take use sleep eat drink smoke feel happen occur work live suffer experience
        have gain lose weigh cry hit hurt fight argue quarrel improve worsen increase decrease raise
        lower change die move study do visit meet cope go come return call phone hospitalise"""
    )
)
"""Verbs whose object has no time of its own, as what is denied, planned or cancelled has."""
_LOOSE: Final = frozenset(("word", "name", "medication"))
_SUBJECTS: Final = frozenset(listed("he she i we they"))
_LINKS: Final = frozenset(
    listed(
        "that because when before after while if since until who whether and or but than why how"
    )
)
_BE: Final = frozenset(("is", "was"))
_HAVE: Final = frozenset(("perfect", "past perfect"))
_IN: Final = frozenset(("in", "on", "at", "during", "over", "within"))
_FLOATING: Final = ("previous ", "last ", "this ", "day ")
_WH: Final = frozenset(("what", "why", "when", "who", "where", "how", "how often", "how long"))
_LINK_ITEMS: Final = frozenset(("word", link) for link in _LINKS)
_IN_ITEMS: Final = frozenset(("word", link) for link in _IN)
_FIXED: Final = frozenset(
    ("word", word) for word in (*_WH, *HEADS, "how many", *listed("hours the a of not"))
)
"""Words that can be no verb, nor what another verb does."""


def read_english(text: str) -> Form:
    """Return the form of a normalised question."""
    reader = _Reader(words_of(text))
    return reader.read()


@dataclass(slots=True)
class _Reader:
    words: list[Word]
    items: list[Item] = field(default_factory=list)
    tenses: list[str] = field(default_factory=list)
    aux: str = ""
    """The tense of an auxiliary whose verb has not come yet."""

    def read(self) -> Form:
        """Return the form of all words."""
        at = 0
        while at < len(self.words):
            at += self._read_at(at)
        self._drop_now()
        items = put_owner_first(drop_taking(name_age(self.items)))
        asked = [item for item in items if item[0] != "adjunct"]
        items = move_adjunct(
            items,
            tells=not self._has_one_time(asked),
            links=any(item in _LINK_ITEMS for item in asked[1:]),
        )
        return Form("en", tuple(items), tuple(self.tenses))

    def _has_one_time(self, asked: Sequence[Item]) -> bool:
        """Tell `did she drink` from `did she deny drinking`, where a time may be of either.

        A word before the verb, a second one behind it and a second subject may be of a clause.
        """
        verbs = [at for at, (kind, _) in enumerate(asked) if kind == "verb"]
        others = [at for at, item in enumerate(asked) if item[0] in _LOOSE and item not in _FIXED]
        subjects = [word for word in self.words if word.text in _SUBJECTS]
        if max(len(verbs), len(others), len(self.tenses), len(subjects)) > 1:
            return False
        if not verbs:
            return True
        verb = asked[verbs[0]][1]
        is_continuous = self.tenses in (["is"], ["was"])
        return (
            not (others and others[0] < verbs[0])
            and verb.rstrip("+-") in _OF_ONE_TIME
            and (is_continuous or not verb.endswith("+"))
        )

    def _read_at(self, at: int) -> int:
        """Add what begins at this word, and return how many words that took."""
        return self._read_frame(at) or self._read_phrase(at) or self._read_rest(at)

    def _read_frame(self, at: int) -> int:
        """Read what is no word of the question proper: signs, `if`, `do you know`."""
        word = self.words[at]
        if word.is_sign:
            self.items += keep_sign(self.words, at, self.items)
            return 1
        if at == 0:
            return 1 if word.text in {"if", "whether"} else measure_wrapping(self.words)
        return 0

    def _read_phrase(self, at: int) -> int:
        word = self.words[at]
        mention = read_mention(self.words, at)
        if word.written != word.text and mention.kind == "word":
            self.items.append(("name", word.written))
            return 1
        if word.text in {"the", "a", "an"} and mention.kind in {"span", "frequency"}:
            return self._read_mention(at)
        if word.text == "the" and self._is_idle(at + 1):
            return 1
        phrase = lexicon("questions.en").find(self.words, at)
        taken = self._read_verb(at) if phrase is None or phrase.length == 1 else 0
        if taken or phrase is None:
            return taken
        if phrase.meaning != "-":
            kind = "adjunct" if phrase.meaning.startswith("session ") else "word"
            self.items.append((kind, phrase.meaning))
        return phrase.length

    def _is_idle(self, at: int) -> bool:
        """Tell the word before which `the` says nothing: `the dose`, but not `the children`."""
        if at == len(self.words):
            return False
        found = lexicon("questions.en").find(self.words, at)
        name = found.meaning if found else self.words[at].text
        return name in HEADS or read_mention(self.words, at).kind in {"medication", "date"}

    def _read_rest(self, at: int) -> int:
        return self._read_contracted(at) or self._read_auxiliary(at) or self._read_mention(at)

    def _read_auxiliary(self, at: int) -> int:
        text = self.words[at].text
        if text in _TENSES:
            self.aux = _TENSES[text]
            self.tenses.append(self.aux)
            return 1
        if text in _PRONOUNS:
            self.items.append(("pronoun", text))
            return 1
        if text == "on" and self._is_medicated(at):
            if self.tenses[-1] == "is":
                self.tenses[-1] = "present"
            self.items.append(("verb", "take"))
            self.aux = ""
            return 1
        return 0

    def _read_contracted(self, at: int) -> int:
        """Read `why'd` as `why did`, and `hasn't she` as `has she not`."""
        text, after = self.words[at].text, [word.text for word in self.words[at + 1 : at + 2]]
        if text == "'d" and self.items in (
            [("word", "why")],
            [("word", "when")],
            [("word", "how")],
        ):
            self.aux = "past"
            self.tenses.append("past")
            return 1
        before = self.words[at - 1].text if at else ""
        if text == "not" and before in _TENSES and after and after[0] in _PRONOUNS:
            self.items += [("pronoun", after[0]), ("word", "not")]
            return 2
        return 0

    def _is_medicated(self, at: int) -> bool:
        """Tell `is she on sertraline`, `what medication is she on` from any other `on`."""
        if self.aux not in _BE or not self.items or self.items[-1][0] not in {"pronoun", "person"}:
            return False
        if at + 1 == len(self.words):
            return ("word", "medication") in self.items
        after = read_mention(self.words, at + 1)
        return after.kind == "medication"

    def _read_verb(self, at: int) -> int:
        forms = verb_forms()
        text = self.words[at].text
        pair = f"{text} {self.words[at + 1].text}" if at + 1 < len(self.words) else ""
        for form, length in ((pair, 2), (text, 1)):
            if form in forms and not self._is_noun(at):
                if text in _TENSES and not self._is_main_verb(at):
                    return 0
                self._add_verb(*forms[form], after_to=bool(at) and self.words[at - 1].text == "to")
                return length
        return 0

    def _is_noun(self, at: int) -> bool:
        return bool(at) and self.words[at - 1].text in _NOUN_FOLLOWS

    def _is_main_verb(self, at: int) -> bool:
        """Tell `did she have`, `she had a fall` from `had she fallen`: by what is left over."""
        if self.words[at].text in {"is", "are", "am", "was", "were"}:
            return False
        if self.aux:
            return True
        following = self.words[at + 1 : at + 5]
        if self.words[at].text in {"do", "does", "did"} or not self.items:
            return False
        starts = self.items[-1][0] in {"pronoun", "person", "word"} and self.items[-1][1] not in _WH
        forms = verb_forms()
        parts = (
            each.text == "been" or forms.get(each.text, ("", ""))[1] == "ed" for each in following
        )
        return starts and not any(parts)

    def _add_verb(self, lemma: str, form: str, *, after_to: bool) -> None:
        mark = ""
        if form == "ing":
            if self.aux == "is" and lemma in _HABITUAL:
                self.tenses[-1] = "present"
            else:
                mark = "+"
        elif form == "ed":
            if self.aux in _BE:
                mark = "-"
            elif self.aux not in _HAVE:
                self.tenses.append("past")
        elif form == "s" or not (self.tenses or after_to):
            self.tenses.append("present")
        self.items.append(("verb", lemma + mark))
        self.aux = ""

    def _read_mention(self, at: int) -> int:
        mention = read_mention(self.words, at)
        item: Item = (mention.kind, str(mention.fact))
        if item == ("person", "client") and self._has_two_clients():
            item = ("person", mention.words[0].text)
        if mention.kind in {"date", "span"} and (
            mention.kind == "date" or item[1].startswith(_FLOATING)
        ):
            while self.items and self.items[-1] in _IN_ITEMS:
                self.items.pop()
                item = ("adjunct", item[1])
            if item[1].startswith(_FLOATING):
                item = ("adjunct", item[1])
        self.items.append(item)
        return len(mention.words)

    def _has_two_clients(self) -> bool:
        return {"client", "patient"} <= {word.text for word in self.words}

    def _drop_now(self) -> None:
        """Leave `currently` out where the question is of the present anyway."""
        if self.tenses in (["present"], ["is"]):
            self.items = [item for item in self.items if item != ("word", "currently")]
