"""The pages of the knowledge: passages found, read and written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from bot.console.auth import at_least, console_of
from bot.console.pages import page, redirect
from bot.console.parts import Console
from core.domain import Hit, Passage
from core.errors import NotAllowedError
from core.knowledge import Entry
from core.members import Member, Role
from core.staff.library import CHANGED, Library

_AT_ONCE = 50
_MOST_PAGES = 100_000
SAVED = "Saved. Customers see it with the next published version."
GONE = "There is no such passage any more."
Reader = Annotated[Member, Depends(at_least(Role.VIEWER))]
Editor = Annotated[Member, Depends(at_least(Role.EDITOR))]
Words = Annotated[str, Form(max_length=40_000)]
PassageId = Annotated[str, Query(alias="id", max_length=500)]
Asked = Annotated[str, Query(max_length=4000)]


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote in the form; `version` is that of the passage they saw."""

    id: Annotated[str, Form(max_length=500)] = ""
    version: Annotated[str, Form(max_length=100)] = ""
    title: Words = ""
    text: Words = ""
    alternatives: Words = ""
    url: Annotated[str, Form(max_length=2000)] = ""

    def onto(self, passage: Passage) -> Passage:
        """Return a passage with these words."""
        wordings = tuple(line.strip() for line in self.alternatives.splitlines() if line.strip())
        return replace(passage, title=self.title, text=self.text, alternatives=wordings, url=self.url.strip() or None)


Form_ = Annotated[Written, Depends(Written)]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the pages and their forms."""
    _add_reading(router)
    _add_writing(router)


def _add_reading(router: APIRouter) -> None:
    @router.get("/knowledge")
    async def passages(
        request: Request, member: Reader, q: Asked = "", number: Annotated[int, Query(ge=0, le=_MOST_PAGES, alias="page")] = 0
    ) -> Response:
        library = console_of(request).library
        name = await library.served()
        found = await library.store.find(name, q, _AT_ONCE, number * _AT_ONCE)
        total = await library.store.count(name, q)
        has_more = total > (number + 1) * _AT_ONCE
        return await _page(request, member, "knowledge.html", q=q, hits=None, found=found, total=total, number=number, has_more=has_more)

    @router.get("/knowledge/search")
    async def search(request: Request, member: Reader, q: Asked = "") -> Response:
        hits = await console_of(request).library.found(q)
        return await _page(request, member, "knowledge.html", q=q, hits=hits, found=(), total=0, number=0, has_more=False)

    @router.get("/knowledge/search.json")
    async def search_json(request: Request, _member: Reader, q: Asked = "") -> dict[str, Any]:
        library = console_of(request).library
        return {"can_find": library.can_find, "hits": [_document(hit) for hit in await library.found(q)]}

    @router.get("/knowledge/passage")
    async def passage(request: Request, member: Reader, passage_id: PassageId = "") -> Response:
        seen = await _entry(console_of(request).library, passage_id)
        if seen is None:
            return redirect(request, "/knowledge", GONE, ok=False)
        return await _passage(request, member, seen)


def _add_writing(router: APIRouter) -> None:
    @router.get("/knowledge/passages/new")
    async def new(request: Request, member: Editor) -> Response:
        return await _passage(request, member, None)

    @router.post("/knowledge/passages/new")
    async def add(request: Request, member: Editor, written: Form_) -> Response:
        return await _written(request, member, written, None)

    @router.post("/knowledge/passage")
    async def save(request: Request, member: Editor, written: Form_) -> Response:
        seen = await _entry(console_of(request).library, written.id)
        if seen is None:
            return redirect(request, "/knowledge", GONE, ok=False)
        return await _written(request, member, written, seen._replace(version=written.version))

    @router.post("/knowledge/passage/delete")
    async def delete(request: Request, member: Editor, written: Form_) -> Response:
        library = console_of(request).library
        seen = await _entry(library, written.id)
        if seen is None:
            return redirect(request, "/knowledge", GONE, ok=False)
        try:
            await library.remove(member, seen._replace(version=written.version))
        except NotAllowedError as error:
            return await _passage(request, member, seen, str(error))
        return redirect(request, "/knowledge", "Taken out. Customers no longer see it from the next published version on.")


async def _written(request: Request, member: Member, written: Written, seen: Entry | None) -> Response:
    """Keep what was written; where somebody else was faster, show how it reads now with what was written."""
    library = console_of(request).library
    passage = written.onto(seen.passage if seen else Passage("", "", "", ""))
    try:
        passage_id = await library.write(member, passage, seen)
    except NotAllowedError as error:
        now = await _entry(library, written.id) if str(error) == CHANGED else seen
        return await _passage(request, member, now, str(error), written)
    return redirect(request, f"/knowledge/passage?id={quote(passage_id, safe='')}", SAVED)


async def _entry(library: Library, passage_id: str) -> Entry | None:
    return await library.store.entry(await library.served(), passage_id)


async def _passage(request: Request, member: Member, seen: Entry | None, problem: str = "", written: Written | None = None) -> Response:
    kept = seen.passage if seen else Passage("", "", "", "")
    shown = written or Written(
        kept.passage_id, seen.version if seen else "", kept.title, kept.text, "\n".join(kept.alternatives), kept.url or ""
    )
    status = 422 if problem else 200
    return await _page(request, member, "passage.html", status, seen=seen, written=shown, problem=problem)


async def _page(request: Request, member: Member, template: str, status: int = 200, **context: Any) -> Response:
    library = console_of(request).library
    about = {"name": await library.served(), "is_changed": await library.is_changed(), "can_find": library.can_find}
    about |= {"may_edit": member.role >= Role.EDITOR, "may_propose": member.role >= Role.AGENT}
    return page(request, template, status, **about, **context)


def _document(hit: Hit) -> dict[str, Any]:
    passage = hit.passage
    return {"passage_id": passage.passage_id, "title": passage.title, "text": passage.text[:600], "chance": round(hit.score, 2)}
