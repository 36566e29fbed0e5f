"""Why a graph could not be deployed, out of what Serve says about it."""

from pipeline.deployments.deploy import cause

SERVE = """The deployment failed to start 3 times in a row. See controller logs for details. Error:
\x1b[36mray::ServeReplica:rayline:detect-parts.initialize_and_get_metadata()\x1b[39m (pid=6988, ip=192.0.2.2)
  File "replica.py", line 1928, in initialize
    raise RuntimeError(traceback.format_exc()) from None
RuntimeError: Traceback (most recent call last):
  File "detector.py", line 125, in _wanted
    raise ModelError(
"""


def test_a_model_error_is_told_in_its_own_words() -> None:
    said = SERVE + "stages.errors.ModelError: parts.pt: the model knows no class 'botle'; it knows bottle"
    assert cause(said) == "parts.pt: the model knows no class 'botle'; it knows bottle"


def test_another_error_is_told_with_its_kind() -> None:
    assert cause(SERVE + "MemoryError: cannot allocate 4 GB\n") == "MemoryError: cannot allocate 4 GB"


def test_words_without_an_error_are_told_as_they_are() -> None:
    assert cause("no replica could be placed") == "no replica could be placed"
