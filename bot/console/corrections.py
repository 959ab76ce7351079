"""The pages on which answers are corrected, and corrections decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of, not_here
from bot.console.difference import difference
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.corrections import Cause, Correction, CorrectionDraft, State
from core.domain import Decision
from core.errors import NotAllowedError
from core.members import Member, Role
from core.redaction import redact
from core.review import TurnRecord

CAUSES = {
    Cause.WRONG_TEXT: ("The passage is right, its words are not", "The FAQ row that was quoted gets these words."),
    Cause.WRONG_PASSAGE: ("It used the wrong passage", "A new FAQ row answers this question; the passage stays for others."),
    Cause.MISSING_FAQ: ("The help articles lack this", "A new FAQ row answers this question."),
    Cause.SHOULD_HAVE_ABSTAINED: ("It should have said nothing", "Nothing enters the FAQ; the model learns to abstain here."),
}
PROPOSED = "Proposed. It is in the FAQ once somebody else has approved it and a version is published."
APPROVED = "Approved. Customers get it with the next published version."
APPROVED_SILENCE = "Approved. Models learn from it when they are next trained."
TOO_LATE = "Somebody changed or decided this meanwhile. Here is how it stands now."
_AT_ONCE = 30
_MOST_PAGES = 10_000
Agent = Annotated[Member, Depends(at_least(Role.AGENT))]
Editor = Annotated[Member, Depends(at_least(Role.EDITOR))]
Words = Annotated[str, Form(max_length=40_000)]  # more than is kept: what is too long is cut, not lost
Revision = Annotated[int, Form(ge=1, le=10**9)]


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote in the form."""

    question: Words = ""
    answer: Words = ""
    cause: Annotated[str, Form(max_length=30)] = Cause.MISSING_FAQ
    alternatives: Words = ""
    turn: Annotated[str, Form(max_length=100)] = ""

    def draft(self, author: str) -> CorrectionDraft:
        """Return it as a draft."""
        cause = Cause(self.cause) if self.cause in tuple(Cause) else Cause.MISSING_FAQ
        wordings = tuple(line.strip() for line in self.alternatives.splitlines() if line.strip())
        return CorrectionDraft(self.turn or None, self.question, self.answer, cause, author, "console", wordings)


