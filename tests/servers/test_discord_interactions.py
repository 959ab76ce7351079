"""Interactions of the local Discord, answered by the unmodified discord.py: buttons, menus, modals, commands, and tokens that run out."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any, Self

import discord
import pytest
from discord import app_commands, ui

from tests.servers.discord import DiscordPlatform, pointed_at
from tests.servers.discord_client import Bot, refused
from tests.servers.discord_state import ANN, BOB, BOT, GUILD, HELP, Interaction


@pytest.fixture
async def server() -> AsyncIterator[DiscordPlatform]:
    async with asyncio.timeout(30), DiscordPlatform() as started:
        with pointed_at(started):
            yield started


class Rating(ui.DynamicItem[ui.Button[Any]], template=r"rate:(?P<answer>\d+):(?P<mark>[ud])"):
    """Keeps what it is about in its name."""

    def __init__(self, answer: str, mark: str) -> None:
        super().__init__(ui.Button(label=mark, custom_id=f"rate:{answer}:{mark}"))
        self.answer, self.mark = answer, mark

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], __: ui.Item[Any], match: re.Match[str]) -> Self:
        return cls(match["answer"], match["mark"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.edit_message(content=f"{self.answer} was {self.mark}", view=None)


class Comment(ui.Modal, title="What was wrong?"):
    text: ui.Label[Any] = ui.Label(text="Text", component=ui.TextInput(custom_id="text", style=discord.TextStyle.paragraph))

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        assert isinstance(self.text.component, ui.TextInput)
        await interaction.response.send_message(f"noted: {self.text.component.value}", ephemeral=True)


class Panel(ui.View):
    """Lasts as long as the client."""

    def __init__(self) -> None:
        super().__init__(timeout=None)

    @ui.button(label="Comment", custom_id="panel:comment")
    async def comment(self, interaction: discord.Interaction[Any], _: ui.Button[Any]) -> None:
        await interaction.response.send_modal(Comment(custom_id="comment"))

    @ui.select(custom_id="panel:topic", options=[discord.SelectOption(label=one) for one in ("parcels", "bills")])
    async def topic(self, interaction: discord.Interaction[Any], menu: ui.Select[Any]) -> None:
        await interaction.response.defer()
        await interaction.followup.send(f"{interaction.user.name} asks of {menu.values[0]}", ephemeral=True)

    @ui.select(cls=ui.UserSelect, custom_id="panel:who")
    async def who(self, interaction: discord.Interaction[Any], menu: ui.UserSelect[Any]) -> None:
        await interaction.response.send_message(f"for {menu.values[0].name}")


async def prepare(bot: Bot) -> None:
    @bot.tree.command(description="Ask")
    async def ask(interaction: discord.Interaction[Bot], question: str, loud: bool = False) -> None:
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content=question.upper() if loud else question)
        await interaction.followup.send("anything else?")

    group = app_commands.Group(name="faq", description="The FAQ")

    @group.command(description="Show it to somebody")
    async def show(interaction: discord.Interaction[Bot], to: discord.Member) -> None:
        await interaction.response.send_message(f"shown to {to.mention}", ephemeral=True)

    @bot.tree.context_menu(name="Answer this")
    async def answer(interaction: discord.Interaction[Bot], message: discord.Message) -> None:
        await interaction.response.send_message(f"{message.author.name} said {message.content}")

    bot.tree.add_command(group)
    bot.add_view(Panel())
    bot.add_dynamic_items(Rating)
    await bot.tree.sync()


@pytest.fixture
async def bot(server: DiscordPlatform) -> AsyncIterator[Bot]:
    async with Bot(prepare=prepare).running(server.token) as client:
        yield client


async def responded(server: DiscordPlatform, one: Interaction) -> Interaction:
    await server.until(lambda: one.response)
    return one


async def test_commands_are_registered_and_keep_their_ids(server: DiscordPlatform, bot: Bot) -> None:
    before = {one["name"]: one["id"] for one in server.commands[None]}
    assert set(before) == {"ask", "faq", "Answer this"}
    await bot.tree.sync()
    assert {one["name"]: one["id"] for one in server.commands[None]} == before
    bot.tree.copy_global_to(guild=discord.Object(GUILD))
    assert [one.guild_id for one in await bot.tree.sync(guild=discord.Object(GUILD))] == [GUILD] * 3
    assert {one.name for one in await bot.tree.fetch_commands()} == set(before)


async def test_a_slash_command_is_deferred_then_answered(server: DiscordPlatform, bot: Bot) -> None:
    asked = await server.command(ANN, HELP, "ask", {"question": "why?", "loud": True})
    await server.until(lambda: asked.followups)
    assert (asked.response or {})["type"] == 5
    assert asked.original
    assert (asked.original.content, asked.original.kind, asked.original.flags) == ("WHY?", 20, 0)
    assert [one.content for one in server.by_bot(HELP)] == ["WHY?", "anything else?"]
    heard = await bot.hears("interaction")
    assert (heard.user.id, heard.guild.id, heard.channel.id, heard.locale) == (ANN, GUILD, HELP, discord.Locale.american_english)


async def test_a_command_in_a_group_takes_somebody_and_answers_to_one_person_only(server: DiscordPlatform, bot: Bot) -> None:
    asked = await responded(server, await server.command(ANN, HELP, "faq show", {"to": BOB}))
    (said,) = server.ephemerals
    assert (said.content, said.ephemeral_for, server.by_bot()) == (f"shown to <@{BOB}>", ANN, [])
    assert asked.original is said


async def test_a_command_of_the_menu_of_a_message_gets_its_content(server: DiscordPlatform, bot: Bot) -> None:
    said = await server.say(BOB, HELP, "it broke")
    asked = await responded(server, await server.context(ANN, said, "Answer this"))
    assert asked.original
    assert asked.original.content == "bob said it broke"


async def test_a_button_of_an_earlier_process_changes_its_message(server: DiscordPlatform, bot: Bot) -> None:
    view = ui.View(timeout=None)
    view.add_item(Rating("42", "u"))
    said = await bot.text(HELP).send("the answer", view=view)
    view.stop()
    pressed, _ = [await responded(server, one) for one in [await server.press(who, said.id, "rate:42:u") for who in (ANN, BOB)]]
    (stored,) = server.by_bot()
    assert ((pressed.response or {})["type"], stored.content, stored.components) == (7, "42 was u", [])
    with pytest.raises(AssertionError):
        await server.press(BOB, said.id, "rate:42:u")


async def test_a_modal_is_opened_by_a_button_and_submitted(server: DiscordPlatform, bot: Bot) -> None:
    said = await bot.text(HELP).send("panel", view=Panel())
    pressed = await responded(server, await server.press(ANN, said.id, "panel:comment"))
    assert pressed.modal
    assert pressed.modal["title"] == "What was wrong?"
    sent = await responded(server, await server.submit(ANN, "comment", {"text": "all of it"}))
    assert sent.original
    assert (sent.original.content, sent.original.ephemeral_for) == ("noted: all of it", ANN)
    assert server.modals == []


async def test_menus_give_what_is_chosen_in_them(server: DiscordPlatform, bot: Bot) -> None:
    said = await bot.text(HELP).send("panel", view=Panel())
    chosen = await server.choose(ANN, said.id, "panel:topic", "bills")
    await server.until(lambda: chosen.followups)
    assert chosen.followups[0].content == "ann asks of bills"
    named = await responded(server, await server.choose(ANN, said.id, "panel:who", str(BOB)))
    assert named.original
    assert named.original.content == "for bob"


async def test_a_button_in_a_direct_conversation_works_too(server: DiscordPlatform, bot: Bot) -> None:
    said = await (await bot.fetch_user(ANN)).send("panel", view=Panel())
    assert (await responded(server, await server.press(ANN, said.id, "panel:comment"))).modal
    assert (await bot.hears("interaction")).user.id == ANN


async def test_a_response_that_is_late_or_the_second_is_refused(server: DiscordPlatform) -> None:
    async with Bot().running(server.token) as bot:
        said = await bot.text(HELP).send("panel", view=(view := ui.View(timeout=None).add_item(ui.Button(custom_id="b", label="b"))))
        view.stop()
        await server.press(ANN, said.id, "b")
        first = await bot.hears("interaction")
        await first.response.defer(ephemeral=True, thinking=True)
        first.response._response_type = None  # the library would not ask
        assert await refused(first.response.send_message("again")) == (400, 40060)
        await first.edit_original_response(content="in time")
        await server.press(ANN, said.id, "b")
        second = await bot.hears("interaction", 2)
        server.clock = lambda: time.time() + 31
        assert await refused(second.response.defer()) == (404, 10062)
        server.clock = lambda: time.time() + 901
        assert await refused(first.edit_original_response(content="too late")) == (401, 50027)
        assert [one.content for one in server.ephemerals] == ["in time"]
        assert server.invalid == 1


async def test_a_deferral_is_shown_as_waiting_and_its_first_follow_up_takes_its_place(server: DiscordPlatform) -> None:
    async with Bot(prepare=lambda one: one.tree.sync()) as client:
        await client.login(server.token)
        server.commands[None] = [{"id": "1", "name": "wait", "type": 1}]
    async with Bot().running(server.token) as bot:
        asked = await server.command(ANN, HELP, "wait")
        heard = await bot.hears("interaction")
        await heard.response.defer(thinking=True)
        assert asked.original
        assert asked.original.flags == 1 << 7
        await heard.followup.send("here")
        assert [(one.content, one.flags) for one in server.by_bot()] == [("here", 0)]
        await heard.delete_original_response()
        assert server.by_bot() == []


async def test_components_that_are_wrong_are_refused(server: DiscordPlatform) -> None:
    async with Bot() as bot:
        await bot.login(server.token)
        twice = ui.View(timeout=None).add_item(ui.Button(custom_id="a", label="a")).add_item(ui.Button(custom_id="a", label="b"))
        assert await refused(bot.text(HELP).send("x", view=twice)) == (400, 50035)
        card = ui.LayoutView(timeout=None)
        card.add_item(ui.Container(ui.TextDisplay("Handed over"), ui.ActionRow(ui.Button(custom_id="take", label="Take"))))
        said = await bot.text(HELP).send(view=card)
        assert said.flags.components_v2
        assert await refused(said.edit(content="x")) == (400, 50035)
        for one in (twice, card):
            one.stop()
    (stored,) = server.by_bot()
    assert (stored.author, stored.components[0]["type"]) == (BOT, 17)
