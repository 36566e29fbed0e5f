"""What the configuration says of replicas is what Serve is told."""

from __future__ import annotations

import pickle

from pipeline.app import _detect_replicas
from pipeline.deployments.scaling import ReplicaCount
from pipeline.orchestrate.graph_settings import DetectScaling, GraphSettings


def test_a_number_of_detect_replicas_is_a_number() -> None:
    assert _detect_replicas(GraphSettings(detect_replicas=3)) == {"num_replicas": 3}


def test_others_follow_our_policy_between_their_bounds() -> None:
    scaling = DetectScaling(min=2, max=5, target_queued_frames=8)
    told = _detect_replicas(GraphSettings(detect_replicas=scaling))["autoscaling_config"]
    assert (told.min_replicas, told.max_replicas) == (2, 5)
    policy = pickle.loads(pickle.dumps(told.policy)).get_policy()  # as Serve's controller has it
    assert policy.__name__ == ReplicaCount.__name__
    assert policy(**told.policy.policy_kwargs).decide([], 1, 1, 0.0) == 2
