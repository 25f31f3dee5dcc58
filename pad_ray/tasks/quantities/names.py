"""Variable names from the words around a number.

No tagger and no model, only word lists. Each function gives
candidates from best to worst; `NameBook` takes the first one that is still free.
"""

import re
from collections.abc import Iterable, Sequence

from pad_ray.tasks.quantities.lexicon import (
    AFTER_MONEY,
    ASKED,
    AUXILIARIES,
    CLAUSE_STARTS,
    DETERMINERS,
    DROPPED,
    LINKS,
    OPERATION_NAMES,
    ORDINARY_VERBS,
    PARTICIPLES,
    PERIODS,
    QUANTITIES,
    TAKEN,
)

_MAX_WORDS = 5
_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)?")
_FIND = re.compile(
    r"\b(?:find|calculate|determine|compute|figure out|get)\s+(?:out\s+)?([^:,]+?)(?:[:,]|$)", re.I
)
_AMOUNT_OF = re.compile(
    r"\b(?:total |combined |final |new |original )?(?:cost|price|number|amount|sum|value|weight"
    r"|area|length|income|profit) of [^,.;:]+",
    re.I,
)


class NameBook:
    """The names of one program."""

    def __init__(self) -> None:
        self._used = {"solution", "result"}

    def take(self, candidates: Iterable[str]) -> str:
        """The first candidate that is a free name; a numbered one only when all are taken."""
        fallback = ""
        for candidate in candidates:
            if candidate.isidentifier() and candidate not in TAKEN:
                if candidate not in self._used:
                    self._used.add(candidate)
                    return candidate
                fallback = fallback or candidate
        if not fallback:
            return self.take(["quantity"])
        number = 2
        while f"{fallback}_{number}" in self._used:
            number += 1
        self._used.add(f"{fallback}_{number}")
        return f"{fallback}_{number}"


def words_of(text: str) -> list[str]:
    """Lower-case words, possessive endings off."""
    return [re.sub(r"['’]s?$|['’].*$", "", word.lower()) for word in _WORD.findall(text)]


def stems(words: Iterable[str]) -> frozenset[str]:
    """Content words with plural endings off, to compare what two numbers are about."""
    return frozenset(
        word[:-1] if word.endswith("s") and len(word) > 3 else word
        for word in words
        if word not in DROPPED and word not in LINKS and word not in AUXILIARIES
    )


def phrase_after(text: str) -> list[str]:
    """The words of the noun phrase that a text starts with, as far as a verb or a stop."""
    head = re.split(r"[^\w\s'’/-]|\s-+\s|[0-9]", text.lstrip(" %-"), maxsplit=1)[0]
    taken: list[str] = []
    for word in words_of(head.replace("/", " per ")):
        noun = bool(taken) and (taken[-1] in LINKS or taken[-1] in DETERMINERS)
        verb = word in ORDINARY_VERBS and word not in ("left", "spent") and not noun
        if word in CLAUSE_STARTS or verb or word == "than":
            break
        if word in ("he", "she", "they", "it", "we", "i", "you", "there", "how", "who"):
            break
        taken.append(word)
    return taken


def tidy(words: Sequence[str]) -> list[str]:
    """At most five words: articles out, links only between two other words."""
    kept: list[str] = []
    for index, word in enumerate(words):
        if word in ("a", "an", "each", "every") and words[index + 1 : index + 2]:
            if words[index + 1] in PERIODS and kept and kept[-1] not in LINKS:
                kept.append("per")
            continue
        if len(word) == 1 and not (index == len(words) - 1 and kept):
            continue
        if word in DROPPED or (word in LINKS and (not kept or kept[-1] in LINKS)):
            continue
        kept.append(word)
    kept = kept[2:] if kept[:2] in (["number", "of"], ["amount", "of"]) and kept[2:] else kept
    if kept[:3] in (["total", "number", "of"], ["total", "amount", "of"]) and kept[3:]:
        kept = ["total", *kept[3:]]
    kept = kept[:_MAX_WORDS]
    while kept and kept[-1] in LINKS:
        kept.pop()
    return kept


