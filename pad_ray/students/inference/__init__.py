"""Reading on from a cache: what students and verifiers share."""

from pad_ray.students.inference.rows import Rows, all_logits, last_states, next_token_logits
from pad_ray.students.inference.understood import check_understood

__all__ = ["Rows", "all_logits", "check_understood", "last_states", "next_token_logits"]
