"""Whatever is sent to any route, nothing breaks: schemathesis reads the schema of the application and makes requests up."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case

from bot.console.auth import CSRF_HEADER
from bot.web.app import Surroundings, build
from core.members import EVERYWHERE, Member, Role
from core.serving.canned import CannedGenerator
from core.storage.database import Database
from tests.bot.conftest import Page
from tests.bot.console.desk import Desk, desk_on
from tests.bot.console.models import stocked

pytestmark = pytest.mark.slow
FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Desk:
    """On both databases: one of them refuses texts that the other takes."""
    return desk_on(await open_database(request.param))


@dataclass(frozen=True)
class AlwaysIn:
    """`Sessions` in which somebody stays, whatever is done: what ends sessions must not keep the rest from being tried."""

    somebody: Member | None

    async def member(self, _session: str) -> Member | None:
        return self.somebody

    look = member

    async def begin(self, session: str, member_id: str) -> None: ...
    async def end(self, session: str) -> None: ...
    async def end_all(self, member_id: str) -> None: ...


async def answers(schema: dict[str, Any], url: str, headers: dict[str, str]) -> dict[int, list[str]]:
    """By status, the requests that were answered so."""
    return await asyncio.to_thread(_answers, schema, url, headers)


def _answers(schema: dict[str, Any], url: str, headers: dict[str, str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for result in schemathesis.openapi.from_dict(schema).get_all_operations():

        @FEW
        @given(case=result.ok().as_strategy())
        def ask(case: Case) -> None:
            answer = case.call(base_url=url, headers=headers, allow_redirects=False, timeout=20)
            found[answer.status_code].append(f"{case.method} {case.formatted_path} {case.query} {case.body}")

        ask()
    return found


def broken(found: dict[int, list[str]]) -> list[str]:
    return [request for status, requests in found.items() if status >= 500 for request in requests]


def with_visit(url: str) -> dict[str, str]:
    """What a browser holds that has been here, and the token that its forms carry."""
    with httpx.Client(base_url=url, headers={"accept": "text/html"}, trust_env=False) as client:
        answer = client.get("/console/sign-in")
        token = answer.text.partition('name="csrf" value="')[2][:64]
        assert len(token) == 64
        return {"cookie": f"frontdesk-visit={client.cookies['frontdesk-visit']}", CSRF_HEADER: token, "accept": "text/html"}


async def test_no_request_breaks_the_console_for_somebody_who_may_do_everything(desk: Desk, url: str) -> None:
    await stocked(desk)
    admin = await desk.member(Role.ADMIN, EVERYWHERE, "Ann")
    console = desk.console.state.console
    desk.console.state.console = replace(console, sign_in=replace(console.sign_in, sessions=AlwaysIn(admin)))
    token = hmac.new(b"held", b"csrf", hashlib.sha256).hexdigest()
    headers = {"cookie": "frontdesk-session=held", CSRF_HEADER: token, "accept": "text/html"}
    found = await answers(desk.console.openapi(), f"{url}/console", headers)
    assert broken(found) == []
    assert {200, 303, 404, 422} <= set(found), "they do not get as far as the pages"
    assert not [entry for entry in await desk.graph.audit_log.entries(1000) if entry.action == "console.form"]


async def test_no_request_breaks_the_console_for_a_visitor(desk: Desk, url: str) -> None:
    headers = await asyncio.to_thread(with_visit, url)
    assert broken(await answers(desk.console.openapi(), f"{url}/console", headers)) == []


# Hypothesis takes the chances that the worker draws meanwhile, in another thread, for its own.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_no_request_breaks_the_chat_page(serve: Callable[[Any], Awaitable[Page]]) -> None:
    page = await serve(CannedGenerator(*["A parcel takes 3 days. [1]"] * 1000))
    assert broken(await answers(public_schema(), page.url, {})) == []


def public_schema() -> dict[str, Any]:
    """The schema of what everybody may ask; nothing behind it is called."""
    nothing: Any = None
    app = build(Surroundings(nothing, nothing, nothing, nothing, nothing), nothing, nothing)
    return app.openapi()
