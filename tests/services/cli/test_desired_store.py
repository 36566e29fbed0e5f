"""Changes to the desired state never overwrite each other unseen."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis

from pipeline.config import config_of_data
from pipeline.config_errors import ConfigError
from pipeline.orchestrate.desired_store import DesiredConflict, DesiredError, DesiredStore, NothingDesired, at_version
from stages.values import CameraId
from tests.unit.config.site import SITE, config_from, site

pytestmark = pytest.mark.services


@pytest.fixture
async def client(url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(url) as client:
        await client.flushdb()
        yield client


@pytest.fixture
async def store(client: Redis) -> DesiredStore:
    store = DesiredStore(client)
    await store.publish(config_from(SITE))
    return store


async def test_changes_at_once_all_come_in(store: DesiredStore) -> None:
    changes = [store.set("gate", {key: value}) for key, value in (("fps", 5), ("threads", 2), ("buffer_frames", 7))]
    changes += [store.pause("cam-1"), store.remove("cam-2")]
    after = await asyncio.gather(*changes)
    assert sorted(state.version for state in after) == [2, 3, 4, 5, 6]
    state = await store.read()
    gate = state.config.cameras["gate"]
    assert (gate.fps, gate.threads, gate.buffer_frames) == (5, 2, 7)
    assert state.is_paused("cam-1")
    assert state.removed() == ("cam-2",)


async def test_what_nobody_changed_is_the_very_same_state(store: DesiredStore) -> None:
    before = await store.read()
    assert await store.read() is before
    await store.pause("gate")
    assert (await store.read()).is_paused("gate")


async def test_a_camera_that_was_added_and_has_come_into_the_file_is_removed_all_the_same(store: DesiredStore) -> None:
    await store.add("new", {"url": "rtsp://192.0.2.9/1", "recipe": (await store.read()).config.cameras["gate"].recipe})
    await store.publish((await store.read()).config)
    await store.remove("new")
    assert "new" not in (await store.read()).config.cameras


async def test_a_restart_is_another_one_each_time_and_differs_from_the_file_in_nothing(store: DesiredStore) -> None:
    first = (await store.restart("gate")).restart_of(CameraId("gate"))
    second = (await store.restart("gate")).restart_of(CameraId("gate"))
    assert first != second != ""
    assert (await store.read()).kind(CameraId("gate")) is None
    with pytest.raises(DesiredError, match="nothing to reset"):
        await store.reset("gate")
    await store.set("gate", {"fps": 5})
    state = await store.reset("gate")
    assert (state.kind(CameraId("gate")), state.restart_of(CameraId("gate"))) == (None, second)
    await store.pause("gate")
    with pytest.raises(DesiredError, match="is paused: resume it"):
        await store.restart("gate")


async def test_a_restart_of_a_camera_that_the_next_file_names_no_more_is_no_problem_of_it(store: DesiredStore) -> None:
    await store.restart("gate")
    config = (await store.read()).config
    await store.publish(config.with_cameras({name: its for name, its in config.cameras.items() if name != "gate"}))
    state = await store.read()
    assert ("gate" in state.config.cameras, state.problems) == (False, {})


async def test_a_change_of_what_has_changed_since_is_refused(store: DesiredStore) -> None:
    seen = await store.version()
    await store.pause("gate", expect=at_version(seen))
    with pytest.raises(DesiredConflict, match="it is 2 by now"):
        await store.remove("gate", expect=at_version(seen))
    assert (await store.read()).is_paused("gate")


async def test_a_state_that_never_rests_is_given_up_and_not_overwritten(store: DesiredStore, url: str) -> None:
    with SyncRedis.from_url(url) as other:

        def disturb() -> float:
            """Somebody else's change, between our look and our write."""
            other.hincrby("rayline:desired", "version", 1)
            return 0.0

        restless = DesiredStore(store._redis, clock=disturb)
        with pytest.raises(DesiredConflict, match="try again"):
            await restless.pause("gate")
    assert (await store.read()).overrides == {}


