"""What the stages note on a traced batch; on any other, nothing is asked but whether it is one."""

from __future__ import annotations

import time
from dataclasses import replace

from stages.trace import Stage, Trace
from stages.values import Detected, Prepared


def marked(trace: Trace | None, stage: Stage, process: str) -> Trace | None:
    """The stage ends now."""
    return None if trace is None else trace.then(stage, time.time(), process)


def prepared_now(prepared: Prepared, trace: Trace | None, process: str) -> Prepared:
    """Preprocess has this moment answered a batch that came with `trace`."""
    if trace is None:
        return prepared
    now = time.time()
    begun = trace.then(Stage.SEND, now - prepared.took_ms / 1e3, process)
    return replace(prepared, trace=begun.then(Stage.PREPROCESS, now, process))


def detected_now(detected: Detected, prepared: Prepared, process: str) -> Detected:
    """Detect has this moment answered this call."""
    trace = prepared.trace
    if trace is None:
        return detected
    now = time.time()
    began = now - detected.timings_ms.get("detect", 0.0) / 1e3
    begun = trace.then(Stage.BATCH_WAIT, began, process)
    inferred = begun.then(Stage.INFER, min(now, began + detected.infer_ms / 1e3), process)
    return replace(detected, trace=inferred.then(Stage.BOXES, now, process))
