"""Hostile programs as data: what the sandbox must stop, for the doctor and for the tests.

Here are those that reach for the machine: files, secrets, the network, processes, the jail
itself. `interpreter` has those that turn on the interpreter, `neighbours` those that
turn on other programs.
"""

from __future__ import annotations

import platform
from textwrap import dedent, indent
from typing import NamedTuple

from pad_ray.sandbox.attacks.interpreter import INSIDE, Entry, source_bombs
from pad_ray.sandbox.attacks.neighbours import SHARED_LANE, SPOILERS
from pad_ray.sandbox.syscalls import CHECKED, MACHINES

# What the programs aim at; tests put planted ones in their place.
TARGET_FILE = "/etc/passwd"
TARGET_FOLDER = "/tmp/pad_ray_attack"
# How a planted secret begins. The programs do not spell it in one piece, or they found themselves.
MARKER = "pad-ray-planted-"


class Attack(NamedTuple):
    """One hostile program, and the statuses of an outcome that show it was stopped.

    `ok` is one of them where the program hides the refusal, or can spoil no result but its own.
    """

    family: str
    name: str
    statuses: frozenset[str]
    program: str


# Any way to the C library that is left in the interpreter, for raw system calls.
REACH_LIBC = """
def libc():
    todo, seen = [object], set()
    while todo:
        for kind in type.__subclasses__(todo.pop()):
            if kind not in seen:
                seen.add(kind)
                todo.append(kind)
    return next(kind for kind in seen if kind.__name__ == 'CDLL')(None)
"""
_PRELUDE = "import json, math, os, re, sys, time\n"
# The zygote's command line names its owner.
_OWNER = "json.loads(sys.orig_argv[-1])[0]"

_COLUMN = MACHINES.get(platform.machine(), MACHINES["x86_64"])[0]


def _refused(call: str, arguments: str) -> str:
    """Return a program's body that makes a raw call, and fails unless that is refused."""
    number = CHECKED[call][1][_COLUMN]
    return f"return libc().syscall({number}, {arguments}) == -1 or 1 / 0"


_FILES: tuple[Entry, ...] = (
    ("read a file", "forbidden", f"return open('{TARGET_FILE}').read()"),
    ("read it by descriptor", "forbidden", f"return os.open('{TARGET_FILE}', os.O_RDONLY)"),
    (
        "read it as a module's data",
        "forbidden",
        f"return str(json.__loader__.get_data('{TARGET_FILE}'))",
    ),
    (
        "read it and hide the refusal",
        "ok",
        f"try: return open('{TARGET_FILE}').read()\nexcept OSError: return 7",
    ),
    (
        "read it through the C library",
        "ok",
        f"""
        buffer, c = bytes(200), libc()
        for fd in [c.open(b'{TARGET_FILE}', 0), *range(4, 40)]:
            c.read(fd, buffer, 200)
        return buffer.decode('latin-1').strip('\\0')
        """,
    ),
    (
        "read it by tools for source",
        "ok error",
        f"import linecache, traceback\nreturn linecache.getlines('{TARGET_FILE}')",
    ),
    (
        "read it as a digest",
        "forbidden",
        f"import hashlib\nreturn hashlib.md5(open('{TARGET_FILE}', 'rb').read()).hexdigest()",
    ),
    (
        "read it as the source of a class",
        "error forbidden",
        f"""
        import dataclasses, inspect
        module = type(os)('planted')
        module.__file__, module.__loader__ = '{TARGET_FILE}', None
        return inspect.getsource(module)
        """,
    ),
    ("write a file", "forbidden", f"open('{TARGET_FOLDER}/new', 'w').write('x')"),
    ("append to a file", "forbidden", f"open('{TARGET_FILE}', 'a').write('x')"),
    ("delete a file", "forbidden", f"os.remove('{TARGET_FILE}')"),
    ("rename a file", "forbidden", f"os.rename('{TARGET_FILE}', '{TARGET_FOLDER}/moved')"),
    ("truncate a file", "forbidden", f"os.truncate('{TARGET_FILE}', 0)"),
    ("change a file's mode", "forbidden", f"os.chmod('{TARGET_FILE}', 0o777)"),
    ("link a file", "forbidden", f"os.symlink('{TARGET_FILE}', '{TARGET_FOLDER}/link')"),
    ("make a folder", "forbidden", f"os.mkdir('{TARGET_FOLDER}/folder')"),
    ("make a named pipe", "forbidden", f"os.mkfifo('{TARGET_FOLDER}/pipe')"),
    ("list a folder", "forbidden", "return os.listdir('/')"),
    ("change the folder", "forbidden", "os.chdir('/tmp')"),
    ("make a file in memory", "forbidden", "return os.memfd_create('x')"),
    ("make shared memory", "forbidden", "return libc().shmget(1, 4096, 0o1666)"),
    ("make named shared memory", "ok", "return libc().shm_open(b'/pad_ray_attack', 66, 438)"),
    ("make a named semaphore", "ok", "return libc().sem_open(b'/pad_ray_attack', 64, 438, 1)"),
    ("make a message queue", "forbidden", "return libc().mq_open(b'/pad_ray', 66, 438, None)"),
)

