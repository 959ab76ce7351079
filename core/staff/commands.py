"""What admins can have done, from any surface: who may, what happens, and an entry in the audit log before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from core.audit import STARTED, AuditLog
from core.errors import FrontdeskError
from core.knowledge import KnowledgeStore, Release
from core.ports import Backlog
from core.presence import Channels, Mode
from core.staff.rights import Person, Rule, Verdict, may_administer

RELOADS_PER_HOUR = 5
_HOUR = 3600.0
_SHOWN_RELEASES = 10
_NO_MODELS = "Models cannot be changed while this version runs: nothing is configured for it. Set `model` and restart instead."

Work = Callable[[], Awaitable[str]]


class Caller(NamedTuple):
    """Who gives a command, and where."""

    person: Person
    platform: str
    workspace_id: str  # the installation it is given in: of a whole organisation, where the person belongs to one of its teams
    channel_id: str = ""

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return f"{self.platform}:{self.person.workspace_id or ''}:{self.person.user_id}"


class Outcome(NamedTuple):
    """What came of a command, in words for whoever gave it."""

    ok: bool
    text: str


class ModelControl(Protocol):
    """Models that can change while they serve. Each method returns one line for people and raises `FrontdeskError`."""

    async def status(self) -> str:
        """Tell which model serves."""
        ...

    async def reload(self) -> str:
        """Serve the version that is configured now; tell from which to which. The old one serves on after an error."""
        ...

    async def rollback(self, kind: str) -> str:
        """Serve the version of this kind of model that served before; tell from which to which."""
        ...


class _NotDoneError(FrontdeskError):
    """What was asked for makes no sense; the message says why."""


class Commands:
    """The commands of admins. Every one that changes something is audited twice, every one that is denied once."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        audit: AuditLog,
        channels: Channels,
        knowledge: KnowledgeStore,
        backlog: Callable[[], Awaitable[Backlog]],
        model: str,
        drafts: Collection[str] = (),
        models: ModelControl | None = None,
    ) -> None:
        """`rules` by platform: without one nobody there is an admin. `model` is the one that is configured, `drafts` are the platforms
        on which staff have a place that drafts go to.
        """
        self._rules = rules
        self._audit = audit
        self._channels = channels
        self._knowledge = knowledge
        self._backlog = backlog
        self._model = model
        self._drafts = drafts
        self._models = models

    async def status(self, caller: Caller) -> Outcome:
        """Tell what is served and what waits."""
        return await self._look(caller, "status", self._status)

    async def reload(self, caller: Caller) -> Outcome:
        """Serve the configured model; five times an hour at most, whoever asks."""
        return await self._change(caller, "models.reload", "models", self._reload, per_hour=RELOADS_PER_HOUR)

    async def rollback(self, caller: Caller, kind: str) -> Outcome:
        """Serve the model of `kind` that served before."""
        return await self._change(caller, "models.rollback", kind, lambda: self._control().rollback(kind))

    async def set_mode(self, caller: Caller, channel_id: str, mode: str) -> Outcome:
        """Set where the bot speaks in a channel of the workspace."""
        place = self._place(caller, channel_id)
        return await self._change(caller, "channel.mode", ":".join(place), lambda: self._set_mode(place, mode))

    async def mute(self, caller: Caller, channel_id: str) -> Outcome:
        """Silence the bot in a channel."""
        return await self._set_muted(caller, channel_id, muted=True)

    async def unmute(self, caller: Caller, channel_id: str) -> Outcome:
        """Let the bot speak again in a channel, as it was set before."""
        return await self._set_muted(caller, channel_id, muted=False)

    async def knowledge(self, caller: Caller, knowledge: str = "", version: str = "") -> Outcome:
        """List what was published, of all or of one knowledge base; with a `version`, serve that one again."""
        if not version:
            return await self._look(caller, "knowledge.list", lambda: self._releases(knowledge))
        return await self._change(caller, "knowledge.rollback", knowledge, lambda: self._activate(caller, knowledge, version))

    async def _look(self, caller: Caller, action: str, work: Work) -> Outcome:
        refused = await self._refused(caller, action, "")
        return refused or await self._done(caller, action, "", work)

    async def _change(self, caller: Caller, action: str, target: str, work: Work, *, per_hour: int = 0) -> Outcome:
        refused = await self._refused(caller, action, target)
        if refused:
            return refused
        if not per_hour:
            await self._audit.record(caller.actor, action, target, STARTED, channel=caller.channel_id)
        elif not await self._audit.start(caller.actor, action, target, limit=per_hour, seconds=_HOUR, channel=caller.channel_id):
            await self._audit.record(caller.actor, action, target, "too_many", channel=caller.channel_id)
            return Outcome(False, f"This was done {per_hour} times within the last hour, which is the most. Please wait.")
        return await self._done(caller, action, target, work)

    async def _refused(self, caller: Caller, action: str, target: str) -> Outcome | None:
        rule = self._rules.get(caller.platform)
        verdict = may_administer(caller.person, rule) if rule else Verdict(False, f"No admins are set for {caller.platform}.")
        if verdict.allowed:
            return None
        await self._audit.record(caller.actor, action, target, "denied", channel=caller.channel_id, reason=verdict.reason)
        return Outcome(False, verdict.reason)

    async def _done(self, caller: Caller, action: str, target: str, work: Work) -> Outcome:
        """Do it and say how it went; what fails in another way than it should is in the log too, and goes on to whoever catches it."""
        result, said = "failed", "it broke off"
        try:
            said = await work()
            result = "done"
        except FrontdeskError as error:
            said = str(error)
        finally:
            await self._audit.record(caller.actor, action, target, result, channel=caller.channel_id, said=said)
        return Outcome(result == "done", said)

    def _control(self) -> ModelControl:
        if self._models is None:
            raise _NotDoneError(_NO_MODELS)
        return self._models

    async def _reload(self) -> str:
        return await self._control().reload()

    async def _status(self) -> str:
        served = [f"Knowledge {name}: {await self._knowledge.active(name) or 'not published'}" for name in await self._knowledge.names()]
        model = await self._models.status() if self._models else self._model
        backlog = await self._backlog()
        waits = f"Waiting: {backlog.waiting} messages, the oldest for {backlog.oldest_seconds:.0f} s"
        return "\n".join(
            [*served, f"Model: {model}", waits, f"On their way: {backlog.undelivered} replies", f"Given up: {backlog.dead} messages"]
        )

    async def _set_mode(self, place: tuple[str, str, str], mode: str) -> str:
        if mode not in tuple(Mode):
            raise _NotDoneError(f"There is no mode {mode!r}. Modes: {', '.join(Mode)}.")
        if mode == Mode.DRAFT and place[0] not in self._drafts:
            raise _NotDoneError(f"Nobody would see the drafts: set {place[0]}.staff_channel and restart.")
        before = (await self._channels.channel(*place)).mode
        await self._channels.set_mode(*place, Mode(mode))
        return f"The mode of this channel is now {mode}; before it was {before or 'not set'}."

    async def _set_muted(self, caller: Caller, channel_id: str, *, muted: bool) -> Outcome:
        place = self._place(caller, channel_id)

        async def work() -> str:
            await self._channels.set_muted(*place, muted)
            return "The bot is silent in this channel now." if muted else "The bot speaks in this channel again."

        return await self._change(caller, "channel.mute" if muted else "channel.unmute", ":".join(place), work)

    def _place(self, caller: Caller, channel_id: str) -> tuple[str, str, str]:
        """A channel of the workspace where the command is given: a rule of one must not reach into another."""
        return caller.platform, caller.workspace_id, channel_id

    async def _releases(self, knowledge: str) -> str:
        names = [knowledge] if knowledge else await self._knowledge.names()
        lines = [_line(name, one) for name in names for one in (await self._knowledge.releases(name))[:_SHOWN_RELEASES]]
        return "\n".join(lines) or "Nothing is published."

    async def _activate(self, caller: Caller, knowledge: str, version: str) -> str:
        before = await self._knowledge.active(knowledge)
        await self._knowledge.activate(knowledge, version, caller.actor)
        return f"Knowledge {knowledge} is served as {version}; before it was {before}."


def _line(name: str, release: Release) -> str:
    published = f"{release.published_at:%Y-%m-%d %H:%M}"
    return f"{name} {release.version}: {release.passages} passages, {published}{', serving' if release.active else ''}"
