"""What stands before the routes: the body's limit, one shape for all errors, the page's policy."""

from __future__ import annotations

import base64
import hashlib
import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pad_ray.serving.errors import ApiError, too_large


class BodyLimit:
    """ASGI middleware: a body over the limit is refused, announced or not."""

    def __init__(self, app: ASGIApp, limit_kb: int) -> None:
        self._app = app
        self._limit_kb = limit_kb

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most, seen = self._limit_kb * 1024, 0
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > most:
            await _response(too_large(self._limit_kb))(scope, receive, send)
            return

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def add_error_handlers(app: FastAPI, limit_kb: int) -> None:
    """Give every error of the application one shape."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return _response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _response(_validation(error))

    @app.exception_handler(HTTPException)
    async def failed(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 413:
            return _response(too_large(limit_kb))
        kind = "invalid_request_error"
        found = _response(ApiError(error.status_code, str(error.detail), kind))
        found.headers.update(error.headers or {})
        return found

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        return _response(ApiError(500, "an internal error; it is in the log", "server_error"))


def _response(error: ApiError) -> JSONResponse:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error.body(), error.status, headers)


def _validation(error: RequestValidationError) -> ApiError:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return ApiError(400, "the body is not JSON", "invalid_request_error")
    param = ".".join(str(part) for part in first["loc"][1:])
    message = f"{param}: {first['msg']}" if param else first["msg"]
    clean = message.encode("utf-8", "replace").decode()
    return ApiError(422, clean, "invalid_request_error", param or None)


def page_policy(page: str) -> str:
    """Return a content security policy that lets the page run only its own script."""
    hashes = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    ]
    return (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
