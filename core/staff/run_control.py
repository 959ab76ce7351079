"""What admins do about a run of the learning loop: let its version serve, take that back, or leave it; nothing is overridden in silence."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import ModelError
from core.learning import LearningRun, RunBook
from core.registry import Alias, Assignment, Kind, ModelRegistry
from core.staff.model_control import RegistryModelControl

SILENTLY = "Learning run"  # begins the reason of a challenger that a run has set, silently beside the champion


@dataclass(frozen=True)
class RunControl:
    """Decisions about runs, each on the champion that it was made for. Methods return text for people and raise `ModelError`."""

    runs: RunBook
    registry: ModelRegistry
    models: RegistryModelControl

    async def promote(self, run_id: str, actor: str) -> str:
        """Let the version of a run serve, in place of the one it was compared with."""
        run, current = await self._found(run_id)
        if current.model_id == run.model_id:
            return f"{run.model_id} serves already."
        self._must_serve(current, run.against, f"To serve {run.model_id} all the same: promote {run.model_id}")
        return await self.models.promote(run.model_id, actor, after=current.assignment_id)

    async def roll_back(self, run_id: str, actor: str) -> str:
        """Let the version serve again that the version of a run has replaced."""
        run, current = await self._found(run_id)
        if current.model_id == run.against:
            return f"{run.against} serves again already."
        self._must_serve(current, run.model_id, "To go back from there: rollback")
        return await self.models.rollback(run.kind, actor, after=current.assignment_id)

    async def keep(self, run_id: str, actor: str) -> str:
        """Leave the version that serves; a challenger of the run stops writing beside it."""
        run, current = await self._found(run_id)
        beside = await self.registry.current(run.kind, Alias.CHALLENGER)
        if beside is not None and beside.model_id == run.model_id and beside.reason.startswith(SILENTLY):
            await self.models.end_canary(actor)
        return f"{current.model_id} serves on."

    async def _found(self, run_id: str) -> tuple[LearningRun, Assignment]:
        run = await self.runs.run(run_id)
        current = await self.registry.current(run.kind if run else Kind.GENERATOR, Alias.CHAMPION)
        if run is None or not run.model_id or current is None:
            raise ModelError("This run is not known, or has made no version.")
        return run, current

    def _must_serve(self, current: Assignment, wanted: str, instead: str) -> None:
        if current.model_id != wanted:
            raise ModelError(
                f"Nothing was changed: {current.model_id} serves since {current.assigned_at:%Y-%m-%d %H:%M} UTC ({current.actor}), "
                f"not {wanted} any more. {instead}"
            )