def joined(*parts: Sequence[str]) -> str:
    """Parts in snake_case, no word twice, at most five words."""
    words = [word for part in parts for word in part if word.isascii()]
    while words and words[0] in LINKS:
        words = words[1:]
    kept = list(dict.fromkeys(words))[:_MAX_WORDS]
    while kept and kept[-1] in LINKS:
        kept.pop()
    return "_".join(kept)


def subject_of(clause: str) -> tuple[list[str], list[str], str]:
    """(subject noun phrase, owner, verb as a participle or "") of the words before a number."""
    clause = re.sub(
        r"\bhow (long|far|old)\b", lambda m: ASKED[m.group(1).lower()], clause, flags=re.I
    )
    found = list(_FIND.finditer(clause))
    if found:
        return tidy(_until_verb(words_of(found[-1].group(1)))), [], ""
    amounts = _AMOUNT_OF.findall(re.split(r"\b(?:because|so|since|if)\b", clause)[-1])
    if amounts:
        return tidy(_until_verb(words_of(amounts[-1]))), _owner(clause), ""
    for part in reversed(
        re.split(r"[,;:.!?]|\b(?:because|so|since|if|then|that|which|when|while)\b", clause)
    ):
        words = words_of(part)
        while words and words[0] in CLAUSE_STARTS:
            words = words[1:]
        subject = tidy(_until_verb(words))
        verb = next((PARTICIPLES[word] for word in words if word in PARTICIPLES), "")
        subject = subject[1:] if subject and subject[0].endswith("ing") else subject
        if subject or verb:
            return subject, _owner(part), verb
    return [], [], ""


def _until_verb(words: Sequence[str]) -> list[str]:
    for index, word in enumerate(words):
        if word in ORDINARY_VERBS and not (word in QUANTITIES and _nominal(words, index)):
            return list(words[:index])
    return list(words)


def _nominal(words: Sequence[str], index: int) -> bool:
    return (
        index == 0
        or words[index - 1] in ("the", "total", "their", "his", "her", "a", "of")
        or (words[index + 1 : index + 2] in (["of"], ["for"]))
    )


def _owner(clause: str) -> list[str]:
    names = [w for w in _WORD.findall(clause) if w[0].isupper() and w.lower() not in DROPPED]
    lower = words_of(" ".join(names))
    return [word for word in lower if word not in LINKS and word not in ORDINARY_VERBS][:1]


def step_names(before: str, after: str, operator: str, money: bool) -> list[str]:
    """Candidates for a calculated quantity, from its sentence before and after the number."""
    subject, owner, verb = subject_of(before)
    unit = tidy(phrase_after(after))
    if money and (not unit or unit[0] in LINKS or unit[0] in AFTER_MONEY):
        unit = ["dollars", *unit]
    total = (
        ["total"] if re.search(r"\b(?:total|altogether|combined|in all)\b", before + after) else []
    )
    head = unit[: next((i for i, w in enumerate(unit) if w in LINKS), len(unit))]
    tail = unit[len(head) :]
    named = subject if not _is_person(subject, owner) else []
    candidates = []
    if named and (QUANTITIES & set(named) or not unit):
        candidates.append(joined(named))
    if verb and head:
        candidates += [joined(total, head, [verb], tail), joined(owner, head, [verb], tail)]
    if named and unit:
        candidates.append(joined(named[:3], head))
    if owner and unit:
        candidates.append(joined(owner, head, tail))
    if unit:
        candidates += [joined(total, unit), joined(unit), joined(subject[:3], unit)]
        candidates += [joined(["new"], unit)] if operator in ("+", "-") else []
    if named:
        candidates += [joined(named), joined(named, [verb] if verb else ["amount"])]
    nouns = [tidy(phrase_after(part))[:2] for part in re.split(r"[0-9]+", before)[1:]]
    candidates += [joined(total, noun, [verb] if verb else []) for noun in nouns if noun]
    if verb:
        candidates.append(joined(owner, ["amount"], [verb]))
    base = total or [OPERATION_NAMES.get(operator, "amount")]
    return [name for name in [*candidates, joined(owner, base), joined(base)] if name]


