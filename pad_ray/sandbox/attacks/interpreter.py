"""Hostile programs that turn on the interpreter that runs them, or on their own result."""

from __future__ import annotations

from typing import TypeAlias

# Name, statuses that show it was stopped, and the lines of solution() or the whole program.
Entry: TypeAlias = tuple[str, str, str]

_MEMORY: tuple[Entry, ...] = (
    ("one huge list", "memory", "return len([0] * 10**9)"),
    ("many buffers", "memory", "kept = []\nwhile True: kept.append(bytearray(1 << 20))"),
    ("a doubling text", "memory", "text = 'x'\nwhile True: text += text"),
    ("many small objects", "memory", "kept = []\nwhile True: kept = [kept, [0] * 999]"),
    ("memory past the interpreter", "memory", "while True: libc().mmap(0, 1 << 20, 3, 34, -1, 0)"),
    (
        "garbage that is not collected",
        "memory",
        "sys.modules['gc'].disable()\nwhile True:\n    loop = [0] * 9999\n    loop[0] = loop",
    ),
    ("endless recursion", "error", "f = lambda x: f(x + 1)\nreturn f(0)"),
    (
        # From Python 3.12 on, calls through C have a limit of their own.
        "recursion without a limit",
        "memory error",
        "sys.setrecursionlimit(10**9)\nf = lambda *x: f(*[x] * 999)\nreturn f()",
    ),
    (
        "overflow of the C stack",
        "crashed error",
        "sys.setrecursionlimit(10**9)\nf = lambda x: sorted([x], key=f)\nreturn f(0)",
    ),
    ("write to a null pointer", "crashed", "return libc().memset(8, 0, 8)"),
    (
        "unmap its own code",
        "crashed",
        "c = libc()\nc.munmap.argtypes = [type(c).__init__.__globals__['c_size_t']] * 2\n"
        "return c.munmap(id(type) >> 12 << 12, 4096)",
    ),
    (
        "forged bytecode",
        "crashed",
        "f = lambda: 1\nf.__code__ = f.__code__.replace(co_code=b'd\\xff' * 99)\nreturn f()",
    ),
)

_TIME: tuple[Entry, ...] = (
    (
        "a loop that catches everything",
        "timeout",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    ),
    ("catastrophic regular expression", "timeout", "return re.match('(a+)+$', 'a' * 40 + 'b')"),
    ("a sleep", "timeout", "time.sleep(60)"),
    ("a sleep in C", "timeout", "return libc().poll(None, 0, -1)"),
    (
        "a lock that nobody opens",
        "timeout",
        "k = sys.modules['_thread'].allocate_lock()\nwhile True: k.acquire()",
    ),
    ("a wait for input", "error", "return input()"),
    ("an endless coroutine", "timeout", "async def f():\n    while True: pass\nf().send(None)"),
    ("a coroutine that lists a folder", "forbidden", "async def f(): os.listdir()\nf().send(None)"),
    (
        "a finalizer without end",
        "timeout",
        "class Late:\n    def __del__(self):\n        while True: pass\nLate()\nreturn 1",
    ),
    (
        "a finalizer at exit",
        "ok",
        "class Late:\n    def __del__(self): time.sleep(60)\nsys.kept = Late()\nreturn 1",
    ),
)

_REPORT = 'report = b\'{"status": "ok", "value": 666}\'\n'
_FRAME = _REPORT + "frame = bytes(16) + len(report).to_bytes(4, 'little') + report\n"
_FIND_NONCE = """
here = sys._getframe()
while 'nonce' not in here.f_locals: here = here.f_back
head = here.f_locals['nonce'] + len(report).to_bytes(4, 'little')
os.write(3, head + report)
os._exit(0)
"""

