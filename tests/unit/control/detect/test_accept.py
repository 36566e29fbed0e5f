"""What `Accept` asks for."""

import pytest
from starlette.datastructures import Headers

from pipeline.control.routes.detect import prefers_jpeg


@pytest.mark.parametrize(
    ("accept", "jpeg"),
    [
        pytest.param(None, False, id="says nothing"),
        pytest.param("*/*", False, id="anything"),
        pytest.param("image/jpeg", True, id="a picture"),
        pytest.param("image/*, application/json;q=0.5", True, id="a picture rather"),
        pytest.param("application/json, image/jpeg;q=0.5", False, id="JSON rather"),
        pytest.param("text/html,image/avif,image/webp,*/*;q=0.8", False, id="a browser"),
        pytest.param("image/jpeg;q=nonsense", False, id="cannot be read"),
        pytest.param("image/jpeg;q=0", False, id="not at all"),
    ],
)
def test_the_jpeg_is_answered_only_to_who_prefers_it(accept: str | None, jpeg: bool) -> None:
    assert prefers_jpeg(Headers({} if accept is None else {"accept": accept})) is jpeg