Form_ = Annotated[Written, Depends(Written)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the pages and their forms."""
    _add_queue(router)
    _add_proposal(router)
    _add_decision(router)


def _add_queue(router: APIRouter) -> None:
    @router.get("/corrections")
    async def corrections(
        request: Request, member: Agent, state: State = State.PENDING, number: Annotated[int, Query(ge=0, le=_MOST_PAGES, alias="page")] = 0
    ) -> Response:
        store = console_of(request).corrections.store
        found = await store.listed(state, member.scope, _AT_ONCE + 1, number * _AT_ONCE)
        counts = {one: await store.count(one, member.scope) for one in State}
        has_more = len(found) > _AT_ONCE
        return await _page(
            request, "corrections.html", found=found[:_AT_ONCE], state=state, counts=counts, number=number, has_more=has_more
        )


def _add_proposal(router: APIRouter) -> None:
    @router.get("/corrections/new")
    async def new(
        request: Request,
        member: Agent,
        turn: Annotated[str, Query(max_length=100)] = "",
        question: Annotated[str, Query(max_length=4000)] = "",
    ) -> Response:
        found = await _turn(request, member, turn)
        if found is None:
            return await _form(request, Written(question=question))
        answered = found.reply.decision.answers
        cause = Cause.WRONG_TEXT if answered else Cause.MISSING_FAQ
        answer = found.reply.text if answered else await console_of(request).library.unanswered.log.answer_by_staff(turn)
        return await _form(request, Written(redact(found.question), answer, cause, "", turn), found)

    @router.post("/corrections/new")
    async def propose(request: Request, member: Agent, written: Form_, do: Annotated[str, Form(max_length=20)] = "propose") -> Response:
        turn = await _turn(request, member, written.turn)
        if do != "propose":
            return await _form(request, written, turn)
        try:
            correction_id = await console_of(request).corrections.propose(written.draft(member.actor))
        except NotAllowedError as error:
            return await _form(request, written, turn, str(error))
        return redirect(request, f"/corrections/{correction_id}", PROPOSED)


def _add_decision(router: APIRouter) -> None:
    @router.get("/corrections/{correction_id}")
    async def correction(request: Request, member: Agent, correction_id: str) -> Response:
        return await _shown(request, member, await _correction(request, member, correction_id))

    @router.get("/corrections/{correction_id}/edit")
    async def edit(request: Request, member: Editor, correction_id: str) -> Response:
        found = await _correction(request, member, correction_id)
        said = found.draft
        written = Written(said.question, said.answer, said.cause, "\n".join(said.alternatives), said.turn_id or "")
        return await _form(request, written, await console_of(request).corrections.original(found), correction=found)

    @router.post("/corrections/{correction_id}/edit")
    async def revise(
        request: Request, member: Editor, correction_id: str, revision: Revision, written: Form_, do: Annotated[str, Form()] = "save"
    ) -> Response:
        found = (await _correction(request, member, correction_id))._replace(revision=revision)
        corrections = console_of(request).corrections
        if do != "save":
            return await _form(request, written, await corrections.original(found), correction=found)
        try:
            done = await corrections.revise(member, found, written.draft(member.actor))
        except NotAllowedError as error:
            return await _form(request, written, await corrections.original(found), str(error), found)
        return _told(request, found, done, "Saved. How it read before is kept below.")

    @router.post("/corrections/{correction_id}/approve")
    async def approve(request: Request, member: Editor, correction_id: str, revision: Revision) -> Response:
        found = (await _correction(request, member, correction_id))._replace(revision=revision)
        try:
            done = await console_of(request).corrections.approve(member, found)
        except NotAllowedError as error:
            return await _shown(request, member, found, str(error))
        return _told(request, found, done, APPROVED if found.draft.cause.wants_answer else APPROVED_SILENCE)

    @router.post("/corrections/{correction_id}/reject")
    async def reject(request: Request, member: Editor, correction_id: str, revision: Revision, reason: Words = "") -> Response:
        found = (await _correction(request, member, correction_id))._replace(revision=revision)
        try:
            done = await console_of(request).corrections.reject(member, found, reason)
        except NotAllowedError as error:
            return await _shown(request, member, found, str(error))
        return _told(request, found, done, "Rejected.")


async def _correction(request: Request, member: Member, correction_id: str) -> Correction:
    """Return a correction within the scope of whoever asks. Raises 404."""
    found = await console_of(request).corrections.store.get(correction_id, member.scope)
    if found is None:
        raise await not_here(request, correction_id)
    return found


async def _turn(request: Request, member: Member, turn_id: str) -> TurnRecord | None:
    """Return a turn within the scope of whoever asks, None where none is meant. Raises 404."""
    if not turn_id:
        return None
    found = await console_of(request).turns.turn(turn_id)
    if found is None or not member.scope.covers(found.address.platform, found.address.workspace_id):
        raise await not_here(request, turn_id)
    return found


async def _form(
    request: Request, written: Written, turn: TurnRecord | None = None, problem: str = "", correction: Correction | None = None
) -> Response:
    library = console_of(request).library
    hits = await library.found(written.question)
    shown = {"written": written, "turn": turn, "problem": problem, "correction": correction, "hits": hits, "causes": CAUSES}
    return await _page(request, "correction_form.html", 422 if problem else 200, can_find=library.can_find, **shown)


async def _shown(request: Request, member: Member, found: Correction, problem: str = "") -> Response:
    console = console_of(request)
    original, prospect = await console.corrections.original(found), await console.corrections.prospect(found)
    said_nothing = original is not None and original.reply.decision is Decision.HANDOFF  # no word of that belongs into the answer
    before = original.reply.text if original else prospect.replaced.passage.text if prospect.replaced else ""
    return await _page(
        request,
        "correction.html",
        403 if problem else 200,
        correction=found,
        original=original,
        prospect=prospect,
        before=before,
        pieces=difference(before, found.draft.answer) if before and found.draft.cause.wants_answer and not said_nothing else (),
        history=await console.corrections.store.history(found.correction_id),
        causes=CAUSES,
        may_decide=member.role >= Role.EDITOR,
        is_own=await console.corrections.is_for_another(member, found),
        is_changed=await console.library.is_changed(),
        can_publish=console.library.releases.can_publish,
        problem=problem,
    )


def _told(request: Request, found: Correction, done: bool, said: str) -> Response:
    return redirect(request, f"/corrections/{found.correction_id}", said if done else TOO_LATE, ok=done)


async def _page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    names = await console_of(request).membership.members.names()
    return page(request, template, status, names=names, **context)
