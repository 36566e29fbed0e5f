"""Sessions are bounded in number and time, and forms belong to who was given them."""

from __future__ import annotations

import pytest

from pipeline.control.access.roles import Principal, Role
from pipeline.dashboard.login import HOME, place_of
from pipeline.dashboard.session import Forms, Sessions

ANNA = Principal("anna", Role.VIEWER)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_ends_when_its_time_is_up() -> None:
    clock = Clock()
    sessions = Sessions(1.0, 10, clock)
    session_id, session = sessions.begin(ANNA, "rl_x")
    clock.now += 3599
    assert sessions.find(session_id) is session
    clock.now += 1
    assert sessions.all() == {}
    assert session.over.is_set()
    assert sessions.find(session_id) is None


def test_the_one_longest_not_used_goes_first() -> None:
    sessions = Sessions(1.0, 2)
    first, _ = sessions.begin(ANNA, "1")
    second, gone = sessions.begin(ANNA, "2")
    assert sessions.find(first) is not None
    third, _ = sessions.begin(ANNA, "3")
    assert set(sessions.all()) == {first, third}
    assert gone.over.is_set()
    assert second != third


def test_a_page_that_stands_open_is_use_though_it_asks_for_nothing() -> None:
    sessions = Sessions(1.0, 2)
    wall, on_the_wall = sessions.begin(ANNA, "1")
    with sessions.page_open(wall, on_the_wall):
        sessions.begin(ANNA, "2")
        third, _ = sessions.begin(ANNA, "3")
        assert sessions.all().keys() == {wall, third}
    fourth, _ = sessions.begin(ANNA, "4")  # it was open a moment ago
    assert sessions.all().keys() == {wall, fourth}


def test_who_logs_in_is_let_in_also_where_every_other_login_has_an_open_page() -> None:
    sessions = Sessions(1.0, 1)
    first, wall = sessions.begin(ANNA, "1")
    with sessions.page_open(first, wall):
        second, _ = sessions.begin(ANNA, "2")
        assert sessions.all().keys() == {second}
        assert wall.over.is_set()


def test_what_somebody_logged_in_with_is_not_shown() -> None:
    session_id, session = Sessions(1.0, 2).begin(ANNA, "rl_hunter2")
    assert "hunter2" not in repr(session)
    assert session_id not in repr(session)


def test_a_forms_token_is_good_for_its_cookie_alone() -> None:
    forms = Forms()
    token = forms.token("a")
    assert forms.is_ours("a", token)
    assert not forms.is_ours("b", token)
    assert not forms.is_ours(None, token)
    assert not forms.is_ours("a", "")
    assert not Forms().is_ours("a", token)


@pytest.mark.parametrize("given", ["é" * 64, "\ud800"], ids=["letters of elsewhere", "half a letter"])
def test_a_token_of_any_signs_is_only_not_ours(given: str) -> None:
    forms = Forms()
    assert not forms.is_ours("a", given)
    assert not forms.is_ours(given, forms.token("a"))


@pytest.mark.parametrize(
    ("following", "place"),
    [
        pytest.param("/inspections/a:1?x=2", "/inspections/a:1?x=2", id="one of ours"),
        pytest.param(None, HOME, id="none"),
        pytest.param("https://elsewhere.example/", HOME, id="another site"),
        pytest.param("//elsewhere.example/", HOME, id="another site, of this scheme"),
        pytest.param("/\\elsewhere.example", HOME, id="what browsers take for that"),
        pytest.param("/\t/elsewhere.example", HOME, id="what browsers leave out"),
        pytest.param("lines", HOME, id="relative"),
        pytest.param("/logout", HOME, id="out again"),
    ],
)
def test_a_login_goes_on_to_our_own_pages(following: str | None, place: str) -> None:
    assert place_of(following) == place
