"""A chat endpoint in a process of its own that misbehaves at a given rate; prints its port.

Its answers depend on the question, the seed and the choice alone. GET /delivered counts the
completions that went out whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys

from aiohttp import web

from pad_ray.tasks import get_task


class Flaky:
    def __init__(self, problems: int, faults: float) -> None:
        generate = get_task("arithmetic").generate
        assert generate is not None
        self.programs = {p.question: p.program or "" for p in generate(problems, "train", 0, None)}
        self.faults = faults
        self.delivered = 0
        self.chance = random.Random(1)

    def text(self, question: str, seed: int, choice: int) -> str:
        """Write the right program, sometimes with a line more, or a wrong one."""
        key = f"{question}|{seed}|{choice}".encode()
        kind = int.from_bytes(hashlib.sha256(key).digest()[:4], "big") % 10
        if kind < 4:
            return f"def solution():\n    return {kind}"
        head, body = self.programs[question].split("\n", 1)
        extra = f"    spare = {kind}\n" if kind > 6 else ""
        return f"{head}\n{extra}{body}"

    async def complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        is_check = len(body["messages"]) == 1
        if not is_check and self.chance.random() < self.faults:
            return await self.fail(request)
        question = body["messages"][-1]["content"].removeprefix("Question: ")
        number = body.get("n", 1)
        texts = [
            "ok" if is_check else self.text(question, body["seed"], choice)
            for choice in range(number)
        ]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 100, "completion_tokens": 40 * number}
        answer = {"id": "c", "object": "chat.completion", "choices": choices, "usage": usage}
        self.delivered += 0 if is_check else number
        return web.json_response(answer)

    async def fail(self, request: web.Request) -> web.StreamResponse:
        kind = self.chance.choice(["busy", "broken", "hang", "half"])
        error = {"error": {"message": kind, "type": "t", "code": None}}
        if kind == "busy":
            return web.json_response(error, status=429, headers={"Retry-After": "0.1"})
        if kind == "broken":
            return web.json_response(error, status=500)
        if kind == "hang":
            await asyncio.sleep(5)
            return web.json_response(error, status=500)
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Content-Length": "900"}
        )
        await response.prepare(request)
        await response.write(json.dumps({"id": "c", "choices": []})[:20].encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    async def count(self, request: web.Request) -> web.Response:
        return web.Response(text=str(self.delivered))


async def serve(problems: int, faults: float) -> None:
    flaky = Flaky(problems, faults)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", flaky.complete)
    app.router.add_get("/delivered", flaky.count)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2])))
