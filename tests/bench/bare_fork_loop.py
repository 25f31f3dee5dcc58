"""A preloaded process that forks a child a program and reads its value from a pipe: no jail.

Module names are its arguments; a line of programs (JSON) on stdin, a line a value on stdout.
"""

import gc
import json
import os
import sys
from importlib import import_module


def run(program: str) -> bytes:
    """Return the value of `solution()` as JSON."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            namespace: dict[str, object] = {}
            exec(program, namespace)
            os.write(write_end, json.dumps(namespace["solution"]()).encode())  # type: ignore[operator]
        finally:
            os._exit(0)
    os.close(write_end)
    value = b""
    while chunk := os.read(read_end, 1 << 16):
        value += chunk
    os.close(read_end)
    os.waitpid(pid, 0)
    return value


if __name__ == "__main__":
    for name in sys.argv[1:]:
        import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        for text in json.loads(line):
            sys.stdout.write(run(text).decode() + "\n")
        sys.stdout.flush()