async def test_the_file_comes_back_as_it_was_published(store: DesiredStore) -> None:
    assert (await store.read()).file == config_from(SITE)


async def test_a_reader_may_bring_its_own_file(store: DesiredStore) -> None:
    await store.pause("gate")
    own = config_from(SITE.replace("fps: 15", "fps: 3"))
    state = await store.read(own)
    assert state.config.cameras["cam-1"].fps == 3
    assert state.is_paused("gate")


async def test_an_override_that_cannot_be_read_is_told(store: DesiredStore, client: Redis) -> None:
    await client.hset("rayline:desired", "camera:gate", "{broken")
    state = await store.read()
    assert "cannot be read" in state.problems["gate"]
    assert "gate" in state.config.cameras


async def test_an_empty_redis_desires_nothing(client: Redis) -> None:
    store = DesiredStore(client)
    assert await store.version() == 0
    with pytest.raises(NothingDesired, match="rayline up"):
        await store.read()


async def test_each_up_is_a_run_of_its_own_that_changes_do_not_touch(store: DesiredStore) -> None:
    first = (await store.read()).run_id
    assert len(first) == 32
    await store.pause("gate")
    assert (await store.read()).run_id == first
    await store.publish(config_from(SITE))
    assert (await store.read()).run_id not in ("", first)


async def test_a_camera_of_a_model_that_does_not_run_is_refused(client: Redis) -> None:
    idle = SITE.replace("  parts: {weights: parts.pt}", "  parts: {weights: parts.pt}\n  idle: {weights: i.pt}")
    idle = idle.replace("lines:", "  other: {model: idle}\nlines:")
    store = DesiredStore(client)
    await store.publish(config_from(idle))
    with pytest.raises(ConfigError, match="model 'idle' is not running"):
        await store.add("new", {"url": "rtsp://192.0.2.9/x", "recipe": "other"})
    assert (await store.read()).overrides == {}


async def test_what_a_redis_lost_is_put_back_as_it_was(store: DesiredStore, client: Redis) -> None:
    await store.pause("cam-1")
    await store.set("gate", {"fps": 5})
    before = await store.read()
    await client.flushdb()
    await store.restore(before)
    assert await store.read() == before


async def test_what_was_desired_meanwhile_is_not_put_back_over(store: DesiredStore, client: Redis) -> None:
    await store.pause("cam-1")
    before = await store.read()
    await client.flushdb()
    await store.publish(config_from(SITE))
    await store.restore(before)
    after = await store.read()
    assert after.run_id != before.run_id
    assert not after.is_paused("cam-1")


async def test_a_change_answers_with_what_is_desired_from_then_on(store: DesiredStore) -> None:
    assert await store.set("gate", {"fps": 5}) == await store.read()
    assert await store.reset("gate") == await store.read()


async def test_the_tag_of_a_camera_changes_with_it_alone(store: DesiredStore) -> None:
    first = await store.read()
    changed = await store.set("gate", {"fps": 5})
    assert changed.tag("gate") != first.tag("gate")
    assert changed.tag("cam-1") == first.tag("cam-1")
    again = await store.set("gate", {"fps": 5})
    assert again.tag("gate") != changed.tag("gate")
    assert (await store.reset("gate")).tag("gate") == first.tag("gate")
    await store.publish(config_from(SITE))
    assert (await store.read()).tag("gate") != first.tag("gate")


async def test_a_store_that_has_looked_sees_what_one_that_has_not_sees(store: DesiredStore, client: Redis) -> None:
    await store.read()
    await store.set("gate", {"fps": 5})
    assert await store.read() == await DesiredStore(client).read()
    await store.publish(config_from(SITE.replace("fps: 15", "fps: 3")))
    assert (await store.read()).config.cameras["cam-1"].fps == 3


