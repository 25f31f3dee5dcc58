"""Reading on from a cache: what students and verifiers share."""

from pad_ray.inference.rows import Rows, next_token_logits

__all__ = ["Rows", "next_token_logits"]
