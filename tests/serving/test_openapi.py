"""Schemathesis plays the OpenAPI document: no server error, only documented statuses."""

from __future__ import annotations

import pytest
import schemathesis
from endpoints import KEY, Endpoint
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import status_code_conformance

# A budget may end before a program is finished.
ALLOWED_LATE = {504}
# Schemathesis itself would wait for 10 s, and an answer may take its deadline, which is 30.
PATIENCE_S = 90


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/v1/solve", "/v1/solve/batch", "/v1/chat/completions"])
def test_generated_requests_meet_no_server_error(endpoint: Endpoint, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{endpoint.url}/openapi.json")
    operation = schema[path]["POST"]

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def play(case: schemathesis.Case) -> None:
        response = case.call(headers={"Authorization": f"Bearer {KEY}"}, timeout=PATIENCE_S)
        if response.status_code not in ALLOWED_LATE:
            checks = [not_a_server_error, status_code_conformance]
            case.validate_response(response, checks=checks)

    play()