_RESULT: tuple[Entry, ...] = (
    ("a flood of prints", "timeout", "while True: print('x' * 10000)"),
    ("one huge print", "ok", "print('x' * 10**7)"),
    ("a printed frame", "ok", _FRAME + "print(frame, report, flush=True)\nreturn 5"),
    ("writes to descriptors 0 to 2", "ok", "for fd in 0, 1, 2: os.write(fd, b'x' * 10**6)"),
    ("a closed output", "ok", "sys.stdout.close()\nreturn 1"),
    (
        "an output that never flushes",
        "timeout",
        "sys.stdout.flush = lambda: libc().poll(None, 0, -1)",
    ),
    ("a value of its own class", "error", "return type('X', (int,), {'__str__': lambda s: '1'})()"),
    ("a text with half a character", "error", "return '\\ud800'"),
    (
        "an exception with a lying text",
        "error",
        "class X(Exception):\n    def __str__(self): os._exit(0) if os is None else 1 / 0\nraise X",
    ),
    ("a flood of the result pipe", "crashed", "while True: os.write(3, bytes(65536))"),
    ("a forged frame", "crashed", _FRAME + "os.write(3, frame)\nreturn 1"),
    ("a forged frame and no other", "crashed", _FRAME + "os.write(3, frame)\nos._exit(0)"),
    ("half a forged frame", "crashed", _FRAME + "os.write(3, frame[:10])\nreturn 1"),
    (
        "a forged frame to every descriptor",
        "crashed",
        _FRAME + "for fd in range(1024):\n    try: os.write(fd, frame)\n    except OSError: pass",
    ),
    ("its own frame with the nonce found", "ok", _REPORT + _FIND_NONCE),
    ("a report that is no JSON", "crashed", "report = b'{'\n" + _FIND_NONCE),
    ("a report that nests deeply", "crashed", "report = b'[' * 60000\n" + _FIND_NONCE),
    (
        "a report that nests deeply, in an encoding that hides it",
        "crashed",
        "report = '[\"\\u4122\", %s \"\\u4122\"]' % ('[' * 30000)\n"
        "report = b''.join(ord(c).to_bytes(2, 'little') for c in report)\n" + _FIND_NONCE,
    ),
    (
        "a report with a status of its own",
        "crashed",
        'report = b\'{"status": "fine", "value": 1}\'\n' + _FIND_NONCE,
    ),
    (
        "a report with an endless number",
        "crashed",
        'report = b\'{"status": "ok", "value": %s}\' % (b"1" * 9000)\n' + _FIND_NONCE,
    ),
    (
        "a report whose keys collide in the owner",
        "ok crashed error",
        'keys = ",".join(f"[{k * (2**61 - 1)},0]" for k in range(1, 15000))\n'
        'report = b\'{"status": "ok", "value": {"items": [%s]}}\' % keys.encode()\n' + _FIND_NONCE,
    ),
    ("a closed result pipe", "crashed", "os.close(3)\nreturn 1"),
    ("a closed result pipe and a sleep", "crashed", "os.close(3)\ntime.sleep(60)"),
    ("all descriptors closed", "crashed", "c = libc()\nfor fd in range(32): c.close(fd)\nreturn 1"),
    ("exit", "crashed", "os._exit(0)"),
    ("exit as if not locked in", "crashed", "os._exit(99)"),
    ("exit through C", "crashed", "libc().exit(0)"),
    ("abort", "forbidden", "os.abort()"),
    ("SystemExit", "error", "sys.exit(0)"),
    ("KeyboardInterrupt", "error", "raise KeyboardInterrupt"),
    ("GeneratorExit", "error", "raise GeneratorExit"),
)

