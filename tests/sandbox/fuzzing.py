"""Fuzz targets; each runs until its time is over and returns how many inputs it tried.

A target fails by an assertion or by any exception that the code under test does not document.
"""

from __future__ import annotations

import contextlib
import json
import random
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from types import CodeType

from corpus import CORNERS, DEEP, GOOD, LEFTOVERS, NEIGHBOURS, REFUSED
from stories import gsm8k_like
from strategies import PREAMBLE, children

from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Limits, Sandbox
from pad_ray.sandbox.harmless import is_harmless
from pad_ray.sandbox.outcome import Outcome, judge
from pad_ray.sandbox.wire import (
    NONCE_BYTES,
    Reply,
    pack_programs,
    pack_reply,
    program_spans,
    seal,
    unpack_replies,
    unseal,
)

STATUSES = {"ok", "error", "timeout", "memory", "forbidden", "crashed", "invalid"}
# A text of some thousand characters takes milliseconds.
EXTRACTION_S = 3.0
FUZZ_LIMITS = Limits(wall_s=0.5, cpu_s=0.05, memory_mb=64, output_kb=4)
_PIECES = """( ) [ ] { } : , . ' " ''' = == ** * \\ # @ ; -> lambda def class return yield
import from as if else for in while try except with async await global nonlocal del raise assert
match case None True 0 1e9 0x f' b' __class__ __import__ solution print x math ¤ ｐ""".split()
_PIECES += [" ", "\n", "\t", "\x00", "\r", "\f", "\ufeff"]
_PROSE = """```|```python|~~~|Answer: 42|Question 2:|# Q:|def solution():|    return 5|x = 1
import math|The result is (|'''|print(solution())|if __name__ == "__main__":|    solution()|>>> x
class A:|@cache|else:|return 7|$x = 2$|1. First, x = 3|x1 = x0|x2 = x1|x3 = x2|async|x = '\\|
    def solution(self):|def solve(n=3):|    x = 1""".replace("\n", "|").split("|")