async def test_a_lines_recipe_is_for_the_cameras_that_take_it_from_the_line(store: DesiredStore) -> None:
    state = await store.set_recipe("filling", "watch")
    cameras = state.cameras
    assert (cameras[CameraId("cam-1")].recipe_name, state.config.lines["filling"].recipe) == ("watch", "watch")
    change = state.line_change("cam-1")
    assert change is not None
    assert (change.before, change.recipe, len(change.change_id)) == ("check", "watch", 16)
    assert state.line_change("cam-2") is None  # it names its own
    assert state.line_change("gate") is None
    assert (await store.set_recipe("filling", "watch")).version == state.version  # desired already
    back = await store.reset_recipe("filling")
    assert back.config.lines["filling"].recipe == "check"
    again = back.line_change("cam-1")
    assert again is not None
    assert (again.before, again.recipe, again.change_id != change.change_id) == ("watch", None, True)
    with pytest.raises(DesiredError, match="nothing to reset"):
        await store.reset_recipe("filling")


async def test_lines_and_models_that_cannot_be_changed_so_are_refused(store: DesiredStore) -> None:
    with pytest.raises(ConfigError, match="did you mean 'watch'"):
        await store.set_recipe("filling", "wach")
    with pytest.raises(DesiredError, match="did you mean 'filling'"):
        await store.set_recipe("fillin", "watch")
    with pytest.raises(DesiredError, match="names no recipe"):
        await store.set_recipe("gate", "check")
    with pytest.raises(ConfigError, match="cannot be changed while the model runs"):
        await store.set_thresholds("parts", {"weights": "other.pt"})
    with pytest.raises(ConfigError, match=r"models\.parts\.min_score"):
        await store.set_thresholds("parts", {"min_score": 7})
    assert await store.version() == 1


async def test_another_models_recipe_is_no_changeover(client: Redis) -> None:
    data = site()
    data["models"]["people"] = {"weights": "people.pt"}
    data["recipes"]["people"] = {"model": "people"}
    data["cameras"]["gate"]["recipe"] = "people"  # it runs
    store = DesiredStore(client)
    await store.publish(config_of_data(data))
    with pytest.raises(ConfigError, match="rolling out another model is another command"):
        await store.set_recipe("filling", "people")


async def test_a_lost_redis_gets_the_changes_of_lines_and_models_back(client: Redis, store: DesiredStore) -> None:
    await store.set_recipe("filling", "watch")
    state = await store.set_thresholds("parts", {"min_score": 0.5, "iou": 0.4})
    await client.flushdb()
    await store.restore(state)
    put_back = await store.read()
    assert put_back.config == state.config
    assert put_back.base == state.base
    assert put_back.config.models["parts"].min_score == 0.5


async def test_changes_of_lines_and_models_that_no_longer_fit_the_file_are_told_and_left_out(
    client: Redis, store: DesiredStore
) -> None:
    await store.set_recipe("filling", "watch")
    await store.set_thresholds("parts", {"min_score": 0.5})
    data = site()
    data["recipes"]["guard"] = data["recipes"].pop("watch")
    data["cameras"]["cam-2"]["recipe"] = data["cameras"]["gate"]["recipe"] = "guard"
    await store.publish(config_of_data(data))
    await client.hset("rayline:desired", "line:packing", "{}")
    await client.hset("rayline:desired", "model:parts", '{"changed": {"min_score": "a lot"}}')
    state = await store.read()
    assert state.config.lines["filling"].recipe == "check"
    assert state.line_change("cam-1") is None
    assert "there is no recipe 'watch'" in state.base_problems["line filling"]
    assert "names this line no more" in state.base_problems["line packing"]
    assert "cannot be read" in state.base_problems["model parts"]
    assert (await store.set_thresholds("parts", {"min_score": 0.3})).base_problems.keys() == {
        "line filling",
        "line packing",
    }
