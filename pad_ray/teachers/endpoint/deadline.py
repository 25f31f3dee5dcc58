"""A deadline for a whole answer: a client's own timeouts are for each read, and a body may drip."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

__all__ = ["deadline_hooks"]

_DEADLINE = "pad_ray.deadline"


def deadline_hooks(seconds: float) -> dict[str, list[Callable[[Any], None]]]:
    """Return event hooks for an httpx client: a request ends if it is not answered in `seconds`."""

    def start(request: Any) -> None:
        request.extensions[_DEADLINE] = time.monotonic() + seconds

    def bound(response: Any) -> None:
        # Releases of the OpenAI client speak HTTP with httpx or its successor, alike in all this.
        library = type(response).__module__.partition(".")[0]
        response.stream = _bounded_by(library)(response)

    return {"request": [start], "response": [bound]}


@cache
def _bounded_by(library: str) -> type:
    httpx: Any = importlib.import_module(library)

    class Bounded(httpx.SyncByteStream):  # type: ignore[misc]
        def __init__(self, response: Any) -> None:
            self._stream = response.stream
            self._request = response.request

        def __iter__(self) -> Iterator[bytes]:
            for chunk in self._stream:
                if time.monotonic() > self._request.extensions[_DEADLINE]:
                    raise httpx.ReadTimeout("the answer is not whole", request=self._request)
                yield chunk

        def close(self) -> None:
            self._stream.close()

    return Bounded
