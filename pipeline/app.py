"""The graph, bound in one place; reading `build_app` is reading the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, BackpressureConfig
from ray.serve.experimental.consistent_hash_router import ConsistentHashRouter

from pipeline.control.problems import TRY_AGAIN_S
from pipeline.deployments.api import API, ApiReplica
from pipeline.deployments.detect import BATCHES_AT_ONCE, DetectDeployment
from pipeline.deployments.fused import FusedDeployment
from pipeline.deployments.near_router import NearRouter
from pipeline.deployments.preprocess import PreprocessDeployment
from pipeline.deployments.scaling import ReplicaCount
from pipeline.deployments.serve_graph import PREPROCESS, TRACK, detect_deployment
from pipeline.deployments.track import TrackDeployment
from pipeline.orchestrate.graph_settings import DetectScaling, GraphSettings

if TYPE_CHECKING:
    from ray.serve import Application, Deployment

    from pipeline.config import RaylineConfig
    from pipeline.control.settings import ApiSettings


def _path(named: type) -> str:
    return f"{named.__module__}:{named.__name__}"


STICKY: dict[str, Any] = {
    "request_router_class": _path(ConsistentHashRouter),
    "request_router_kwargs": {"num_fallback_replicas": 0},
}
# As many wait as are worked on: what is behind that would wait for longer than the network takes.
NEAR: dict[str, Any] = {
    "request_router_class": _path(NearRouter),
    "request_router_kwargs": {"most_calls": 2 * BATCHES_AT_ONCE},
}
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
            request_router_config=NEAR,
        ).bind({name: model.image_size for name, model in models.items()}, graph.stall_timeout_s, config.observe)
    detect = {
        name: _deployment(
            fused_wrapper if graph.is_fused else detect_wrapper,
            name=detect_deployment(name),
            max_ongoing_requests=max(calls_at_once, BATCHES_AT_ONCE * model.max_batch),
            ray_actor_options={"num_cpus": graph.detect_cpus, "num_gpus": graph.detect_gpus},
            request_router_config=NEAR,
            **_detect_replicas(graph),
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
        request_router_config=STICKY,
    ).bind(
        config.redis_settings(),
        config.snapshots,
        graph.stall_timeout_s,
        {**before, **detect},
        config.observe,
        config.spool,
        previews=config.previews,
    )


def build_api(config: RaylineConfig, settings: ApiSettings) -> Application:
    """The HTTP API: an application of its own, whose failing or redeploying touches no camera."""
    return _deployment(
        serve.ingress()(ApiReplica),
        name=API,
        num_replicas=settings.replicas,
        # Requests that wait for a picture or a stream's next message hold a place too.
        max_ongoing_requests=settings.max_requests,
        max_queued_requests=settings.max_requests,
        backpressure_config=BackpressureConfig(retry_after_s=TRY_AGAIN_S),
        ray_actor_options={"num_cpus": config.graph.api_cpus},
    ).bind(
        settings,
        config.redis_settings(),
        config.models_in_use(),
        config.graph.is_fused,
        config.observe,
        config.history_settings(),
        config.snapshots,
    )


def _detect_replicas(graph: GraphSettings) -> dict[str, Any]:
    """So many, or as many as there is work for: Serve asks our policy, which counts frames where Serve counts calls."""
    scaling = graph.detect_replicas
    if not isinstance(scaling, DetectScaling):
        return {"num_replicas": scaling}
    policy = AutoscalingPolicy(  # type: ignore[no-untyped-call]
        policy_function=_path(ReplicaCount), policy_kwargs=scaling.model_dump()
    )
    # Replicas tell their load once a second; the delays are the policy's own.
    return {
        "autoscaling_config": AutoscalingConfig(
            min_replicas=scaling.min,
            max_replicas=scaling.max,
            metrics_interval_s=1.0,
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            policy=policy,
        )
    }


def _deployment(wrapper: type, **options: Any) -> Deployment:
    deployment: Deployment = serve.deployment(**options, **EVERY_REPLICA)(wrapper)
    return deployment
