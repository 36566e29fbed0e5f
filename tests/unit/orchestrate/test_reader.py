"""A reader that fails rests before it is started again, longer each time."""

from pipeline.orchestrate.reader import LONGEST_REST_S, STEADY_S, Reader


def test_each_failure_soon_after_another_doubles_the_rest_to_a_limit() -> None:
    now, rests = 1000.0, []
    reader = Reader(object(), began_at=now)
    for _ in range(7):
        place = reader.resting("it died", now)
        rests.append(place.begin_at - now)
        now = place.begin_at
        reader = place.again(object(), place.last_error)
        reader.began_at = now
    assert rests == [1, 2, 4, 8, 16, LONGEST_REST_S, LONGEST_REST_S]
    assert reader.restarts == 7


def test_one_that_died_is_started_at_once_and_rests_where_it_dies_again_soon() -> None:
    place = Reader(object(), began_at=1000.0).resting("it died", 1001.0, is_dead=True)
    assert (place.begin_at, place.last_error) == (1001.0, "it died; started again at once")
    again = place.again(object(), place.last_error)
    assert again.resting("it died", again.began_at + 1, is_dead=True).begin_at == again.began_at + 1 + 2


def test_one_that_lived_for_long_rests_shortly_again() -> None:
    reader = Reader(object(), began_at=1000.0, failures=6)
    assert reader.resting("it died", 1000.0 + STEADY_S).begin_at == 1000.0 + STEADY_S + 1


def test_while_it_rests_the_report_says_so_and_why() -> None:
    place = Reader(object(), began_at=1000.0).resting("it died", 1001.0)
    assert (place.state, place.actor) == ("resting", None)
    assert place.last_error == "it died; started again in 1 s"
    assert place.again(object(), place.last_error).state == "starting"


def test_one_that_moves_has_not_failed() -> None:
    place = Reader(object(), began_at=1000.0, restarts=2, failures=1).moving("node-b", 1001.0)
    assert (place.state, place.to_node, place.last_error) == ("moving", "node-b", None)
    reader = place.again(object(), place.last_error)
    assert (reader.restarts, reader.failures, reader.state, reader.to_node) == (2, 1, "starting", "")
