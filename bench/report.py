"""What was measured, in one JSON, plots and a page: `python -m bench.report [FILE or FOLDER ...]`.

Takes what the other benchmarks wrote with `--json` (bench/results/ unless told otherwise); what is missing keeps the
figures that docs/performance.json has. What was never measured is said to be so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.page import refreshed, section
from bench.plots import draw

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
DOCS = ROOT / "docs"

Results = Mapping[str, Mapping[str, Any]]


def main() -> None:
    """Gather, draw and write."""
    options = _options()
    merged = options.docs / "performance.json"
    known = json.loads(merged.read_text()) if merged.exists() else {}
    results = {**known, **gathered(files_of(options.results))}
    merged.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    images = draw(results, options.docs / "images")
    page = options.docs / "performance.md"
    page.write_text(refreshed(page.read_text(), section(results, images)))


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The JSON files among them and in the folders among them, in order. Raises FileNotFoundError."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: run a benchmark with --json first")
        files += sorted(path.glob("*.json")) if path.is_dir() else [path]
    return files


def gathered(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """benchmark's name -> what it measured; of two files of one benchmark the later counts."""
    found: dict[str, dict[str, Any]] = {}
    for path in files:
        data = json.loads(path.read_text())
        found[data.get("bench", path.stem)] = data
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="*", type=Path, default=[RESULTS], help="JSON files, or folders of them")
    parser.add_argument(
        "--docs", type=Path, default=DOCS, help="folder of performance.md, performance.json and images/"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
