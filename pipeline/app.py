"""The graph, bound in one place; reading `build_app` is reading the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from pipeline.deployments.detect import BATCHES_AT_ONCE, DetectDeployment
from pipeline.deployments.fused import FusedDeployment
from pipeline.deployments.preprocess import PreprocessDeployment
from pipeline.deployments.serve_graph import PREPROCESS, TRACK, detect_deployment
from pipeline.deployments.track import TrackDeployment

if TYPE_CHECKING:
    from ray.serve import Application, Deployment

    from pipeline.config import RaylineConfig

ROUTER = f"{ConsistentHashRouter.__module__}:{ConsistentHashRouter.__name__}"
EVERY_REPLICA: dict[str, Any] = {
    "health_check_period_s": 1.0,
    # Three in a row must fail: a replica that answers none, for it is frozen or holds the interpreter, has 6 s.
    "health_check_timeout_s": 2.0,
    # The ingest actors have stopped before: nothing is under way that would be worth a longer wait.
    "graceful_shutdown_wait_loop_s": 0.1,
    "graceful_shutdown_timeout_s": 2.0,
}


def build_app(
    config: RaylineConfig, detect_wrapper: type = DetectDeployment, fused_wrapper: type = FusedDeployment
) -> Application:
    """preprocess -> one detect per model -> track, for the models that cameras of `config` use.

    Fused, detect does what preprocess would.
    """
    graph = config.graph
    models = config.models_in_use()
    # Every shard may have max_in_flight batches here, and full batches form only if all of them are let in.
    calls_at_once = max(4, config.shard_count() * graph.max_in_flight)
    before: dict[str, Application] = {}
    if not graph.is_fused:
        before[PREPROCESS] = _deployment(
            PreprocessDeployment,
            name=PREPROCESS,
            num_replicas=graph.preprocess_replicas,
            max_ongoing_requests=calls_at_once,
            ray_actor_options={"num_cpus": graph.preprocess_cpus},
        ).bind({name: model.image_size for name, model in models.items()}, graph.stall_timeout_s, config.observe)
    detect = {
        name: _deployment(
            fused_wrapper if graph.is_fused else detect_wrapper,
            name=detect_deployment(name),
            num_replicas=graph.detect_replicas,
            max_ongoing_requests=max(calls_at_once, BATCHES_AT_ONCE * model.max_batch),
            ray_actor_options={"num_cpus": graph.detect_cpus, "num_gpus": graph.detect_gpus},
        ).bind(name, model, graph.stall_timeout_s, config.observe)
        for name, model in models.items()
    }
    # Stateless stages scale; a tracker must see its camera's frames all and in order, so a shard stays on one replica:
    # strict consistent hashing, no fallback. Order itself is the ingest actor's job.
    return _deployment(
        TrackDeployment,
        name=TRACK,
        num_replicas=graph.track_replicas,
        max_ongoing_requests=calls_at_once,
        ray_actor_options={"num_cpus": graph.track_cpus},
        request_router_config={"request_router_class": ROUTER, "request_router_kwargs": {"num_fallback_replicas": 0}},
    ).bind(
        config.redis_settings(),
        config.snapshots,
        graph.stall_timeout_s,
        {**before, **detect},
        config.observe,
        config.spool,
    )


def _deployment(wrapper: type, **options: Any) -> Deployment:
    deployment: Deployment = serve.deployment(**options, **EVERY_REPLICA)(wrapper)
    return deployment
