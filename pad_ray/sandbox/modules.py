"""What a program may import."""

# All are loaded before a program runs, so none costs it a file access, which the jail denies.
COMMON_MODULES = (
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "collections.abc",
    "copy",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "heapq",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "random",
    "re",
    "statistics",
    "string",
    "time",
    "typing",
)
# As harmless, but too heavy for a program that does not need them: in zygotes of their own. Not
# here: what is for files, processes, threads, the network, or loading code (pathlib, logging,
# threading, asyncio, pickle). What others of these bring along, the jail holds as it holds `os`.
FURTHER_MODULES = (
    "array",
    "ast",
    "base64",
    "binascii",
    "colorsys",
    "csv",
    "dataclasses",
    "difflib",
    "graphlib",
    "hashlib",
    "inspect",
    "pprint",
    "queue",
    "secrets",
    "struct",
    "textwrap",
    "timeit",
    "traceback",
)
ALLOWED_MODULES = (*COMMON_MODULES, *FURTHER_MODULES)
# Names to import that load one of them late, on some Python versions.
FURTHER_NAMES = (*FURTHER_MODULES, "runtime_checkable")

# For modules that a sandbox is told to offer besides: parts that they do not load themselves, and
# a trusted program that makes them load what they load late.
PARTS = {"dateutil": ("dateutil.parser", "dateutil.relativedelta", "dateutil.rrule", "dateutil.tz")}
WARM_UPS = {
    "sympy": """
from sympy import *
x, y = symbols("x y")
str((solve(x**2 - 2, x), solve([Eq(x + y, 3), Eq(x - y, 1)], [x, y]), factor(x**2 - 1)))
str((simplify(sin(x) ** 2 + cos(x) ** 2), integrate(x**2, (x, 0, 1)), diff(x**3, x)))
str((limit(sin(x) / x, x, 0), Rational(1, 3) + sqrt(8), N(pi, 5), nsolve(x**2 - 2, x, 1)))
str((Matrix([[1, 2], [3, 4]]).inv(), solveset(x - 1, x), summation(x, (x, 1, 3)), binomial(5, 2)))
""",
    "numpy": "import numpy\nnumpy.linalg.solve(numpy.eye(2), numpy.ones(2)).sum()",
    "math_verify": r"""
from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
kinds = [LatexExtractionConfig(), ExprExtractionConfig()]
pairs = (r"\frac{\sqrt{3}}{2}", "0.5"), (r"(1, \pi]", r"\{1, 2\}"), ("x = 2y", r"\text{east}")
for one, other in (*pairs, pairs[1][::-1], ("x^2 - 1", "(x+1)(x-1)"), ("1 < x < 2", "(1,2)")):
    read = [parse(f"${text}$", kinds, parsing_timeout=None) for text in (one, other)]
    verify(*read, timeout_seconds=None)
""",
    "dateutil": "import dateutil.parser\ndateutil.parser.parse('2024-03-01')",
}
