"""The HTTP application: routes over the solver replicas."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.security import HTTPBearer
from ray import serve

from pad_ray import __version__
from pad_ray.decoding.strategies import STRATEGIES
from pad_ray.serving import responses
from pad_ray.serving.calls import Solvers
from pad_ray.serving.doors import BodyLimit, add_error_handlers, page_policy
from pad_ray.serving.errors import ApiError, bad_field
from pad_ray.serving.keys import Doorkeeper
from pad_ray.serving.messages import Answered, Ask
from pad_ray.serving.requests import ask_of, chat_ask
from pad_ray.serving.schemas import (
    BatchItem,
    BatchRequest,
    BatchResponse,
    ChatRequest,
    ErrorBody,
    ErrorResponse,
    ModelList,
    ModelModel,
    SolveRequest,
    SolveResponse,
)
from pad_ray.serving.settings import ServingSettings
from pad_ray.serving.tracing import RequestSpans

SOLVER = "solver"
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": text}
    for status, text in {
        400: "A field that cannot be served.",
        401: "No key, or an unknown one.",
        413: "The body is too large.",
        422: "A field of a wrong type, a missing or an unknown one.",
        429: "This key asks too often; see Retry-After.",
        503: "All replicas are busy; see Retry-After.",
        504: "The budget ended before anything was written.",
    }.items()
}


def serve_app(settings: ServingSettings) -> FastAPI:
    """Return the application inside the ingress deployment."""
    name = serve.get_replica_context().app_name
    return make_app(settings, Solvers(settings, serve.get_deployment_handle(SOLVER, name)))


def make_app(settings: ServingSettings, solvers: Solvers) -> FastAPI:
    """Return the application over the given solvers."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(solvers.tracing.close)

    app = FastAPI(
        title="pad-ray",
        version=__version__,
        description="Answers word problems by small programs that are verified step by step.",
        lifespan=life,
    )
    app.add_middleware(BodyLimit, limit_kb=settings.doors.max_body_kb)
    if settings.tracing:
        app.add_middleware(RequestSpans, tracing=solvers.tracing)
    add_error_handlers(app, settings.doors.max_body_kb)
    _add_routes(app, settings, solvers)
    _add_page(app)
    return app


def _add_routes(app: FastAPI, settings: ServingSettings, solvers: Solvers) -> None:
    keeper = Doorkeeper(settings.doors)
    # The door itself is `enter`; this tells the document of it.
    bearer = HTTPBearer(auto_error=False, description="A key; none is needed on loopback.")
    routes = APIRouter(prefix="/v1", dependencies=[Depends(bearer)])

    def enter(request: Request, count: int = 1) -> str:
        client = request.client.host if request.client else None
        keeper.admit(request.headers.get("authorization"), client, count)
        return secrets.token_hex(12)

    @routes.post(
        "/solve", response_model=SolveResponse, responses=_ERRORS, summary="Answer a question"
    )
    async def solve(body: SolveRequest, request: Request) -> Response:
        ask = ask_of(settings, enter(request), body.question, body)
        if body.stream:
            return _streamed(_solve_events(solvers, ask, body.include_tree))
        answered = await solvers.solve(ask)
        return _json(responses.solve_response(ask, answered, body.include_tree))

    @routes.post(
        "/solve/batch", response_model=BatchResponse, responses=_ERRORS, summary="Answer several"
    )
    async def solve_batch(body: BatchRequest, request: Request) -> Response:
        most = settings.doors.max_batch
        if len(body.questions) > most:
            raise bad_field("questions", f"holds {len(body.questions)}, and {most} is the limit")
        number = enter(request, len(body.questions))
        items = [
            _item(settings, solvers, f"{number}-{at}", question, body)
            for at, question in enumerate(body.questions)
        ]
        return _json(BatchResponse(items=await asyncio.gather(*items)))

    @routes.post("/chat/completions", responses=_ERRORS, summary="Answer as OpenAI's API does")
    async def chat(body: ChatRequest, request: Request) -> Response:
        ask = chat_ask(settings, enter(request), body)
        shape = responses.Chat(ask, body.model)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return _streamed(_chat_events(solvers, ask, shape, usage))
        return _json(shape.completion(await solvers.solve(ask)))

    @routes.get("/models", response_model=ModelList, responses={401: _ERRORS[401]})
    async def models(request: Request) -> Response:
        """List the students, alone and with each strategy."""
        enter(request, 0)
        names = [
            name if strategy is None else f"{name}:{strategy}"
            for name in settings.students
            for strategy in (None, *STRATEGIES)
        ]
        return _json(ModelList(data=[ModelModel(id=name) for name in names]))

    app.include_router(routes)

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Tell that the ingress is up; replicas are checked by Serve, each by decoding."""
        return {"status": "ok"}


def _json(data: Any) -> Response:
    return Response(responses.json_text(data), media_type="application/json")


def _streamed(events: AsyncIterator[str]) -> Response:
    return StreamingResponse(
        events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


async def _item(
    settings: ServingSettings, solvers: Solvers, number: str, question: str, body: BatchRequest
) -> BatchItem:
    try:
        ask = ask_of(settings, number, question, body)
        found = await solvers.solve_when_free(ask)
    except ApiError as error:
        return BatchItem(error=ErrorBody(**error.fields()))
    return BatchItem(solution=responses.solve_response(ask, found, body.include_tree))


async def _solve_events(solvers: Solvers, ask: Ask, include_tree: bool) -> AsyncIterator[str]:
    sent = responses.server_sent
    try:
        async for event in solvers.stream(ask):
            if event is None:
                yield sent("restart", {})
            elif event.kind == "nodes":
                yield sent("nodes", [responses.node_model(node) for node in event.nodes])
            elif event.kind == "settled":
                yield sent("steps", [responses.step_model(step) for step in event.steps])
            else:
                found = _answered(event.end)
                yield sent("solution", responses.solve_response(ask, found, include_tree))
    except ApiError as error:
        yield sent("error", error.body())


async def _chat_events(
    solvers: Solvers, ask: Ask, shape: responses.Chat, usage: bool
) -> AsyncIterator[str]:
    sent = partial(responses.server_sent, None)
    yield sent(shape.first())
    try:
        async for event in solvers.stream(ask):
            if event is None:
                shape.restart()
            elif event.kind == "settled":
                chunk = shape.settled(event.steps)
                if chunk is not None:
                    yield sent(chunk)
            elif event.kind == "end":
                found = _answered(event.end)
                for chunk in shape.last(found):
                    yield sent(chunk)
                if usage:
                    yield sent(shape.usage(found))
    except ApiError as error:
        yield sent(error.body())
    yield sent("[DONE]")


def _answered(end: Answered | ApiError | None) -> Answered:
    if isinstance(end, ApiError):
        raise end
    assert end is not None
    return end


def _add_page(app: FastAPI) -> None:
    page = (files("pad_ray.serving") / "page.html").read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": page_policy(page), "X-Content-Type-Options": "nosniff"}

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)
