"""Who may propose and decide, what is kept of a customer's words, and that everything is audited."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from core.corrections import MAX_ANSWER_CHARS, Cause, Correction, CorrectionDraft, State
from core.domain import Citation, Passage
from core.errors import NotAllowedError
from core.members import EVERYWHERE, Identity, Member, Role
from core.staff.corrections import ERASED, OWN, Corrections
from core.storage.memory_members import MemoryMembers
from core.storage.memory_records import MemoryAuditLog
from tests.contracts.counter import REPLY, MemoryCounter

ANN, BOB = (Member(name, name.title(), Role.EDITOR, EVERYWHERE) for name in ("ann", "bob"))
PAY = Passage("pay", "pay", "How do I pay?", "By card.")
DRAFT = CorrectionDraft(None, "How do I pay?", "By card or invoice.", Cause.WRONG_TEXT, ANN.actor, "console")


@dataclass
class Office:
    counter: MemoryCounter = field(default_factory=MemoryCounter)
    members: MemoryMembers = field(default_factory=MemoryMembers)
    audit: MemoryAuditLog = field(default_factory=MemoryAuditLog)

    def __post_init__(self) -> None:
        counter = self.counter
        self.desk = Corrections(counter.corrections, counter.book, counter.knowledge, self.served, self.members, self.audit)

    async def served(self) -> str:
        return "kb"

    async def proposed(self, **more: object) -> Correction:
        found = await self.desk.store.get(await self.desk.propose(replace(DRAFT, **more)), EVERYWHERE)  # type: ignore[arg-type]
        assert found is not None
        return found

    def audited(self) -> list[tuple[str, str, str]]:
        return [(entry.actor, entry.action, entry.result) for entry, _ in self.audit.rows]


@pytest.fixture
async def office() -> Office:
    office = Office()
    for member in (ANN, BOB):
        await office.members.add(member)
    await office.counter.knowledge.put("kb", "faq.csv", PAY, None)
    return office


async def ask(office: Office, text: str = "how do i pay") -> str:
    return await office.counter.ask(text, reply=replace(REPLY, citations=(Citation("pay", "How do I pay?", None, 0.9),)))


async def test_somebody_else_approves_and_the_faq_has_the_new_words(office: Office) -> None:
    waiting = await office.proposed(turn_id=await ask(office))
    assert await office.desk.approve(BOB, waiting)
    entry = await office.counter.knowledge.entry("kb", "pay")
    assert entry is not None
    assert (entry.passage.text, entry.source) == ("By card or invoice.", "corrections")
    (entry_kept, _) = office.audit.rows[-1]
    assert (entry_kept.actor, entry_kept.action, entry_kept.result) == (BOB.actor, "correction.approve", "done")
    assert entry_kept.detail == {"passage": "pay", "replaced": True, "only_member": False, "revision": 1}


async def test_nobody_approves_their_own_and_the_attempt_is_audited(office: Office) -> None:
    waiting = await office.proposed()
    with pytest.raises(NotAllowedError, match=OWN):
        await office.desk.approve(ANN, waiting)
    assert office.audited()[-1] == (ANN.actor, "correction.approve", "denied")
    assert await office.desk.store.count(State.PENDING, EVERYWHERE) == 1


@pytest.mark.parametrize(
    ("author", "issuer", "subject"),
    [("slack:T1:U1", "https://slack.com", "T1:U1"), ("discord:7:U1", "https://discord.com", "U1")],
)
async def test_whoever_proposed_it_in_chat_is_known_by_their_account_there(office: Office, author: str, issuer: str, subject: str) -> None:
    await office.members.identify(ANN.member_id, Identity(issuer, subject))
    waiting = await office.proposed(author=author, origin=author.partition(":")[0])
    with pytest.raises(NotAllowedError, match=OWN):
        await office.desk.approve(ANN, waiting)
    assert await office.desk.approve(BOB, waiting)


async def test_the_only_member_approves_their_own_and_the_audit_says_so(office: Office) -> None:
    await office.members.remove(BOB.member_id)
    assert await office.desk.approve(ANN, await office.proposed())
    assert office.audit.rows[-1][0].detail["only_member"] is True


async def test_of_two_who_decide_at_once_one_is_told_it_was_too_late(office: Office) -> None:
    waiting = await office.proposed()
    won = await asyncio.gather(office.desk.approve(BOB, waiting), office.desk.reject(BOB, waiting, "no"))
    assert sorted(won) == [False, True]
    assert [result for _, _, result in office.audited()[-2:]] == ["done", "too_late"]


async def test_a_rejection_needs_a_reason(office: Office) -> None:
    with pytest.raises(NotAllowedError, match="say why"):
        await office.desk.reject(BOB, await office.proposed(), " \n")


async def test_an_edit_changes_words_only(office: Office) -> None:
    waiting = await office.proposed(turn_id=await ask(office))
    changed = replace(waiting.draft, answer="By invoice.", author="forged", turn_id=None, platform="forged")
    assert await office.desk.revise(BOB, waiting, changed)
    now = await office.desk.store.get(waiting.correction_id, EVERYWHERE)
    assert now is not None
    assert now.draft == replace(waiting.draft, answer="By invoice.")
    assert not await office.desk.approve(BOB, waiting), "it reads otherwise by now"
    assert await office.desk.approve(BOB, now)


async def test_personal_data_in_a_question_is_masked_in_an_answer_it_is_the_companys(office: Office) -> None:
    said = await office.proposed(
        question="I am ann@example.com, how do I pay?", alternatives=("+49 30 901820 pays how?",), answer="Ask us@shop.example"
    )
    assert (said.draft.question, said.draft.alternatives) == ("I am [email], how do I pay?", ("[phone] pays how?",))
    assert said.draft.answer == "Ask us@shop.example"


@pytest.mark.parametrize(
    ("question", "is_theirs"),
    [
        ("how do i pay, i am [email]", True),
        ("How do I pay? I am [email]!", True),
        ("How do I pay?", False),
        ("Which ways to pay are there?", False),
    ],
)
async def test_a_question_is_the_customers_until_staff_phrase_it(office: Office, question: str, is_theirs: bool) -> None:
    said = await office.proposed(turn_id=await ask(office, "how do i pay, i am ann@example.com"), question=question)
    assert said.draft.own_words is is_theirs
    assert (said.draft.platform, said.draft.workspace_id) == ("test", "w")


@pytest.mark.parametrize(("origin", "is_theirs"), [("slack", True), ("discord", True), ("console", False)])
async def test_words_from_chat_that_nobody_can_trace_count_as_a_customers(office: Office, origin: str, is_theirs: bool) -> None:
    assert (await office.proposed(origin=origin)).draft.own_words is is_theirs


async def test_words_that_nobody_can_trace_are_of_staff_once_staff_phrase_them_anew(office: Office) -> None:
    waiting = await office.proposed(origin="slack", question="hey um how do i pay here")
    await office.desk.revise(BOB, waiting, replace(waiting.draft, answer="By card.", question="hey, um, how do I pay here?"))
    now = await office.desk.store.get(waiting.correction_id, EVERYWHERE)
    assert now is not None and now.draft.own_words
    await office.desk.revise(BOB, now, replace(now.draft, question="Which ways to pay are there?"))
    now = await office.desk.store.get(waiting.correction_id, EVERYWHERE)
    assert now is not None and not now.draft.own_words


async def test_what_was_erased_while_the_form_was_open_is_not_kept_again(office: Office) -> None:
    turn_id = await ask(office)
    waiting = await office.proposed(turn_id=turn_id, answer="1")
    await office.counter.privacy.erase("test", "w", "ann")
    with pytest.raises(NotAllowedError, match=ERASED[:30]):
        await office.desk.propose(replace(DRAFT, turn_id=turn_id))
    blanked = await office.desk.store.get(waiting.correction_id, EVERYWHERE)
    assert blanked is not None
    with pytest.raises(NotAllowedError, match="question"):
        await office.desk.approve(BOB, blanked)
    with pytest.raises(NotAllowedError, match=ERASED[:30]):
        await office.desk.revise(BOB, blanked, waiting.draft)


@pytest.mark.parametrize("empty", ["", "  \n", "\u200b", "🙂", "\x00"])
@pytest.mark.parametrize("field", ["question", "answer"])
async def test_a_correction_that_says_nothing_is_refused(office: Office, field: str, empty: str) -> None:
    with pytest.raises(NotAllowedError, match="both a question and an answer"):
        await office.proposed(**{field: empty})
    assert await office.desk.store.count(State.PENDING, EVERYWHERE) == 0


async def test_where_nothing_should_have_been_said_no_answer_is_asked_for_and_no_row_written(office: Office) -> None:
    waiting = await office.proposed(
        turn_id=await ask(office, "who won?"), question="Who won?", answer="", cause=Cause.SHOULD_HAVE_ABSTAINED
    )
    assert (await office.desk.prospect(waiting)).row is None
    assert await office.desk.approve(BOB, waiting)
    assert await office.counter.knowledge.passages("kb") == (PAY,)


async def test_12000_characters_are_kept_and_more_are_cut(office: Office) -> None:
    said = await office.proposed(answer="word " * 20_000)
    assert MAX_ANSWER_CHARS - 1 <= len(said.draft.answer) <= MAX_ANSWER_CHARS
    assert await office.desk.approve(BOB, said)


async def test_bad_input_13_a_hostile_text_is_kept_as_text(office: Office) -> None:
    hostile = "<script>alert(1)</script> <img src=x onerror=alert(1)> [x](javascript:alert(1)) {{7*7}} <|im_start|>"
    said = await office.proposed(question=f"{hostile}?", answer=hostile)
    assert (said.draft.question, said.draft.answer) == (f"{hostile}?", hostile)
