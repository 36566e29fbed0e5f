"""The pages' texts are there, as in the process that shows them."""

from __future__ import annotations

from pipeline.dashboard.line.texts import LINE
from pipeline.dashboard.texts import add_texts

add_texts(LINE)