def rounds(seconds: float, rng: random.Random) -> Iterator[random.Random]:
    """Yield the generator again and again until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield rng


def corpus(rng: random.Random) -> list[str]:
    """Return whole programs to mutate."""
    texts = [program for programs in CORNERS.values() for program in programs]
    texts += [f"{text.format(1)}\ndef solution(): return 1" for text in LEFTOVERS.values()]
    texts += [gsm8k_like(number, rng).source for number in range(40)]
    return [text for text in [*texts, *NEIGHBOURS, PREAMBLE] if len(text) < 3000]


def mutated(source: str, other: str, rng: random.Random) -> str:
    """Flip, cut, double and splice a text at a few random places."""
    text = source
    for _ in range(rng.randint(1, 4)):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.choice((0, 1, 2, 8, 80)))
        start = rng.randint(0, len(other))
        middle = rng.choice(
            (
                "",
                text[at:end] * 2,
                other[start : start + rng.choice((1, 5, 30, 300))],
                chr(rng.choice((rng.randrange(128), rng.randrange(0x110000)))),
                rng.choice(_PIECES),
            )
        )
        text = text[:at] + middle + text[end:]
    return text


def mangled(data: bytes, rng: random.Random) -> bytes:
    """Flip, cut and insert bytes."""
    out = bytearray(data)
    for _ in range(rng.randint(0, 4)):
        at = rng.randint(0, len(out))
        out[at : at + rng.choice((0, 1, 4))] = rng.randbytes(rng.choice((0, 1, 4, 9)))
    return bytes(out)


def fuzz_frames(seconds: float, rng: random.Random) -> int:
    """Only the exact frame opens; mangled bodies raise struct.error or ValueError or unpack."""
    tried = 0
    for _ in rounds(seconds, rng):
        nonce, report = rng.randbytes(NONCE_BYTES), rng.randbytes(rng.randrange(40))
        frame = seal(nonce, report)
        data = rng.choice((mangled(frame, rng), rng.randbytes(rng.randrange(60))))
        opened = unseal(nonce, data)
        assert opened is None or data == seal(nonce, opened)
        replies = [
            Reply(rng.randrange(4), rng.randrange(1 << 16), 0.5, 1.5, report + bytes([n]))
            for n in range(rng.randrange(5))
        ]
        parts = [pack_reply(index, reply) for index, reply in enumerate(replies)]
        packed = b"".join(rng.sample(parts, len(parts)))
        assert dict(unpack_replies(packed)) == dict(enumerate(replies))
        with contextlib.suppress(struct.error, ValueError):
            assert all(type(reply) is Reply for _, reply in unpack_replies(mangled(packed, rng)))
        programs = [rng.randbytes(rng.randrange(9)) for _ in range(rng.randrange(4))]
        request = pack_programs(programs)
        assert [request[start:end] for start, end in program_spans(request)] == programs
        with contextlib.suppress(struct.error):
            program_spans(mangled(request, rng))
        tried += 3
    return tried


def _json(rng: random.Random, depth: int = 0) -> object:
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind > 5:
        inner = [_json(rng, depth + 1) for _ in range(rng.randrange(4))]
        pairs = [[_json(rng, depth + 1), _json(rng, depth + 1)] for _ in range(rng.randrange(3))]
        return (inner, {"items": pairs}, {"items": inner, "status": "ok"})[kind - 6]
    numbers = (0, -1, 2**40, 10**4299, 1e308, float("nan"), float("-inf"), True, None)
    texts = ("ok", "error", "", "x" * 2000, "\ud83d", "\x00", rng.choice(sorted(STATUSES)))
    return rng.choice((rng.choice(numbers), rng.choice(texts)))


def fuzz_reports(seconds: float, rng: random.Random) -> int:
    """Whatever a child reports and however it ended, the owner gets a legal Outcome."""
    names = ("status", "value", "stdout", "error_type", "error_line", "error_offset", "message")
    tried = 0
    for _ in rounds(seconds, rng):
        fields = {name: _json(rng) for name in rng.sample(names, rng.randrange(8))}
        fields["status"] = rng.choice((rng.choice(sorted(STATUSES)), _json(rng)))
        report = json.dumps(fields).encode()
        report = rng.choice((report, mangled(report, rng), rng.randbytes(20), b"[" * 5000))
        status = rng.choice((0, 9, 99 << 8, rng.randrange(-(1 << 31), 1 << 31)))
        outcome = judge(Reply(rng.randrange(-1, 6), status, 0.1, 0.2, report), FUZZ_LIMITS)
        assert_legal(outcome)
        tried += 1
    return tried


def assert_legal(outcome: Outcome) -> None:
    assert outcome.status in STATUSES
    assert outcome.status == "ok" or outcome.value is None
    for text in (outcome.error_type, outcome.message, outcome.stdout):
        assert text is None or isinstance(text, str)
        (text or "").encode()
    for number in (outcome.error_line, outcome.error_offset):
        assert number is None or type(number) is int
    json.dumps(_by_pairs(outcome.value))


def _by_pairs(value: object) -> object:
    if isinstance(value, dict):
        return [[key, _by_pairs(item)] for key, item in value.items()]
    return [_by_pairs(item) for item in value] if isinstance(value, list) else value


def fuzz_extractor(seconds: float, rng: random.Random) -> int:
    """Any text gives a program that was in it, or None, in bounded time."""
    texts = corpus(rng)
    tried = 0
    for _ in rounds(seconds, rng):
        lines = [rng.choice((rng.choice(_PROSE), rng.choice(_PIECES))) for _ in range(9)]
        at = rng.randint(0, len(lines))
        lines[at:at] = [mutated(rng.choice(texts), rng.choice(texts), rng)]
        text = rng.choice(("\n", "\n\n", " ", "")).join(lines) * rng.choice((1, 1, 1, 1, 40))
        started = time.thread_time()
        program = extract_program(text)
        assert time.thread_time() - started < EXTRACTION_S, text
        assert program is None or isinstance(program, str)
        tried += 1
    return tried


def fuzz_proof(seconds: float, rng: random.Random) -> int:
    """The proof gives a bool for whatever compiles, and finds a trick however deep it stands."""
    texts = corpus(rng)
    code = _compiled(GOOD)
    tried = 0
    for _ in rounds(seconds, rng):
        with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
            code = _compiled(mutated(rng.choice(texts), rng.choice(texts), rng))
        assert type(is_harmless(code)) is bool
        trick, safe = rng.choice(REFUSED), "x"
        for _ in range(rng.randrange(6)):
            around = rng.choice([frame for frame in DEEP if not frame.startswith("f")])
            trick, safe = around.format(trick), around.format(safe)
        with contextlib.suppress(SyntaxError):
            code = _compiled(f"def solution(x=1, math=2):\n    return [{trick}, {safe}]")
            assert not is_harmless(code), trick
            assert is_harmless(_compiled(f"def solution(x=1):\n    return {safe}")), safe
        tried += 3
    return tried


def _compiled(text: str) -> CodeType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(text, "<program>", "exec", dont_inherit=True)


def fuzz_sandbox(seconds: float, rng: random.Random) -> int:
    """Mutated programs get legal outcomes, the good ones between them the right values."""
    texts = corpus(rng)
    tried = 0
    with Sandbox(FUZZ_LIMITS) as sandbox:
        before = sandbox.zygote_pids
        for _ in rounds(seconds, rng):
            programs = [
                f"def solution():\n    return {tried + n}"
                if n % 4 == 0
                else mutated(rng.choice(texts), rng.choice(texts), rng)
                for n in range(60)
            ]
            outcomes = sandbox.run(programs)
            for outcome in outcomes:
                assert_legal(outcome)
            assert [o.value for o in outcomes[::4]] == list(range(tried, tried + 60, 4))
            tried += 60
        assert sandbox.run([GOOD, GOOD])[1].value == 42
        # Others may have been started for a program that came to import one of their modules.
        assert sandbox.zygote_pids[: len(before)] == before
        assert children(before[0]) == []
    return tried


TARGETS: dict[str, Callable[[float, random.Random], int]] = {
    "frames": fuzz_frames,
    "reports": fuzz_reports,
    "extractor": fuzz_extractor,
    "proof": fuzz_proof,
    "sandbox": fuzz_sandbox,
}
