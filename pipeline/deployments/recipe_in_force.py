"""The recipe that one camera works by, and how it comes to another."""

from __future__ import annotations

import logging
from dataclasses import replace

from pipeline.answers import InForce
from pipeline.deployments.chain import CameraChain, standing_of
from pipeline.deployments.changeover import Changeover, changed_event, in_force, refused_event
from pipeline.deployments.job import CameraJob, Change
from stages.errors import ModelError
from stages.inspection.inspector import Judged
from stages.results.messages import ResultContext
from stages.values import Event, Frame

logger = logging.getLogger(__name__)

MOST_RECIPES = 4  # whose names are kept for verdicts of parts that were first seen under them


class RecipeInForce:
    """`job` is what frames are worked on by now; another one that is desired may wait for a gap between parts.

    `checkpoint`: what was stored of the camera when it was taken over.
    """

    def __init__(self, job: CameraJob, checkpoint: bytes | None) -> None:
        self.job = job
        self.changed = False  # it, or that parts go by the one before: to be stored with the next write
        self._changeover: Changeover | None = None
        self._came_from = ""  # the recipe that is stored, where the change from it is still to be told
        self._refused: tuple[CameraJob, str] | None = None  # a job whose recipe does not fit the model, and why
        self._contexts: dict[str, ResultContext] = {}  # recipe -> who the camera was in its messages then
        self._take_up(job, checkpoint)

    def takes(self, job: CameraJob) -> bool:
        """True where it goes on by this job as it stands: the same, but for thresholds or a recipe that it changes to.

        Cheap where nothing changed: asked with every batch.
        """
        wanted = self.job if self._changeover is None else self._changeover.job
        if job.config_hash == wanted.config_hash and job.change == wanted.change:
            return True
        if self._refused is not None and self._refused[0] == job:
            return True
        if self.job.is_but_for_thresholds(job):  # a change of recipe that was not made yet is taken back with it
            self._changeover = self._refused = None
            self._work_by(job)
            return True
        if job.change is None or not self.job.is_but_for_recipe(job):
            return False
        if self.job.change is not None and self.job.change.change_id == job.change.change_id:
            return False  # that change is made: this recipe came with a config file since
        if job.before is not None and self.job.is_but_for_thresholds(job.before):
            self._work_by(replace(job.before, change=self.job.change))
        waits = self._changeover is not None and self._changeover.job.change == job.change
        since = self._changeover.since if waits and self._changeover is not None else None
        self._changeover, self._refused = Changeover(job, since), None
        return True

    def change_over(self, chain: CameraChain, frame: Frame, now: float) -> tuple[tuple[Event, ...], Judged]:
        """Where a change of recipe waits and may be made before this frame: made, and told with the frame."""
        if self._came_from:
            before, self._came_from, self.changed = self._came_from, "", True
            return (changed_event(before, self.job, frame, 0.0, chain.under_way, 0),), Judged()
        if self._changeover is None or not self._changeover.is_due(frame, chain.under_way):
            return (), Judged()
        changeover, self._changeover = self._changeover, None
        before, job, under_way = self.job.recipe, changeover.job, chain.under_way
        try:
            judged = chain.change(job, now)
        except (ModelError, ValueError) as exc:
            logger.exception("camera %s: it goes on by recipe %r, %r does not fit", job.camera_id, before, job.recipe)
            self._refused = (job, str(exc))
            return (refused_event(before, job, frame, str(exc)),), Judged()
        self.changed = True
        self._work_by(job)
        waited_s = changeover.waited_s(frame)
        logger.info("camera %s: recipe %r is in force, %r was", job.camera_id, job.recipe, before)
        event = changed_event(before, job, frame, waited_s, under_way, len(judged.inspections))
        return (event,), judged

    @property
    def context(self) -> ResultContext:
        """Who the camera is in its messages."""
        return self._contexts[self.job.recipe]

    def context_of(self, recipe: str) -> ResultContext | None:
        """Who it was in them by this recipe; None where that is not known."""
        return self._contexts.get(recipe)

    def told(self, *, older_parts: bool) -> InForce:
        """What the answer says. `older_parts`: some go by the recipe before, here or in what is stored."""
        return in_force(self.job, self._refused[1] if self._refused is not None else "", older_parts=older_parts)

    def _take_up(self, job: CameraJob, checkpoint: bytes | None) -> None:
        """Begin by the recipe that is stored, where it is known, and change from it as the one here before would.

        A change that is made brings no second recipe: where there is another by now, a config file brought that since.
        """
        stood = standing_of(checkpoint)
        if stood is None or job.change is None or job.change.change_id == stood.change_id or stood.recipe == job.recipe:
            self._work_by(job)
        elif job.before is not None and job.before.recipe == stood.recipe:
            earlier = Change(stood.change_id, 0.0) if stood.change_id else None
            self._work_by(replace(job.before, change=earlier))
            self._changeover = Changeover(job)
        else:
            self._came_from = stood.recipe
            self._work_by(job)

    def _work_by(self, job: CameraJob) -> None:
        self.job = job
        if job.before is not None:  # parts may have been seen by it where this was not there yet
            self._contexts.setdefault(job.before.recipe, _context_of(job.before))
        self._contexts.pop(job.recipe, None)
        self._contexts[job.recipe] = _context_of(job)
        if len(self._contexts) > MOST_RECIPES:
            del self._contexts[next(iter(self._contexts))]


def _context_of(job: CameraJob) -> ResultContext:
    return ResultContext(job.line, job.station, job.source_kind, job.recipe, job.config_hash, job.counts)