def _is_person(subject: Sequence[str], owner: Sequence[str]) -> bool:
    return not subject or (bool(owner) and len(subject) <= 2 and subject[0] == owner[0])


def quantity_names(before: str, after: str, money: bool, percent: bool) -> list[str]:
    """Candidates for a number of the question, from its sentence before and after it."""
    after = re.sub(r"^\s*of (?:them|these|those|which)\b\s*(?:were|are|was|is)?", " ", after)
    nearest = re.split(r"[0-9,]|\b(?:and|but|when|while)\b", before)[-1]
    subject, owner, verb = subject_of(nearest)
    if not subject:
        subject, owner, verb = subject_of(before)
    unit = tidy(phrase_after(after))
    if after.startswith("-") and len(unit) > 1:
        unit = [unit[1], unit[0]] if unit[0] not in PERIODS else [unit[0] + "s"]
    if money:
        return [name for name in _money_names(before, after, subject, owner, unit) if name]
    raw = words_of(after)
    if raw[:1] in (["more"], ["less"], ["fewer"], ["additional"], ["extra"]):
        thing = (
            unit
            or tidy(_until_verb(raw[raw.index("of") + 1 :] if "of" in raw[:9] else []))
            or subject
        )
        unit = ["fewer" if raw[0] in ("less", "fewer") else "extra", *thing[-3:]]
    elif raw and raw[0] in LINKS and raw[0] != "of":
        unit = [*subject[-2:], *([verb] if verb else []), *raw[:1], *unit]
        unit = tidy(unit)
    if percent:
        of = unit or subject[-2:]
        return [name for name in (joined(["percent"], of), joined(of, ["percent"], owner)) if name]
    candidates = [joined(unit)]
    if verb and unit:
        head = unit[: next((i for i, w in enumerate(unit) if w in LINKS), len(unit))]
        candidates.append(joined(head, [verb], unit[len(head) :]))
    candidates += [joined(owner, unit), joined(subject[-2:], unit)]
    last = tidy(words_of(nearest)[-2:])
    candidates += [joined(subject, last), joined(last), joined(subject)]
    return [name for name in candidates if name]


def _money_names(
    before: str, after: str, subject: Sequence[str], owner: Sequence[str], unit: Sequence[str]
) -> list[str]:
    period = re.match(r"\s*(?:an?|per|each|every|/)\s*([a-z]+)", after)
    per = ["per", period.group(1)] if period and not _is_filler(period.group(1)) else []
    at_price = re.search(r"\b(?:at|for|costs?|costing|is|are|was)\b\W*(?:\w+\W+)?$", before)
    words = words_of(re.split(r"[0-9,;]", before)[-1])
    thing = tidy(_after_verb(words)) if at_price else []
    each = re.match(r"\s*(?:each|apiece|per|a\b|an\b|every)", after)
    sold = bool(re.search(r"\b(?:costs?|costing|price|priced|charges?)\b", before)) or bool(each)
    head = ["price"] if sold and (thing or per) else ["dollars"]
    candidates = [joined(thing, head)] if thing and sold else []
    candidates += [joined(head, per)] if per else []
    candidates += [joined(["dollars"], unit)] if unit and not per else []
    candidates += [
        joined(subject[-3:], head),
        joined(owner, head, per),
        joined(subject, ["amount"]),
    ]
    return [*candidates, joined(owner, ["dollars"]), "dollars"]


def _after_verb(words: Sequence[str]) -> list[str]:
    """The words of the last noun phrase: those behind the last verb but one at the end."""
    kept = [word for word in words if word not in ("at", "for")]
    while kept and (kept[-1] in ORDINARY_VERBS or kept[-1] in LINKS):
        kept.pop()
    for index in range(len(kept) - 1, -1, -1):
        if kept[index] in ORDINARY_VERBS or kept[index] in CLAUSE_STARTS:
            return kept[index + 1 :]
    return kept[-4:]


def _is_filler(word: str) -> bool:
    return word in DROPPED or word in CLAUSE_STARTS or word in LINKS
