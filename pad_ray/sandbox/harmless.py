"""Proof that a program cannot touch what its neighbours in one process share.

The proof reads the compiled code, which is exactly what runs: every instruction, every name and
every constant must be on a list here. Nothing on the lists can set an attribute, define a class,
catch an exception, reach a frame, a module's dictionary or a double-underscore name, or change
anything that outlives the program's own namespace. What is not proved is not forbidden: it gets
a process of its own. An interpreter with instructions unknown here proves less, never wrongly.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Iterator
from types import CodeType

# Left out on purpose: STORE_ATTR and DELETE_ATTR, LOAD_BUILD_CLASS, STORE_GLOBAL, IMPORT_STAR,
# all handlers of exceptions that a program can write (they would go on where a neighbour's leavings
# raised MemoryError), `with`, `match` and `async`. Those that Python 3.12's compiler adds itself,
# and CALL_INTRINSIC_1, are looked at below. The last four lines are 3.12's and 3.13's.
_INSTRUCTIONS = """
    CACHE NOP RESUME EXTENDED_ARG PRECALL CALL CALL_FUNCTION_EX KW_NAMES PUSH_NULL POP_TOP COPY
    SWAP LOAD_CONST LOAD_FAST STORE_FAST DELETE_FAST LOAD_GLOBAL LOAD_NAME STORE_NAME DELETE_NAME
    LOAD_CLOSURE LOAD_DEREF STORE_DEREF MAKE_CELL COPY_FREE_VARS MAKE_FUNCTION RETURN_VALUE
    LOAD_ATTR LOAD_METHOD IMPORT_NAME IMPORT_FROM
    UNARY_POSITIVE UNARY_NEGATIVE UNARY_NOT UNARY_INVERT BINARY_OP COMPARE_OP IS_OP CONTAINS_OP
    BINARY_SUBSCR STORE_SUBSCR DELETE_SUBSCR BUILD_SLICE UNPACK_SEQUENCE UNPACK_EX
    BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP BUILD_STRING FORMAT_VALUE
    LIST_APPEND LIST_EXTEND LIST_TO_TUPLE SET_ADD SET_UPDATE MAP_ADD DICT_MERGE DICT_UPDATE
    GET_ITER FOR_ITER RETURN_GENERATOR YIELD_VALUE LOAD_ASSERTION_ERROR RAISE_VARARGS
    JUMP_FORWARD JUMP_BACKWARD JUMP_IF_FALSE_OR_POP JUMP_IF_TRUE_OR_POP
    POP_JUMP_FORWARD_IF_FALSE POP_JUMP_FORWARD_IF_TRUE
    POP_JUMP_BACKWARD_IF_FALSE POP_JUMP_BACKWARD_IF_TRUE
    POP_JUMP_FORWARD_IF_NONE POP_JUMP_FORWARD_IF_NOT_NONE
    POP_JUMP_BACKWARD_IF_NONE POP_JUMP_BACKWARD_IF_NOT_NONE
    RETURN_CONST END_FOR LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR BINARY_SLICE STORE_SLICE
    POP_JUMP_IF_FALSE POP_JUMP_IF_TRUE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE
    CALL_INTRINSIC_1 RERAISE CALL_KW TO_BOOL CONVERT_VALUE FORMAT_SIMPLE FORMAT_WITH_SPEC
    LOAD_FAST_LOAD_FAST STORE_FAST_LOAD_FAST STORE_FAST_STORE_FAST SET_FUNCTION_ATTRIBUTE