_INTERPRETER: tuple[Entry, ...] = (
    ("a patched json.dumps", "ok crashed", "json.dumps = lambda *a, **k: '666'\nreturn 1"),
    ("json.dumps that nests", "ok crashed", "json.dumps = lambda *a, **k: '[' * 60000\nreturn 1"),
    (
        "a patched len",
        "ok crashed error",
        "import builtins as b\nb.len = lambda x: 0\nreturn [1, 2]",
    ),
    (
        "a patched type",
        "ok crashed error",
        "import builtins as b\nb.type = lambda x: int\nreturn os",
    ),
    ("a patched print", "ok", "import builtins as b\nb.print = os._exit\nreturn 1"),
    ("a patched os._exit", "ok", "os._exit = lambda code: None\nreturn 1"),
    ("a patched os.write", "ok crashed", "os.write = lambda fd, data: 1 << 20\nreturn 1"),
    (
        "patched exceptions",
        "ok error crashed",
        "import builtins as b\nb.BaseException = b.Exception = int\nreturn nothing",
    ),
    ("no modules", "ok", "sys.modules.clear()\nreturn 1"),
    ("poisoned modules", "ok crashed", "for k in list(sys.modules): sys.modules[k] = os\nreturn 1"),
    ("a patched __import__", "ok", "import builtins as b\nb.__import__ = os._exit\nreturn 1"),
    ("no standard output", "ok crashed", "sys.stdout = sys.stderr = None\nreturn 1"),
    (
        "a trace of the jail's code",
        "ok crashed error",
        "sys.setprofile(lambda *a: 1 / 0)\nreturn 1",
    ),
    ("an audit hook", "ok crashed", "sys.addaudithook(lambda *a: 1 / 0)\nreturn 1"),
    ("a hook at exit", "forbidden", "import atexit\natexit.register(time.sleep, 60)\nreturn 1"),
    ("a hook for faults", "forbidden", "import faulthandler as f\nf._sigsegv()"),
    ("a hook for warnings", "ok", "import warnings as w\nw.showwarning = os._exit\nw.warn('x')"),
    (
        "a hook in the collector",
        "ok crashed error",
        "import gc\ngc.callbacks.append(os._exit)\ngc.collect()",
    ),
    (
        "a walk over all classes",
        "forbidden",
        """
        kinds = ().__class__.__base__.__subclasses__()
        wrap = next(kind for kind in kinds if kind.__name__ == '_wrap_close')
        return wrap.__init__.__globals__['system']('true')
        """,
    ),
    (
        "a walk up a traceback",
        "ok",
        """
        try: 1 / 0
        except ZeroDivisionError as error: here = error.__traceback__.tb_frame
        found = []
        while here := here.f_back: found += here.f_locals
        return found
        """,
    ),
    (
        "a walk up a generator's frame",
        "ok",
        """
        walk = (running.gi_frame.f_back.f_back.f_code.co_name for _ in '1')
        running = walk
        return list(walk)
        """,
    ),
    ("a codec from a file", "error forbidden", "return 'x'.encode('idna')"),
    ("an import by pickle", "forbidden", "import pickle\nreturn pickle.loads(b'cos\\nsystem\\n.')"),
    (
        "a copy that runs a command",
        "forbidden",
        """
        class Command:
            def __reduce__(self): return os.system, ('true',)
        import copy
        return copy.copy(Command())
        """,
    ),
    ("a forbidden name in other letters", "forbidden", "return ｏｐｅｎ('/etc/passwd').read()"),
    ("a dunder in other letters", "forbidden", "return os.__ｄｉｃｔ__['system']('true')"),
)

INSIDE = {
    "memory": _MEMORY,
    "time": _TIME,
    "result": _RESULT,
    "interpreter": _INTERPRETER,
}


def source_bombs() -> tuple[Entry, ...]:
    """Return programs that attack the parser and the compiler; up to a megabyte each."""
    good = "def solution(): return 1\n"
    lambdas = "lambda: " * 5000
    return (
        ("open parentheses", "invalid", "(" * 10**5),
        ("nested lists", "invalid memory", "x = " + "[" * 10**5 + "]" * 10**5),
        ("minus signs", "invalid memory", f"x = {'-' * 10**6}1"),
        ("nested lambdas", "invalid memory", f"x = {lambdas}1"),
        ("nested blocks", "invalid", "".join(f"{' ' * i}if 1:\n" for i in range(200))),
        ("a sum of a hundred thousand terms", "invalid memory", "x = 1" + " + 1" * 10**5),
        ("a chain of attributes", "invalid memory crashed", "x = a" + ".b" * 10**5),
        ("a line of a hundred kilobytes", "ok", good + "x = 1; " * 15000),
        ("a number of a million digits", "invalid", f"x = {'9' * 10**6}"),
        ("constants that unfold", "ok memory", good + f"x = {'((' * 50}0,{') * 99,)' * 50}"),
        ("nested f-strings", "invalid", "x = " + "f'{" * 200),
        ("a null byte", "invalid", good + "\0"),
        ("half a character", "invalid", good + "x = '\ud800'"),
        ("a false encoding", "ok", "# coding: utf-16\n" + good),
        ("a cut indentation", "invalid", "def solution():\n"),
        ("no solution", "invalid", "x = 1"),
        ("a solution that is no function", "invalid", "solution = 5"),
    )
