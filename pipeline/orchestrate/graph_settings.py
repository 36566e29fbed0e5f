"""How the graph is cut into processes: shards, replicas, and the share of a machine each asks for."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator

from pipeline.ingest.carrier import CarrierSettings
from stages.settings import Settings


class Topology(StrEnum):
    """Which stages share a process."""

    AUTO = "auto"
    SPLIT = "split"
    FUSED = "fused"


class DetectScaling(Settings):
    """Detect replicas that follow the frames waiting for them, in place of a fixed number."""

    min: int = Field(
        1,
        ge=1,
        le=64,
        description="Replicas per model that always run. More are ready for a sudden load; fewer leave cores and GPUs "
        "to others while there is none.",
    )
    max: int = Field(
        ge=1,
        le=64,
        description="Replicas per model at most; room for all of them is asked for at the start. More carry a higher "
        "load; beyond this number live cameras drop their oldest frames, and files and topics wait.",
    )
    target_queued_frames: float = Field(
        16.0,
        gt=0,
        le=4096,
        description="Frames a replica may have, waiting and being worked on. Fewer add replicas sooner and keep frames "
        "younger; more fill batches better. Files and topics show max_in_flight x max_batch frames a shard at most.",
    )
    up_after_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="Seconds replicas must be missing before they are added, all at once. Shorter follows a load step "
        "sooner; longer sits out bursts.",
    )
    down_after_s: float = Field(
        60.0,
        ge=1,
        le=86400,
        description="Seconds one must be too many before it goes, and before the next one does. Shorter frees machines "
        "sooner; shorter than the pauses of the load stops and starts replicas all day.",
    )

    @field_validator("max")
    @classmethod
    def _not_below_min(cls, most: int, info: ValidationInfo) -> int:
        if most < info.data.get("min", 1):
            raise ValueError(f"{most} is less than `min`, {info.data['min']}")
        return most


_REPLICAS = Field(ge=1, le=64)


def _kind_of_replicas(value: Any) -> str:
    return "scaling" if isinstance(value, dict | DetectScaling) else "number"


class GraphSettings(CarrierSettings):
    """Sizes of the graph. The defaults fit two cores and four cameras."""

    shard_size: int = Field(
        8,
        ge=1,
        le=32,
        description="Cameras one ingest process reads. More share a batch and a process, which costs less memory and "
        "CPU; a crash takes more cameras with it for the seconds it lasts, and beyond what one process decodes they "
        "starve each other: 8 of 640x360 at 30 frames/s are well below that.",
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
    detect_replicas: Annotated[
        Annotated[int, _REPLICAS, Tag("number")] | Annotated[DetectScaling, Tag("scaling")],
        Discriminator(_kind_of_replicas),
    ] = Field(
        1,
        description="Processes per model that detect: a number, or `{min, max}` to follow the frames that wait. One "
        "per GPU, or one per four to eight CPU cores; more than the machine has cores for take turns and make latency "
        "worse.",
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
        "0 sets none aside: all replicas then run on the machine's first GPU, unlimited.",
    )
    track_cpus: float = Field(0.2, gt=0, le=16, description="Cores Ray sets aside per track replica.")
    supervisor_cpus: float = Field(0.05, gt=0, le=4, description="Cores Ray sets aside for the supervisor.")
    relay_cpus: float = Field(
        0.05, gt=0, le=4, description="Cores Ray sets aside for the one process of all `relays`, where there are any."
    )
    api_cpus: float = Field(0.1, gt=0, le=16, description="Cores Ray sets aside per replica of the HTTP API, if any.")
    spread: bool = Field(
        True,
        description="true: ingest processes are spread over the machines of a cluster, by their cores, and one at a "
        "time moves when a machine has joined; a move costs live cameras some seconds. false: they stay where Ray put "
        "them until they die.",
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

    @property
    def most_detect_replicas(self) -> int:
        """Of each model, at any time."""
        return self.detect_replicas.max if isinstance(self.detect_replicas, DetectScaling) else self.detect_replicas

    def cpus_needed(self, shards: int, models: int, relays: int = 0, api_replicas: int = 0) -> float:
        """Cores the whole graph asks Ray for, at most."""
        return (
            self.supervisor_cpus
            + shards * self.ingest_cpus
            + (0.0 if self.is_fused else self.preprocess_replicas * self.preprocess_cpus)
            + models * self.most_detect_replicas * self.detect_cpus
            + self.track_replicas * self.track_cpus
            + (self.relay_cpus if relays else 0.0)
            + api_replicas * self.api_cpus
        )

    def gpus_needed(self, models: int) -> float:
        """GPUs the whole graph asks Ray for, at most."""
        return models * self.most_detect_replicas * self.detect_gpus

    def shares(self, models: int) -> list[tuple[float, float]]:
        """Cores and GPUs that a single process of each kind asks for."""
        detect = [(self.detect_cpus, self.detect_gpus)] if models else []
        preprocess = [] if self.is_fused else [(self.preprocess_cpus, 0.0)]
        others = [(cpus, 0.0) for cpus in (self.supervisor_cpus, self.ingest_cpus, self.track_cpus)]
        return [*detect, *preprocess, *others]
