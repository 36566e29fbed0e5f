"""Which shard reads which camera: small groups of one model each, as still as they can be."""

from collections import Counter, defaultdict
from collections.abc import Mapping

from stages.values import CameraId

Assignment = dict[CameraId, str]


def assign(groups: Mapping[CameraId, str], size: int, previous: Mapping[CameraId, str] | None = None) -> Assignment:
    """Camera -> shard name, `<group>-<n>`; `groups` says which group (a model's name) each camera belongs to.

    No shard holds more than `size` cameras or two groups. A camera moves only if its group changed or its shard must
    shrink; so cameras that come and go disturb nobody. New cameras even out what is there: five with size 4 make 3 + 2.
    """
    if size < 1:
        raise ValueError(f"a shard holds at least one camera, not {size}")
    placed: Assignment = {}
    for group in sorted(set(groups.values())):
        members = sorted(camera for camera, its in groups.items() if its == group)
        placed |= _assign_group(group, members, size, previous or {})
    return placed


def members_of(assignment: Mapping[CameraId, str]) -> dict[str, tuple[CameraId, ...]]:
    """Shard -> its cameras, both in the order of their names."""
    shards: defaultdict[str, list[CameraId]] = defaultdict(list)
    for camera, shard in sorted(assignment.items()):
        shards[shard].append(camera)
    return {shard: tuple(cameras) for shard, cameras in sorted(shards.items())}


def _assign_group(group: str, members: list[CameraId], size: int, previous: Mapping[CameraId, str]) -> Assignment:
    kept: Assignment = {}
    load: Counter[str] = Counter()
    for camera in members:
        shard = previous.get(camera)
        if shard is not None and _is_of(shard, group) and load[shard] < size:
            kept[camera] = shard
            load[shard] += 1
    _open_shards(group, load, wanted=-(-len(members) // size))
    for camera in members:
        if camera not in kept:
            shard = min(load, key=lambda name: (load[name], _number_of(name)))
            kept[camera] = shard
            load[shard] += 1
    return kept


def _open_shards(group: str, load: Counter[str], wanted: int) -> None:
    number = 1
    while len(load) < wanted:
        load.setdefault(f"{group}-{number}", 0)
        number += 1


def _is_of(shard: str, group: str) -> bool:
    name, _, number = shard.rpartition("-")
    return name == group and number.isdecimal()


def _number_of(shard: str) -> int:
    return int(shard.rpartition("-")[2])
