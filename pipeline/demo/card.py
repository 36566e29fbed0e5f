"""Writes the model card: what the weights are, and the figures measured, for people and as data."""

import json
from pathlib import Path
from typing import Any

CARD = """# Bottles: the demo's detector

A small YOLO11 ({size_mb:.1f} MB, half precision) that finds the parts of bottles on the demo's rendered line. It was
trained from nothing: no downloaded weights and no photographs went into it. It learns what is there, so a verdict rests
on evidence: a cap seen, a label seen straight, the liquid's surface seen high enough.

- Classes: `bottle`, `cap`, `label`, `crooked_label`, `level` (the liquid's surface), `dent` (dents and scratches).
- Input: 416x256 RGB, 0 to 1, letterboxed from 16:9 (640x360 becomes 416x234 with bars of 11 pixels, grey 114).
- Working threshold {threshold}; non-maximum suppression at IoU 0.6, per class.
- Data: crops of 256x256 pixels from lines rendered by `pipeline.demo.render`, encoded and decoded as H.264 (ultrafast,
  zerolatency, 0.8 to 2.5 Mbit/s), with varied light and noise. Seeds from {held_out} on are held out.
- Training of these weights: 13 epochs over 2400 crops of 240 lines, with AdamW; then 16 gentle ones over some 1200 of
  them that show a dent or a crooked label (11 with dents twice as often, 5 with all crooked labels). In the first
  epochs' pictures half of the dents lay above the label; the line has them below it, and so have all later pictures.
- Use: the demo and tests of the pipeline. It knows these two drawn products and nothing else.
- Licence: AGPL-3.0-or-later, as the ultralytics training code it comes from asks.
- sha256 of `bottles.pt`: `{sha256}`

## Measured

On {pictures} pictures from {lines} held-out lines, whole pictures through the codec; boxes less than 40 % inside the
picture are not counted. mAP50 **{map50:.4f}**; recall and precision at the working threshold.

| class | AP50 | recall | precision | truths |
| --- | --- | --- | --- | --- |
{rows}

Verdicts on {parts} parts of held-out lines, each judged at the trigger from its pictures at 10 a second:
{false_pass} bad parts passed, {false_reject} good parts rejected, {undecided} undecided, {wrong_defects} rejected for
another reason than the true one; {correct_percent:.2f} % of the verdicts are right.

Measure again: `python -m pipeline.demo.train --measure`. Train again: `python -m pipeline.demo.train`.
"""


def write_card(folder: Path, figures: dict[str, Any]) -> None:
    """`bottles.md` for people and `bottles.json` with the same figures."""
    from pipeline.demo.dataset import HELD_OUT

    rows = "\n".join(
        f"| {name} | {each['ap50']:.4f} | {each['recall']:.4f} | {each['precision']:.4f} | {each['truths']} |"
        for name, each in figures["classes"].items()
    )
    parts = figures["parts"]
    text = CARD.format(
        size_mb=figures["bytes"] / 1e6, rows=rows, held_out=HELD_OUT, correct_percent=100 * parts["correct_share"],
        **{key: figures[key] for key in ("threshold", "sha256", "pictures", "lines", "map50")},
        **{key: parts[key] for key in ("parts", "false_pass", "false_reject", "undecided", "wrong_defects")},
    )  # fmt: skip
    (folder / "bottles.md").write_text(text)
    (folder / "bottles.json").write_text(json.dumps(figures, indent=2) + "\n")
