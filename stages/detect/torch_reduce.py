"""Raw answers are cut down on the device to what can matter, before they travel to the host."""

from __future__ import annotations

import torch

from stages.detect.decode import is_end2end

# Anchors are copied in multiples of this: few shapes for the allocator to keep, and never 6, which would read as boxes.
STEP = 64


def reached_only(answers: torch.Tensor, min_score: float) -> torch.Tensor:
    """(n, 4 + classes, k) float32: of each frame at least the anchors whose best class reaches `min_score`, in order.

    k is the most any frame of the batch has, rounded up, so nothing that could be kept is lost and decoding finds the
    same; where a frame has fewer, others follow. End-to-end answers, few as they are, come back whole. Waits for the
    device once, to learn k.
    """
    if is_end2end(tuple(answers.shape)):
        return answers.float()
    reached = answers[:, 4:].amax(dim=1).float() >= min_score
    most = int(reached.sum(dim=1).max()) if len(answers) else 0
    count = min(answers.shape[2], max(1, -(-most // STEP)) * STEP)
    if count == answers.shape[2]:
        return answers.float()
    first = torch.sort(reached.to(torch.uint8), dim=1, descending=True, stable=True).indices[:, :count]
    return answers.gather(2, first[:, None, :].expand(-1, answers.shape[1], -1)).float()
