"""How the graph is cut into processes: shards, replicas, and the share of a machine each asks for."""

from enum import StrEnum

from pydantic import Field

from pipeline.ingest.carrier import CarrierSettings


class Topology(StrEnum):
    """Which stages share a process."""

    AUTO = "auto"
    SPLIT = "split"
    FUSED = "fused"


class GraphSettings(CarrierSettings):
    """Sizes of the graph. The defaults fit two cores and four cameras."""

    shard_size: int = Field(
        4,
        ge=1,
        le=32,
        description="Cameras one ingest process reads. More share a batch and a process; beyond about eight the "
        "decoders starve each other, and a crash takes more cameras with it for the second it lasts.",
    )
    max_batch: int = Field(
        8,
        ge=1,
        le=128,
        description="Frames an ingest process puts into one batch at most. More cost less CPU per frame under load; "
        "fewer keep frames younger.",
    )
    topology: Topology = Field(
        Topology.AUTO,
        description="split: preprocess and detect are processes of their own, and preprocess scales by itself; fused: "
        "one process does both, which costs less CPU per frame and less memory. auto: fused, unless "
        "`preprocess_replicas` asks for several.",
    )
    preprocess_replicas: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that letterbox, where they are of their own. More only help where one is full.",
    )
    detect_replicas: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes per model that detect. One per GPU, or one per four to eight CPU cores; more than the "
        "machine has cores for take turns and make latency worse.",
    )
    track_replicas: int = Field(
        1, ge=1, le=64, description="Processes that track, judge and publish. A shard stays with one of them."
    )
    ingest_cpus: float = Field(
        0.2, gt=0, le=16, description="Cores Ray sets aside per ingest process. Placement only; nothing is throttled."
    )
    preprocess_cpus: float = Field(0.1, gt=0, le=16, description="Cores Ray sets aside per preprocess replica.")
    detect_cpus: float = Field(0.5, gt=0, le=64, description="Cores Ray sets aside per detect replica.")
    detect_gpus: float = Field(
        0.0,
        ge=0,
        le=8,
        description="GPUs Ray sets aside per detect replica: 1 for one of its own, 0.5 to share it between two, "
        "0 sets none aside: replicas then share what GPU the machine has, unlimited.",
    )
    track_cpus: float = Field(0.2, gt=0, le=16, description="Cores Ray sets aside per track replica.")
    supervisor_cpus: float = Field(0.05, gt=0, le=4, description="Cores Ray sets aside for the supervisor.")
    relay_cpus: float = Field(
        0.05, gt=0, le=4, description="Cores Ray sets aside for the one process of all `relays`, where there are any."
    )
    stall_timeout_s: float = Field(
        5.0,
        ge=1,
        le=600,
        description="Seconds after which a replica that has work and completed none of it is replaced. Shorter heals "
        "sooner; shorter than the slowest batch replaces healthy replicas for ever.",
    )

    @property
    def is_fused(self) -> bool:
        """True where detect prepares its frames itself."""
        return self.topology is Topology.FUSED or (self.topology is Topology.AUTO and self.preprocess_replicas == 1)

    def cpus_needed(self, shards: int, models: int, relays: int = 0) -> float:
        """Cores the whole graph asks Ray for."""
        return (
            self.supervisor_cpus
            + shards * self.ingest_cpus
            + (0.0 if self.is_fused else self.preprocess_replicas * self.preprocess_cpus)
            + models * self.detect_replicas * self.detect_cpus
            + self.track_replicas * self.track_cpus
            + (self.relay_cpus if relays else 0.0)
        )

    def gpus_needed(self, models: int) -> float:
        """GPUs the whole graph asks Ray for."""
        return models * self.detect_replicas * self.detect_gpus

    def shares(self, models: int) -> list[tuple[float, float]]:
        """Cores and GPUs that a single process of each kind asks for."""
        detect = [(self.detect_cpus, self.detect_gpus)] if models else []
        preprocess = [] if self.is_fused else [(self.preprocess_cpus, 0.0)]
        others = [(cpus, 0.0) for cpus in (self.supervisor_cpus, self.ingest_cpus, self.track_cpus)]
        return [*detect, *preprocess, *others]