"""
_LISTED = frozenset(_INSTRUCTIONS.split())
# Above 255 are names that Python's compiler has for itself; no code object holds them.
_ALLOWED_OPCODES = bytes(
    code for code, name in enumerate(dis.opname) if name in _LISTED and code < 256
)
# Arguments of CALL_INTRINSIC_1, by CPython's pycore_intrinsics.h: a StopIteration that leaves a
# generator becomes a RuntimeError; unary plus; a list becomes a tuple. Not here: `import *`.
_STOPITERATION_ERROR, _UNARY_POSITIVE, _LIST_TO_TUPLE = 3, 5, 6
_SAFE_INTRINSICS = frozenset({_STOPITERATION_ERROR, _UNARY_POSITIVE, _LIST_TO_TUPLE})
# Python 3.11 has none; no code object holds a 255.
_INTRINSIC_OP = dis.opmap.get("CALL_INTRINSIC_1", 255)
_RERAISE_OP = dis.opmap["RERAISE"]
# What may lie between an exception and its going on: a comprehension gives names their values back.
_CLEAN_UP = "SWAP POP_TOP STORE_FAST STORE_FAST_STORE_FAST EXTENDED_ARG CALL_INTRINSIC_1"
_CLEAN_UP_OPS = frozenset(dis.opmap[name] for name in _CLEAN_UP.split() if name in dis.opmap)

SAFE_BUILTINS = frozenset(
    """
    None True False abs all any bin bool chr dict divmod enumerate filter float format frozenset
    hex int isinstance iter len list map max min next oct ord pow print range reversed round set
    slice sorted str sum tuple zip
    ArithmeticError AssertionError Exception IndexError KeyError LookupError NameError
    NotImplementedError OverflowError RuntimeError StopIteration TypeError ValueError
    ZeroDivisionError
    """.split()
)

# Modules of functions and immutable types. Not here: random, calendar, decimal and time (state
# that programs share, or the clock), operator (attrgetter reads any attribute), copy, typing.
SAFE_MODULES = frozenset(
    "bisect collections datetime fractions functools heapq itertools math statistics string".split()
)

# Harmless on every object that a proved program can hold. Not here: str.format and format_map,
# which read attributes by name; today and now, which differ between runs.
SAFE_ATTRIBUTES = frozenset(
    """
    solution
    append clear copy count extend index insert pop remove reverse sort
    fromkeys get items keys popitem setdefault update values
    add difference discard intersection isdisjoint issubset issuperset symmetric_difference union
    capitalize casefold center endswith find isalnum isalpha isdecimal isdigit islower isnumeric
    isspace istitle isupper join ljust lower lstrip partition removeprefix removesuffix replace
    rfind rindex rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title
    upper zfill
    as_integer_ratio bit_count bit_length conjugate denominator imag is_integer numerator real
    Counter OrderedDict defaultdict deque appendleft elements extendleft most_common popleft
    rotate subtract total
    date datetime time timedelta combine day days fromisoformat hour isocalendar isoformat
    isoweekday microsecond microseconds minute month second seconds strftime strptime total_seconds
    toordinal weekday year
    Fraction limit_denominator reduce
    bisect bisect_left bisect_right insort heapify heappop heappush heappushpop heapreplace
    nlargest nsmallest merge
    accumulate chain combinations combinations_with_replacement compress cycle dropwhile
    filterfalse from_iterable groupby islice pairwise permutations product repeat starmap takewhile
    zip_longest
    acos acosh asin asinh atan atan2 atanh cbrt ceil comb copysign cos cosh degrees dist e erf exp
    exp2 expm1 fabs factorial floor fmod frexp fsum gamma gcd hypot inf isclose isfinite isinf
    isnan isqrt lcm ldexp lgamma log log10 log1p log2 modf nan perm pi pow prod radians remainder
    sin sinh sqrt tan tanh tau trunc
    fmean geometric_mean harmonic_mean mean median median_high median_low mode multimode pstdev
    pvariance quantiles stdev variance
    ascii_letters ascii_lowercase ascii_uppercase digits
    """.split()
)

# Counter.copy, called on any object, gives that object's class; date.replace, called on a datetime
# before Python 3.13, gives one whose time zone is whatever was in its memory.
_UNSAFE_TOGETHER = (frozenset({"Counter", "copy"}), frozenset({"date", "replace"}))
# Methods that take their arguments as an array, on some Python from 3.11 to 3.13, and the classes
# that have them. Once a place of the code was used to call one on an object, the interpreter does
# not notice there that a call of the class's own (`str.split()`) has none: it takes what lies above
# the stack, freed or not, for the object, and -1 for the number of arguments.
_ARRAY_METHODS = frozenset(
    """
    center count difference endswith find get index insert intersection ljust lstrip pop popitem
    replace rfind rindex rjust rotate rsplit rstrip setdefault sort split splitlines startswith
    strip union update
    """.split()
)
_ARRAY_CLASSES = frozenset(
    """
    Counter OrderedDict date datetime defaultdict deque dict frozenset list set str time tuple
    """.split()
)
# Values of CO_COROUTINE and CO_ASYNC_GENERATOR; `inspect` would add a megabyte to every fork.
_ASYNC = 0x80 | 0x200

# To be read; only the second may be written: an import could be made relative to the first.
_DUNDERS = frozenset({"__name__", "__doc__"})
# The last are there if `site` was imported, as it is before a program that runs alone.
_ALL_BUILTINS = frozenset(dir(builtins)) | {"exit", "quit", "help"}
# No need to ask how these are used: they are harmless as a global and as an attribute.
_SAFE_ANYWHERE = (SAFE_BUILTINS - {"format"}) | SAFE_MODULES | SAFE_ATTRIBUTES | {"__doc__"}

_ATTRIBUTE_OPS = frozenset(
    dis.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM") if name in dis.opmap
)
# Of LOAD_ATTR: what is loaded is called next.
_CALL_BIT = 0 if "LOAD_METHOD" in dis.opmap and dis.opmap["LOAD_METHOD"] < 256 else 1
_MODULE_OP = dis.opmap["IMPORT_NAME"]
# Harmless names that are those of other modules too, such as datetime's `time`.
_OTHER_MODULES = (_SAFE_ANYWHERE & sys.stdlib_module_names) - SAFE_MODULES
_WRITES = frozenset({dis.opmap["STORE_NAME"], dis.opmap["DELETE_NAME"]})
_USES_NAME = frozenset(dis.hasname)

# What proved programs share as their builtins: no name that they can write reaches the mapping.
NAMESPACE_BUILTINS = {name: getattr(builtins, name) for name in SAFE_BUILTINS} | {
    "__import__": builtins.__import__
}


def is_harmless(code: CodeType) -> bool:
    """Tell whether the compiled program, and all functions in it, can only touch its own data."""
    found = [code]
    names: set[str] = set()
    for code in found:  # which grows meanwhile
        if not _is_clear(code):
            return False
        names.update(code.co_names)
        found += [value for value in code.co_consts if type(value) is CodeType]
    if any(pair <= names for pair in _UNSAFE_TOGETHER):
        return False
    if names.isdisjoint(_ARRAY_METHODS) or names.isdisjoint(_ARRAY_CLASSES):
        return True
    return not any(_may_call_on_nothing(code) for code in found)


def _is_clear(code: CodeType) -> bool:
    instructions = code.co_code[::2]
    if instructions.translate(None, _ALLOWED_OPCODES) or code.co_flags & _ASYNC:
        return False
    if _INTRINSIC_OP in instructions and not _intrinsics_are_safe(code):
        return False
    if code.co_exceptiontable and not _handlers_only_clean_up(code):
        return False
    names = code.co_names
    if _SAFE_ANYWHERE.issuperset(names) and (
        _MODULE_OP not in instructions or _OTHER_MODULES.isdisjoint(names)
    ):
        return True
    return all(_name_is_safe(op, name) for op, name in _uses(code))


def _intrinsics_are_safe(code: CodeType) -> bool:
    pairs = zip(code.co_code[::2], code.co_code[1::2], strict=True)
    return all(arg in _SAFE_INTRINSICS for op, arg in pairs if op == _INTRINSIC_OP)


def _handlers_only_clean_up(code: CodeType) -> bool:
    """Tell whether each exception goes on after nothing but what the compiler itself put there."""
    instructions = code.co_code[::2]
    for start in _handlers(code.co_exceptiontable):
        end = instructions.find(_RERAISE_OP, start)
        if end < 0 or not _CLEAN_UP_OPS.issuperset(instructions[start:end]):
            return False
    return True


def _handlers(table: bytes) -> Iterator[int]:
    """Yield which instruction each entry of an exception table goes to.

    An entry has four numbers, of six bits a byte: its first instruction, how many, where to, and
    the stack's depth (CPython's exception_handling_notes.txt).
    """
    numbers = []
    number = 0
    for byte in table:
        number = number << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(number)
            number = 0
    yield from numbers[2::4]


def _may_call_on_nothing(code: CodeType) -> bool:
    """Tell whether one of `_ARRAY_METHODS` is called without an argument, or kept to be called."""
    called = False
    for instruction in dis.get_instructions(code):
        name, argument = instruction.opname, instruction.arg or 0
        if name in ("EXTENDED_ARG", "NOP", "PRECALL"):
            continue
        if called and name == "CALL" and argument == 0:
            return True
        called = False
        if name in ("LOAD_ATTR", "LOAD_METHOD") and instruction.argval in _ARRAY_METHODS:
            # Python 3.11 has an instruction for it, later ones a bit.
            called = name == "LOAD_METHOD" or bool(_CALL_BIT & argument)
            if not called:
                return True
    return False


def _name_is_safe(op: int, name: str) -> bool:
    if op == _MODULE_OP:
        return name in SAFE_MODULES
    if op in _ATTRIBUTE_OPS:
        return name in SAFE_ATTRIBUTES or name in _DUNDERS
    if name in SAFE_BUILTINS or name == "__doc__" or (name in _DUNDERS and op not in _WRITES):
        return True
    # A name of the program's own, or nobody's. Other builtins would be missing in its namespace.
    return name not in _ALL_BUILTINS and not name.startswith("__")


def _uses(code: CodeType) -> Iterator[tuple[int, str]]:
    """Yield each instruction that takes a name, with the name."""
    for instruction in dis.get_instructions(code):
        if instruction.opcode in _USES_NAME:
            yield instruction.opcode, str(instruction.argval)
