"""The soak's judgement: what grows is told, what does not is flat, and too little is no verdict."""

from __future__ import annotations

from bench.processes import Held
from bench.soak import Sample, is_flat, slopes_per_min


def samples(count: int, rss_mb_per_min: float = 0.0, fds_per_min: float = 0.0) -> list[Sample]:
    """Every ten seconds; before the first minute is over it also warms up by 100 MB."""
    return [
        Sample(
            10.0 * n,
            {
                "track": Held(
                    processes=1,
                    rss_mb=min(100, 20 * n) + rss_mb_per_min * n / 6 + n % 2,
                    anon_mb=60,
                    pss_mb=50,
                    fds=round(30 + fds_per_min * n / 6),
                    threads=12,
                )
            },
        )
        for n in range(count)
    ]


def test_warming_up_is_no_growth() -> None:
    slopes = slopes_per_min(samples(60), warm_up_s=60)
    assert is_flat(slopes, "rss_mb") is True
    assert slopes["track"]["rss_mb"]["low"] <= 0 <= slopes["track"]["rss_mb"]["high"]
    assert is_flat(slopes_per_min(samples(60), warm_up_s=0), "rss_mb") is True, "five samples of sixty do not tilt it"


def test_a_leak_of_memory_or_of_files_is_told() -> None:
    leaks = slopes_per_min(samples(60, rss_mb_per_min=0.5), warm_up_s=60)
    assert abs(leaks["track"]["rss_mb"]["slope"] - 0.5) < 0.05
    assert is_flat(leaks, "rss_mb") is False
    assert is_flat(slopes_per_min(samples(60, fds_per_min=1), warm_up_s=60), "fds") is False


def test_a_process_that_is_not_there_yet_holds_nothing() -> None:
    assert Sample(0.0, {}).value("track", "fds") == 0


def test_too_few_samples_are_no_verdict() -> None:
    assert is_flat(slopes_per_min(samples(8), warm_up_s=60), "fds") is None
    assert is_flat({}, "fds") is None
