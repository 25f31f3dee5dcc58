"""The Serve application: an ingress over solver replicas."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application

from pad_ray.base.config import validate
from pad_ray.serving.app import SOLVER, serve_app
from pad_ray.serving.replica import replica_class
from pad_ray.serving.settings import ServingSettings
from pad_ray.serving.tracing import check_tracing

# Beyond a request's own deadline, for the answer to get out.
_GRACE_S = 10.0


def build(args: ServingSettings | dict[str, Any]) -> Application:
    """Return the application: `import_path: pad_ray.serving:build`, settings as `args`.

    Raises `ConfigError` that names every field at fault.
    """
    settings = args if isinstance(args, ServingSettings) else validate(ServingSettings, args)
    check_tracing(settings.tracing)

    def make_app() -> FastAPI:
        return serve_app(settings)

    ingress = serve.ingress(make_app)()
    front: Any = serve.deployment(ingress, name="ingress", **_ingress_options(settings))
    solver: Any = serve.deployment(
        replica_class(settings), name=SOLVER, **_solver_options(settings)
    )
    application: Application = front.bind(solver.bind(settings))
    return application


def _solver_options(settings: ServingSettings) -> dict[str, Any]:
    # As many as there are rows for, and twice as many that wait: whoever comes then is told to
    # come again, instead of waiting for many times what an answer takes.
    together = max(
        4, settings.max_rows // settings.students[settings.default_student].search.rows_at_work
    )
    defaults: dict[str, Any] = {
        "max_ongoing_requests": together,
        "max_queued_requests": 2 * together,
        "ray_actor_options": {"num_cpus": settings.threads},
        "health_check_period_s": 10,
        "health_check_timeout_s": 30,
        "graceful_shutdown_timeout_s": settings.deadline_s + _GRACE_S,
        "graceful_shutdown_wait_loop_s": 1,
    }
    if "num_replicas" not in settings.solver:
        defaults["autoscaling_config"] = {
            "min_replicas": 1,
            "max_replicas": 4,
            "target_ongoing_requests": together // 2,
            "upscale_delay_s": 5,
            "downscale_delay_s": 60,
        }
    return {**defaults, **settings.solver}


def _ingress_options(settings: ServingSettings) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "num_replicas": 1,
        "max_ongoing_requests": 1000,
        "ray_actor_options": {"num_cpus": 0.1},
        "graceful_shutdown_timeout_s": settings.deadline_s + _GRACE_S,
        "graceful_shutdown_wait_loop_s": 1,
    }
    return {**defaults, **settings.ingress}
