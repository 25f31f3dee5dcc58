"""What the endpoint answers when it cannot answer: one shape, one status each."""

from __future__ import annotations

from dataclasses import dataclass

OVERLOADED = "overloaded"


@dataclass
class ApiError(Exception):
    """An error for the client.

    status: 400 a field that means nothing here, 401, 413, 422, 429, 503 or 504.
    """

    status: int
    message: str
    type: str
    param: str | None = None
    code: str | None = None
    retry_after_s: float | None = None

    def fields(self) -> dict[str, str | None]:
        """Return what the client reads of it."""
        return {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }

    def body(self) -> dict[str, object]:
        """Return the response's JSON."""
        return {"error": self.fields()}

    def __reduce__(self) -> tuple[object, ...]:
        fields = (self.status, self.message, self.type, self.param, self.code, self.retry_after_s)
        return type(self), fields


def bad_field(param: str, message: str) -> ApiError:
    """Return the error of a field with a value that cannot be served."""
    return ApiError(400, message, "invalid_request_error", param)


def no_key(message: str) -> ApiError:
    """Return the error of a missing or unknown key."""
    return ApiError(401, message, "authentication_error", code="invalid_api_key")


def too_large(limit_kb: int) -> ApiError:
    """Return the error of a body over the limit."""
    message = f"the request body is over {limit_kb} kB"
    return ApiError(413, message, "invalid_request_error", code="request_too_large")


def too_often(wait_s: float) -> ApiError:
    """Return the error of a key that has used up its rate."""
    return ApiError(
        429, "this key asks too often", "rate_limit_error", code="rate_limit", retry_after_s=wait_s
    )


def overloaded(message: str = "all replicas are busy", wait_s: float = 1.0) -> ApiError:
    """Return the error of a request that no replica can take now."""
    return ApiError(503, message, "overloaded_error", code=OVERLOADED, retry_after_s=wait_s)


def out_of_time(deadline_s: float) -> ApiError:
    """Return the error of a search that found nothing in time."""
    message = f"no program was finished within {deadline_s:g} s"
    return ApiError(504, message, "timeout_error", "budget_s", "out_of_time")