_SECRETS: tuple[Entry, ...] = (
    ("read the environment", "ok", "return [dict(os.environ), sys.argv, os.getcwd()]"),
    (
        "read the environment in C",
        "ok",
        """
        c = libc()
        environ = type(c).__init__.__globals__['POINTER'](
            type(c).__init__.__globals__['c_char_p']).in_dll(c, 'environ')
        return [str(environ[0])] if environ else []
        """,
    ),
    ("read /proc/self/environ", "forbidden", "return open('/proc/self/environ').read()"),
    ("read /proc/self/mem", "forbidden", "return str(open('/proc/self/mem', 'rb').read(1))"),
    (
        "read the zygote's environment",
        "forbidden",
        "return open(f'/proc/{os.getppid()}/environ').read()",
    ),
    (
        "read the owner's environment",
        "forbidden",
        f"return open(f'/proc/{{{_OWNER}}}/environ').read()",
    ),
    ("open the owner's memory", "forbidden", f"open(f'/proc/{{{_OWNER}}}/mem', 'rb')"),
    (
        "read the owner's memory",
        "forbidden",
        f"return libc().process_vm_readv({_OWNER}, bytes(64), 1, bytes(64), 1, 0)",
    ),
    (
        "write the zygote's memory",
        "forbidden",
        "return libc().process_vm_writev(os.getppid(), bytes(64), 1, bytes(64), 1, 0)",
    ),
    ("trace the zygote", "forbidden", "return libc().ptrace(16, os.getppid(), 0, 0)"),
    ("let the zygote trace it", "forbidden", "return libc().ptrace(0, 0, 0, 0)"),
    ("take the owner's descriptors", "forbidden", f"return os.pidfd_open({_OWNER})"),
    ("list all processes", "forbidden", "return os.listdir('/proc')"),
    ("read the zygote's CPU clock", "error", "return time.clock_gettime(~os.getppid() << 3 | 2)"),
    (
        "find processes by their CPU clocks",
        "error",
        """
        for pid in range(1, 300):
            try: return time.clock_gettime(~pid << 3 | 2)
            except OSError as error: last = error
        raise last
        """,
    ),
    ("find processes by the resolution", "error", "return time.clock_getres(~1 << 3 | 2)"),
    (
        "sleep by the owner's CPU clock",
        "ok",
        _refused("clock_nanosleep", f"~{_OWNER} << 3 | 2, 0, bytes(16), None"),
    ),
    ("find processes by their cores", "forbidden", "return list(os.sched_getaffinity(1))"),
    ("read the host's name", "forbidden", "return list(os.uname())"),
    (
        "search every object for a secret",
        "ok timeout",
        f"""
        gc, marker = sys.modules['gc'], '-'.join({MARKER.split("-")})
        seen, found, todo = set(), [], gc.get_objects()
        while todo:
            if id(last := todo.pop()) not in seen:
                seen.add(id(last))
                todo += gc.get_referents(last)
                if type(last) in (str, bytes) and marker in str(last): found.append(str(last)[:99])
        return found
        """,
    ),
    (
        "search the heap for a secret",
        "ok timeout",
        f"""
        c, marker = libc(), '-'.join({MARKER.split("-")}).encode()
        string_at = type(c).__init__.__globals__['string_at']
        c.madvise.argtypes = [type(c).__init__.__globals__['c_size_t']] * 3
        heap = {{id(thing) >> 16 << 16 for thing in sys.modules['gc'].get_objects()}}
        pages = (page for part in heap for page in range(part, part + (1 << 16), 4096))
        texts = (string_at(page, 4096) for page in pages if c.madvise(page, 4096, 15) == 0)
        return [str(text[text.find(marker):][:99]) for text in texts if marker in text]
        """,
    ),
)

