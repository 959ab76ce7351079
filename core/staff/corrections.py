"""Proposing what a reply should have been, and deciding about it: from any surface, with a second pair of eyes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

from core import faq
from core.audit import AuditLog
from core.corrections import Correction, CorrectionDraft, CorrectionStore, Ruling, State
from core.domain import Passage
from core.errors import NotAllowedError
from core.knowledge import Entry, KnowledgeStore
from core.members import Identity, Member, Members
from core.redaction import redact
from core.review import TurnBook, TurnRecord
from core.text import words

OWN = "This is your own correction: somebody else has to approve it."
ERASED = "What this customer wrote has been erased meanwhile, so nothing was kept. Propose it as a new entry, in words of your own."
_SAME_WORDS = 0.8  # of the words of two questions in common: the customer's own, with a comma put right
# Who tells us who somebody is when they sign in with an account of a platform.
_ISSUERS = {"slack": "https://slack.com", "discord": "https://discord.com"}


class Prospect(NamedTuple):
    """What approving a correction would do: the FAQ row it would write, and the passage it would replace."""

    row: Passage | None
    replaced: Entry | None


class Corrections:
    """Takes proposals and decisions; every one is audited, what is refused too."""

    def __init__(
        self,
        store: CorrectionStore,
        turns: TurnBook,
        knowledge: KnowledgeStore,
        served: Callable[[], Awaitable[str]],
        members: Members,
        audit: AuditLog,
    ) -> None:
        """`served` names the knowledge base whose FAQ corrections change."""
        self.store = store
        self._turns = turns
        self._knowledge = knowledge
        self._served = served
        self._members = members
        self._audit = audit

    async def propose(self, draft: CorrectionDraft, **detail: Any) -> str:
        """Keep what somebody proposes and return its id; whoever calls has found that they may. Raises `NotAllowedError`.

        Personal data in the question is masked. A question is the customer's unless staff have phrased it; `detail` goes into the
        audit log.
        """
        draft = await self._prepared(draft, await self._turns.turn(draft.turn_id) if draft.turn_id else None)
        correction_id = await self.store.propose(draft)
        await self._audit.record(draft.author, "correction.propose", correction_id, "done", cause=draft.cause, **detail)
        return correction_id

    async def prospect(self, correction: Correction) -> Prospect:
        """Return what approving a correction would do now."""
        cited = await self._cited(correction)
        row = faq.row_of(correction, cited.passage if cited else None)
        return Prospect(row, cited if cited and faq.replaces(correction, cited.passage) else None)

    async def original(self, correction: Correction) -> TurnRecord | None:
        """Return the turn that a correction is about."""
        return await self._turns.turn(correction.draft.turn_id) if correction.draft.turn_id else None

    async def is_for_another(self, member: Member, correction: Correction) -> bool:
        """Tell whether somebody else than this member has to approve."""
        return await self._is_by(member, correction.draft.author) and not await self._is_alone()

    async def revise(self, member: Member, correction: Correction, draft: CorrectionDraft) -> bool:
        """Write a pending correction anew; False when somebody wrote or decided before. Raises `NotAllowedError`."""
        said = correction.draft
        fixed = {name: getattr(said, name) for name in ("turn_id", "author", "origin", "platform", "workspace_id")}
        untraced = said.own_words and _same_words(draft.question, said.question)
        prepared = await self._prepared(replace(draft, **fixed), await self.original(correction), untraced)
        done = await self.store.revise(correction.correction_id, correction.revision, prepared, member.actor)
        await self._note(member, "correction.edit", correction, "done" if done else "too_late")
        return done

    async def approve(self, member: Member, correction: Correction) -> bool:
        """Put a correction into the FAQ and the training data; False when somebody wrote or decided before. Raises `NotAllowedError`.

        Nobody approves what they have proposed, unless they are the only member there is; the audit log says so then.
        """
        if await self.is_for_another(member, correction):
            await self._note(member, "correction.approve", correction, "denied", reason="own")
            raise NotAllowedError(OWN)
        if correction.draft.problem:
            raise NotAllowedError(correction.draft.problem)
        row, replaced = await self.prospect(correction)
        ruling = Ruling(State.APPROVED, member.actor, knowledge=await self._served(), row=row)
        done = await self.store.decide(correction.correction_id, correction.revision, ruling)
        changed = {
            "passage": row.passage_id if row else None,
            "replaced": replaced is not None,
            "only_member": await self._is_by(member, correction.draft.author),
        }
        await self._note(member, "correction.approve", correction, "done" if done else "too_late", **changed)
        return done

    async def reject(self, member: Member, correction: Correction, reason: str) -> bool:
        """Decide that nothing comes of a correction; False when somebody wrote or decided before. Raises `NotAllowedError`."""
        if not reason.strip():
            raise NotAllowedError("Please say why, so that whoever proposed it knows.")
        ruling = Ruling(State.REJECTED, member.actor, reason)
        done = await self.store.decide(correction.correction_id, correction.revision, ruling)
        await self._note(member, "correction.reject", correction, "done" if done else "too_late")
        return done

    async def _prepared(self, draft: CorrectionDraft, turn: TurnRecord | None, untraced: bool | None = None) -> CorrectionDraft:
        """Return a draft as it may be kept; `untraced`: whether a question of no turn is a customer's, None: where chat began it."""
        if turn is not None and not turn.question:
            raise NotAllowedError(ERASED)
        masked = replace(draft, question=redact(draft.question), alternatives=tuple(map(redact, draft.alternatives))).cleaned()
        if masked.problem:
            raise NotAllowedError(masked.problem)
        if turn is None:
            return replace(masked, own_words=draft.origin != "console" if untraced is None else untraced)
        return replace(masked, own_words=_same_words(masked.question, redact(turn.question)))

    async def _cited(self, correction: Correction) -> Entry | None:
        """Return the passage that the answer was taken from, as it is kept now."""
        turn = await self.original(correction)
        if turn is None or not turn.reply.citations:
            return None
        return await self._knowledge.entry(await self._served(), turn.reply.citations[0].passage_id)

    async def _is_by(self, member: Member, author: str) -> bool:
        """Tell whether `author`, as the audit log names people, is this member; one who signs in with a chat account is known there too."""
        if author == member.actor:
            return True
        platform, _, rest = author.partition(":")
        if platform not in _ISSUERS:
            return False
        subject = rest if platform == "slack" else rest.partition(":")[2]  # ids of Slack count within a workspace
        known = await self._members.identified(Identity(_ISSUERS[platform], subject))
        return known is not None and known.member_id == member.member_id

    async def _is_alone(self) -> bool:
        return len(await self._members.all()) < 2

    async def _note(self, member: Member, action: str, correction: Correction, result: str, **detail: Any) -> None:
        await self._audit.record(member.actor, action, correction.correction_id, result, revision=correction.revision, **detail)


def _same_words(question: str, asked: str) -> bool:
    """Tell whether two questions say the same in nearly the same words, in whatever order."""
    one, other = Counter(words(question)), Counter(words(asked))
    both = one.total() + other.total()
    return question == asked or (both > 0 and 2 * (one & other).total() / both >= _SAME_WORDS)
