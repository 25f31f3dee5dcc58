"""Plain peers of the endpoint: FastAPI over transformers.generate, alone or naively batched.

python tests/bench/serving_peers.py --student DIR --port N --batch 1|16
Greedy decoding and the project's own sandbox, as the endpoint's strategy greedy does.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from torch.nn.utils.rnn import pad_sequence

from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Limits, Sandbox
from pad_ray.students.card import format_source
from pad_ray.students.models import Student, load_student, tokenise_source

WAIT_S = 0.02


class Question(BaseModel):
    question: str


class Peer:
    """Takes what waits, at most `batch` questions, and answers them together."""

    def __init__(self, student: Student, batch: int, longest: int) -> None:
        self._student, self._batch, self._longest = student, batch, longest
        self._sandbox = Sandbox(Limits(cpu_s=1))
        self._waiting: asyncio.Queue[tuple[str, asyncio.Future[Any]]] = asyncio.Queue()

    async def answer(self, question: str) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._waiting.put((question, future))
        return await future

    async def run(self) -> None:
        while True:
            taken = [await self._waiting.get()]
            if self._batch > 1:
                await asyncio.sleep(WAIT_S)
            while len(taken) < self._batch and not self._waiting.empty():
                taken.append(self._waiting.get_nowait())
            answers = await asyncio.to_thread(self._solve, [question for question, _ in taken])
            for (_, future), found in zip(taken, answers, strict=True):
                if not future.done():
                    future.set_result(found)

    @torch.inference_mode()
    def _solve(self, questions: list[str]) -> list[Any]:
        tokenizer, model = self._student.tokenizer, self._student.model
        ids = [
            torch.tensor(tokenise_source(tokenizer, format_source(q, "program"), False))
            for q in questions
        ]
        pad = tokenizer.pad_token_id
        inputs = pad_sequence(ids, batch_first=True, padding_value=pad, padding_side="left")
        lengths = torch.tensor([len(one) for one in ids])
        mask = torch.arange(inputs.shape[1]) >= inputs.shape[1] - lengths[:, None]
        found = model.generate(
            input_ids=inputs,
            attention_mask=mask.long(),
            max_new_tokens=self._longest,
            do_sample=False,
            pad_token_id=pad,
        )
        texts = tokenizer.batch_decode(found[:, inputs.shape[1] :], skip_special_tokens=True)
        programs = [extract_program(text) or "" for text in texts]
        return [outcome.value for outcome in self._sandbox.run(programs)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--student", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--longest", type=int, default=256)
    given = parser.parse_args()
    torch.set_num_threads(1)
    peer = Peer(load_student(given.student), given.batch, given.longest)
    app = FastAPI()

    @app.post("/v1/solve")
    async def solve(body: Question) -> dict[str, Any]:
        return {"answer": await peer.answer(body.question)}

    @app.on_event("startup")
    async def start() -> None:
        app.state.task = asyncio.create_task(peer.run())

    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