_NETWORK: tuple[Entry, ...] = (
    ("import sockets", "forbidden", "import socket\nreturn socket.create_connection(('::1', 80))"),
    ("import the C sockets", "forbidden", "import _socket\nreturn _socket.socket().fileno()"),
    ("open a TCP socket", "forbidden", "return libc().socket(2, 1, 0)"),
    ("open a UNIX socket", "forbidden", "return libc().socket(1, 1, 0)"),
    ("open a netlink socket", "forbidden", "return libc().socket(16, 3, 0)"),
    ("open a pair of sockets", "forbidden", "return libc().socketpair(1, 1, 0, bytes(8))"),
    ("fetch a page", "forbidden", "import urllib.request as r\nreturn r.urlopen('http://[::1]/')"),
    ("resolve a name", "ok forbidden crashed", "return libc().gethostbyname(b'localhost')"),
)

_PROCESSES: tuple[Entry, ...] = (
    ("run a command", "forbidden", "return os.system('true')"),
    ("run a command by popen", "forbidden", "return os.popen('true').read()"),
    ("become a command", "forbidden", "os.execv('/bin/true', ['true'])"),
    ("spawn a command", "forbidden", "return os.posix_spawn('/bin/true', ['true'], {})"),
    ("fork", "forbidden", "return os.fork()"),
    ("fork from C", "forbidden", "return libc().fork()"),
    ("fork by vfork", "forbidden", "return libc().vfork()"),
    ("fork bomb", "forbidden", "while True:\n    try: os.fork()\n    except BaseException: pass"),
    (
        "leave a daemon",
        "forbidden",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\nreturn 1",
    ),
    ("leave its session", "forbidden", "os.setsid()"),
    ("join another process group", "forbidden", "os.setpgid(0, os.getppid())"),
    (
        "start a thread by a queue's tools",
        "forbidden",
        "import queue, threading\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    ),
    (
        "thread bomb",
        "forbidden",
        "start = sys.modules['_thread'].start_new_thread\nwhile True: start(time.sleep, (60,))",
    ),
    ("use multiprocessing", "forbidden", "import multiprocessing as m\nreturn m.Pool(2)"),
    ("kill its parent", "forbidden", "os.kill(os.getppid(), 9)"),
    ("kill its process group", "forbidden", "os.killpg(0, 9)"),
    ("kill everything", "forbidden", "os.kill(-1, 9)"),
    ("stop itself", "forbidden", "os.kill(os.getpid(), 19)"),
    ("hook forks", "forbidden", "os.register_at_fork(before=lambda: 1 / 0)\nreturn os.fork()"),
    (
        "use the zygote's own fork",
        "forbidden",
        """
        frame = sys._getframe()
        while 'nursery' not in frame.f_locals: frame = frame.f_back
        return frame.f_globals['run_alone'](0, frame.f_locals['nursery'])
        """,
    ),
)

_JAIL: tuple[Entry, ...] = (
    ("ignore the CPU timer", "timeout", "libc().signal(27, 1)\nwhile True: pass"),
    ("ignore the CPU limit", "timeout", "libc().signal(24, 1)\nwhile True: pass"),
    ("block all signals", "timeout", "libc().sigblock(-1)\nwhile True: pass"),
    (
        "move the CPU timer",
        "timeout",
        "c = libc()\nc.alarm(0), c.setitimer(2, bytes(32), None)\nwhile True: pass",
    ),
    (
        "delete the CPU timer",
        "forbidden",
        f"libc().syscall({226 if platform.machine() == 'x86_64' else 111}, 0)\nwhile True: pass",
    ),
    ("forge a signal's return", "forbidden", "return libc().syscall(15, 0)"),
    (
        "handle signals by a hidden module",
        "error forbidden",
        """
        spec = type(sys.__spec__)('_signal', None)
        signal = sys.modules['_imp'].create_builtin(spec)
        sys.modules['_imp'].exec_builtin(signal)
        signal.setitimer(signal.ITIMER_PROF, 0)
        """,
    ),
    (
        "raise its limits",
        "error forbidden",
        "import resource as r\nr.setrlimit(r.RLIMIT_CPU, (60, 60))",
    ),
    (
        "lower the zygote's limits",
        "error forbidden",
        "import resource as r\nr.prlimit(os.getppid(), r.RLIMIT_NOFILE, (0, 0))",
    ),
    ("outlive the zygote", "forbidden", "return libc().prctl(1, 0, 0, 0, 0)"),
    ("become traceable", "forbidden", "return libc().prctl(4, 1, 0, 0, 0)"),
    ("loosen seccomp", "forbidden", "return libc().prctl(22, 0, 0, 0, 0)"),
    ("become root", "forbidden", "return libc().setuid(0)"),
    ("enter new namespaces", "forbidden", "return libc().unshare(0x7E020000)"),
    ("enter the owner's namespaces", "forbidden", "return libc().setns(0, 0)"),
    ("mount", "forbidden", "return libc().mount(b'x', b'/tmp', b'tmpfs', 0, None)"),
    ("change the root", "forbidden", "return libc().chroot(b'/tmp')"),
    ("move to another core", "forbidden", "os.sched_setaffinity(0, {0})"),
    ("get ahead of others", "forbidden", "return os.nice(-5)"),
    ("use io_uring", "forbidden", "return libc().syscall(425, 8, bytes(120))"),
    ("load a BPF program", "forbidden", "return libc().syscall(321, 0, bytes(120), 120)"),
    ("use another calling convention", "forbidden", "libc().syscall(0x40000001, 1, b'x', 1)"),
    ("have its pages merged with others'", "ok", _refused("madvise", "0, 0, 12")),
    ("lock with inheritance of priority", "ok", _refused("futex", "bytes(8), 6, 0, None")),
    ("execute its own machine code", "ok", "return libc().mmap(0, 4096, 7, 0x22, -1, 0)"),
    ("duplicate descriptors", "forbidden", "while True: os.dup(1)"),
    ("open pipes", "forbidden", "while True: os.pipe()"),
    (
        "write to the zygote's page",
        "forbidden",
        """
        frame = sys._getframe()
        while 'nursery' not in frame.f_locals: frame = frame.f_back
        page = frame.f_locals['nursery'].page
        page[:] = b'\\xff' * len(page)
        libc().fork()
        """,
    ),
    (
        "go on as the zygote",
        "ok crashed timeout",
        """
        frame = sys._getframe()
        while frame.f_code.co_name != '_child': frame = frame.f_back
        frame.f_globals['_exit'] = lambda code: None
        return 1
        """,
    ),
)


def attacks() -> list[Attack]:
    """Return the whole table, family by family."""
    bodies = {
        "files": _FILES,
        "secrets": _SECRETS,
        "network": _NETWORK,
        "processes": _PROCESSES,
        "jail": _JAIL,
        **INSIDE,
    }
    table = [
        Attack(family, name, _stopped(statuses), _program(body))
        for family, entries in bodies.items()
        for name, statuses, body in entries
    ]
    whole = {"source": source_bombs(), "shared lane": SHARED_LANE, "neighbours": SPOILERS}
    for family, entries in whole.items():
        table += [
            Attack(family, name, _stopped(statuses), text) for name, statuses, text in entries
        ]
    return table


def _stopped(statuses: str) -> frozenset[str]:
    """Return the statuses that show an attack was stopped.

    One that spends its memory or its stack may run out of time first, on a slow machine.
    """
    named = frozenset(statuses.split())
    return named | {"timeout"} if named & {"crashed", "memory"} else named


def _program(body: str) -> str:
    reach = REACH_LIBC if "libc()" in body else ""
    return f"{_PRELUDE}{reach}\ndef solution():\n{indent(dedent(body).strip(), '    ')}\n"
