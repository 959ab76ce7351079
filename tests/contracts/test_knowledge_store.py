"""Every knowledge store imports all or nothing, keeps sources apart, and remembers which release is served."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from core.domain import Passage
from core.errors import KnowledgeError
from core.knowledge import KnowledgeStore, SourceImport
from core.storage.database import Database
from core.storage.knowledge_store import SqlKnowledgeStore
from core.storage.memory import MemoryKnowledgeStore

FULL = Passage(
    "p-full", "d", "Zahlung '; DROP TABLE passages; --", "Line\n\twith 👩‍👩‍👧 and \\ \" ' %s", alternatives=("How?", "می‌خواهم"),
    url="https://example.com/ü?a=1&b=2", category="Billing", locale="de-CH", tags=("a", "b"), curated=False,
)  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> KnowledgeStore:
    return MemoryKnowledgeStore() if request.param == "memory" else SqlKnowledgeStore(await open_database(request.param))


def passage(number: int, text: str = "text") -> Passage:
    return Passage(f"p-{number:05}", "d", f"title {number}", text)


async def put(
    store: KnowledgeStore, *passages: Passage, source: str = "faq.csv", knowledge: str = "kb", keep_missing: bool = False
) -> SourceImport:
    return await store.replace_source(knowledge, source, iter(passages), keep_missing=lambda: keep_missing)


async def publish(store: KnowledgeStore, *versions: str, knowledge: str = "kb") -> None:
    for version in versions:
        await store.add_release(knowledge, version, 3, "embedder@1", "ann")


async def test_a_passage_comes_back_as_it_was_imported(store: KnowledgeStore) -> None:
    await put(store, FULL)
    assert await store.passages("kb") == (FULL,)


async def test_an_import_counts_added_changed_unchanged_and_removed(store: KnowledgeStore) -> None:
    assert await put(store, passage(1), passage(2), passage(3)) == SourceImport(3, 0, 0, 0, ())
    assert await put(store, passage(2), passage(3, "new"), passage(4)) == SourceImport(1, 1, 1, 1, ())
    assert await store.passages("kb") == (passage(2), passage(3, "new"), passage(4))


async def test_the_same_import_again_changes_nothing(store: KnowledgeStore) -> None:
    await put(store, FULL, passage(1))
    assert await put(store, FULL, passage(1)) == SourceImport(0, 0, 2, 0, ())


@pytest.mark.parametrize(
    "changed", [{"url": None}, {"tags": ("b", "a")}, {"curated": True}, {"alternatives": ()}, {"title": "x"}, {"locale": None}]
)
async def test_any_changed_field_counts_as_a_change_and_is_stored(store: KnowledgeStore, changed: dict[str, object]) -> None:
    await put(store, FULL)
    new = replace(FULL, **changed)  # type: ignore[arg-type]
    assert await put(store, new) == SourceImport(0, 1, 0, 0, ())
    assert await store.passages("kb") == (new,)


async def test_passages_missing_from_an_import_stay_when_asked_to(store: KnowledgeStore) -> None:
    await put(store, passage(1), passage(2))
    assert await put(store, passage(3), keep_missing=True) == SourceImport(1, 0, 0, 0, ())
    assert len(await store.passages("kb")) == 3


async def test_whether_to_keep_what_is_missing_is_asked_after_the_last_passage_was_read(store: KnowledgeStore) -> None:
    await put(store, passage(1), passage(2))
    read: list[str] = []

    def rows() -> Iterator[Passage]:
        yield passage(1)
        read.append("all")

    def keep_missing() -> bool:
        return read == ["all"]

    await store.replace_source("kb", "faq.csv", rows(), keep_missing=keep_missing)
    assert len(await store.passages("kb")) == 2


async def test_a_passage_of_another_source_is_a_conflict_and_left_alone(store: KnowledgeStore) -> None:
    await put(store, passage(1, "first"), source="a.csv")
    assert await put(store, passage(1, "second"), passage(2), source="b.csv") == SourceImport(1, 0, 0, 0, (passage(1).passage_id,))
    assert await store.passages("kb") == (passage(1, "first"), passage(2))
    assert await store.sources("kb") == ("a.csv", "b.csv")


async def test_replacing_a_source_leaves_other_sources_and_other_knowledge_alone(store: KnowledgeStore) -> None:
    await put(store, passage(1), source="a.csv")
    await put(store, passage(1, "elsewhere"), knowledge="other")
    assert (await put(store, passage(2), source="b.csv")).removed == 0
    assert (await put(store, source="b.csv")).removed == 1
    assert await store.passages("kb") == (passage(1),)
    assert await store.passages("other") == (passage(1, "elsewhere"),)
    assert await store.sources("kb") == ("a.csv",)


async def test_of_two_passages_with_one_id_the_last_is_kept_and_counted_once(store: KnowledgeStore) -> None:
    assert await put(store, passage(1, "first"), passage(2), passage(1, "second")) == SourceImport(2, 0, 0, 0, ())
    assert await store.passages("kb") == (passage(1, "second"), passage(2))


@pytest.mark.parametrize("error", [ValueError("row 700 is broken"), OSError("disk"), TimeoutError("slow share")])
async def test_an_error_while_passages_are_read_undoes_everything_and_is_the_readers_own(store: KnowledgeStore, error: Exception) -> None:
    await put(store, passage(1), passage(2))

    def rows() -> Iterator[Passage]:
        yield from (passage(number, "new") for number in range(700))  # more than one batch
        raise error

    with pytest.raises(type(error)) as caught:
        await store.replace_source("kb", "faq.csv", rows(), keep_missing=lambda: False)
    assert caught.value is error
    assert await store.passages("kb") == (passage(1), passage(2))


async def test_an_error_when_asked_what_to_keep_undoes_everything(store: KnowledgeStore) -> None:
    def refuse() -> bool:
        raise KnowledgeError("too many bad rows")

    with pytest.raises(KnowledgeError):
        await store.replace_source("kb", "faq.csv", iter([passage(1)]), keep_missing=refuse)
    assert await store.passages("kb") == ()


async def test_two_thousand_passages_are_imported_in_order_of_their_ids(store: KnowledgeStore) -> None:
    many = [passage(number) for number in range(2000)]
    assert await put(store, *reversed(many)) == SourceImport(2000, 0, 0, 0, ())
    assert await put(store, *many[:1200]) == SourceImport(0, 0, 1200, 800, ())
    assert await store.passages("kb") == tuple(many[:1200])


async def test_concurrent_imports_of_different_sources_all_arrive(store: KnowledgeStore) -> None:
    imports = [put(store, *(passage(10 * number + row) for row in range(10)), source=f"{number}.csv") for number in range(12)]
    assert [done.added for done in await asyncio.gather(*imports)] == [10] * 12
    assert len(await store.passages("kb")) == 120


async def test_concurrent_imports_of_one_source_leave_one_of_them(store: KnowledgeStore) -> None:
    await put(store, passage(1, "old"), passage(2, "old"))
    await asyncio.gather(*(put(store, passage(1, f"{number}"), passage(2, f"{number}")) for number in range(8)))
    texts = [found.text for found in await store.passages("kb")]
    assert len(texts) == 2 and len(set(texts)) == 1 and texts[0] != "old"


async def test_nothing_is_served_before_the_first_release(store: KnowledgeStore) -> None:
    assert await store.active("kb") is None
    assert await store.releases("kb") == ()


async def test_a_new_release_is_served_and_listed_first(store: KnowledgeStore) -> None:
    await publish(store, "v1", "v2")
    assert await store.active("kb") == "v2"
    releases = await store.releases("kb")
    assert [(release.version, release.passages, release.embedder, release.active) for release in releases] == [
        ("v2", 3, "embedder@1", True),
        ("v1", 3, "embedder@1", False),
    ]
    assert all(release.published_at.tzinfo for release in releases)


async def test_an_older_release_can_be_served_again_and_again(store: KnowledgeStore) -> None:
    await publish(store, "v1", "v2", "v3")
    for version in ("v1", "v3", "v1", "v1", "v2"):
        await store.activate("kb", version, "ben")
        assert await store.active("kb") == version
        assert [release.version for release in await store.releases("kb") if release.active] == [version]
    assert [release.version for release in await store.releases("kb")] == ["v3", "v2", "v1"]


async def test_a_version_that_was_never_published_cannot_be_served(store: KnowledgeStore) -> None:
    await publish(store, "v1")
    await publish(store, "v9", knowledge="other")
    with pytest.raises(KnowledgeError, match=r"'v9' is no published version of 'kb'.*frontdesk knowledge list"):
        await store.activate("kb", "v9", "ben")
    assert await store.active("kb") == "v1"


async def test_publishing_a_version_again_lists_it_once_and_serves_it(store: KnowledgeStore) -> None:
    await publish(store, "v1", "v2", "v1")
    assert sorted(release.version for release in await store.releases("kb")) == ["v1", "v2"]
    assert await store.active("kb") == "v1"


async def test_concurrent_releases_are_all_listed_and_one_is_served(store: KnowledgeStore) -> None:
    await asyncio.gather(*(publish(store, f"v{number}") for number in range(10)))
    releases = await store.releases("kb")
    assert {release.version for release in releases} == {f"v{number}" for number in range(10)}
    assert [release.version for release in releases if release.active] == [await store.active("kb")]


async def test_knowledge_is_named_by_its_passages_and_releases_and_by_nothing_asked_for(store: KnowledgeStore) -> None:
    await put(store, passage(1), knowledge="b")
    await publish(store, "v1", knowledge="a")
    await put(store, knowledge="emptied")
    await store.passages("ghost"), await store.sources("ghost"), await store.releases("ghost"), await store.active("ghost")
    assert await store.names() == ("a", "b")


async def test_bad_input_12_an_injected_name_is_a_name(store: KnowledgeStore) -> None:
    name = "kb'; DROP TABLE passages; --"
    await put(store, FULL, source=name, knowledge=name)
    assert (await store.names(), await store.sources(name), await store.passages(name)) == ((name,), (name,), (FULL,))


async def test_a_single_passage_is_written_read_changed_and_taken_out(store: KnowledgeStore) -> None:
    assert await store.put("kb", "console", FULL, None)
    entry = await store.entry("kb", FULL.passage_id)
    assert entry is not None
    assert (entry.passage, entry.source) == (FULL, "console")
    assert entry.updated_at == await store.changed_at("kb")
    assert await store.put("kb", "console", replace(FULL, text="new"), entry.version)
    changed = await store.entry("kb", FULL.passage_id)
    assert changed is not None
    assert changed.passage.text == "new"
    assert await store.remove("kb", FULL.passage_id, changed.version)
    assert await store.entry("kb", FULL.passage_id) is None
    assert await store.changed_at("kb") is None


async def test_of_two_who_change_the_same_passage_the_second_is_told(store: KnowledgeStore) -> None:
    await put(store, passage(1))
    entry = await store.entry("kb", passage(1).passage_id)
    assert entry is not None
    wrote = await asyncio.gather(*(store.put("kb", "console", passage(1, f"by {who}"), entry.version) for who in "abc"))
    assert sum(wrote) == 1
    assert not await store.remove("kb", passage(1).passage_id, entry.version)
    assert not await store.put("kb", "console", passage(1), None), "there is one of this id"


async def test_what_staff_changed_is_left_alone_by_the_next_import_of_its_file(store: KnowledgeStore) -> None:
    await put(store, passage(1), passage(2))
    entry = await store.entry("kb", passage(1).passage_id)
    assert entry is not None
    await store.put("kb", "console", passage(1, "by staff"), entry.version)
    assert (await put(store, passage(1, "of the file"), passage(2))).conflicts == (passage(1).passage_id,)
    assert [one.text for one in await store.passages("kb")] == ["by staff", "text"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("", 4), ("TITLE 2", 1), ("p-0000", 3), ("100%", 1), ("%", 2), ("_", 0), ("\\", 1), ("'; DROP", 1), ("\x00", 4), ("nothing", 0)],
)
async def test_passages_are_found_by_id_title_and_body_literally(store: KnowledgeStore, text: str, found: int) -> None:
    await put(store, passage(1), passage(2), passage(3, "100% sure"), FULL)
    entries = await store.find("kb", text, 10)
    assert (len(entries), await store.count("kb", text)) == (found, found)
    assert list(entries) == sorted(entries, key=lambda one: one.passage.passage_id)
    assert await store.find("kb", text, 10, 2) == entries[2:]


@pytest.mark.parametrize("forged", ["", "no-such", "\x00", "x" * 500])
async def test_an_id_of_no_passage_finds_none(store: KnowledgeStore, forged: str) -> None:
    await put(store, passage(1))
    assert await store.entry("kb", forged) is None
    assert not await store.remove("kb", forged, "version")
    assert await store.entry("other", passage(1).passage_id) is None
