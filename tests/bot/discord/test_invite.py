"""The address that adds the bot: no permission that nothing uses, nothing that lacks one, and a token that is never shown."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import discord
import pytest
from click.testing import CliRunner, Result

from bot.cli import cli
from bot.discord.invite import (
    CREATE_THREADS,
    MANAGE_THREADS,
    PERMISSIONS,
    READ_HISTORY,
    SEND,
    SEND_IN_THREADS,
    VIEW,
    Permission,
    application_id,
    invite,
    permissions,
)
from core.errors import DeliveryError, SettingsError
from tests.bot.discord.conftest import OpenOffice
from tests.bot.discord.office import REFUNDS, STAFF_ROOM, Office
from tests.servers.discord_state import ANN, ANSWERED, BOT_ROLE, FORUM, GUILD, HELP, OF_EVERYONE, STAFF, Role

ID = "1234567890123456789"
SECRET = "never-to-be-shown"
TOKEN = f"{base64.urlsafe_b64encode(ID.encode()).decode().rstrip('=')}.Gx8jQ2.{SECRET}"
EVERYTHING = {"thread", "post", "tag", "staff", "found again"}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["discord", "invite", *arguments])


def asked_by(address: str) -> dict[str, str]:
    assert address.startswith("https://discord.com/oauth2/authorize?")
    return {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}


def only_these(office: Office, granted: tuple[Permission, ...]) -> None:
    """The bot may do what its own role grants, and customers what theirs does."""
    guild, customers = office.discord.guilds[GUILD], STAFF + 1000
    guild.roles[customers] = Role(customers, "Customers", OF_EVERYONE)
    guild.members[ANN] = [customers]
    guild.roles[GUILD].permissions = 0
    guild.roles[BOT_ROLE].permissions = sum(one.bit for one in granted)


async def what_works(office: Office) -> set[str]:
    server = office.discord
    asked = await server.say(ANN, HELP, REFUNDS, mention=True)
    post = await server.post(ANN, FORUM, "Refund", REFUNDS)
    await server.say(ANN, HELP, "I want a person", mention=True)
    await office.quiet()
    works = {"thread"} if office.texts(asked.id) else set()
    works |= {"post"} if office.texts(post.id) else set()
    works |= {"tag"} if ANSWERED in server.channels[post.id].applied else set()
    works |= {"staff"} if office.texts(STAFF_ROOM) else set()
    if works:
        said_in = asked.id if asked.id in server.channels else HELP
        try:
            works |= {"found again"} if await office.parts.live._rest.mine_after(str(said_in), 0) else set()
        except DeliveryError:
            return works
    return works


async def test_with_just_these_permissions_everything_works(open_office: OpenOffice) -> None:
    office = await open_office(staff_channel=str(STAFF_ROOM))
    only_these(office, PERMISSIONS)
    assert await what_works(office) == EVERYTHING


@pytest.mark.parametrize(
    ("without", "lost"),
    [
        (VIEW, EVERYTHING),
        (SEND, {"staff"}),
        (SEND_IN_THREADS, {"thread", "post", "tag", "found again"}),
        (READ_HISTORY, {"found again"}),
        (CREATE_THREADS, {"thread"}),
        (MANAGE_THREADS, {"tag"}),
    ],
    ids=lambda value: value.label if isinstance(value, Permission) else "",
)
async def test_without_any_of_them_something_does_not_work(open_office: OpenOffice, without: Permission, lost: set[str]) -> None:
    office = await open_office(staff_channel=str(STAFF_ROOM))
    only_these(office, tuple(one for one in PERMISSIONS if one is not without))
    assert EVERYTHING - await what_works(office) == lost


def test_the_bits_and_names_are_those_of_discord() -> None:
    names = "view_channel send_messages send_messages_in_threads read_message_history create_public_threads manage_threads"
    given = dict.fromkeys(names.split(), True)
    assert sum(one.bit for one in PERMISSIONS) == discord.Permissions(**given).value == 326_417_583_104
    for one, name in zip(PERMISSIONS, names.split(), strict=True):
        assert discord.Permissions(**{name: True}).value == one.bit
        assert one.label.lower().removesuffix("s") == name.replace("_", " ").removesuffix("s")


def test_the_address_asks_for_the_bot_its_commands_and_the_permissions() -> None:
    assert asked_by(invite(ID)) == {"client_id": ID, "scope": "bot applications.commands", "permissions": "326417583104"}
    assert "scope=bot%20applications.commands" in invite(ID)
    assert asked_by(invite(ID, "42")) == asked_by(invite(ID)) | {"guild_id": "42", "disable_guild_select": "true"}


def test_minimal_does_without_the_permission_that_only_tags_need() -> None:
    assert set(PERMISSIONS) - set(permissions(minimal=True)) == {MANAGE_THREADS}
    assert int(asked_by(invite(ID, minimal=True))["permissions"]) == 326_417_583_104 - MANAGE_THREADS.bit


@pytest.mark.parametrize(
    ("token", "id_"),
    [
        (TOKEN, ID),
        (f" {TOKEN}\n", ID),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4.a.b", "123456789012345678"),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4.a", None),
        ("MTIzNDU2Nzg5MDEyMzQ1Njc4..", None),
        (f"Bot {TOKEN}", None),
        (ID, None),
        ("a.b.c", None),
        ("bm90IGEgbnVtYmVy.a.b", None),
        ("/w==.a.b", None),
        ("é.a.b", None),
        ("0123456789abcdef0123456789abcdef", None),
        ("", None),
    ],
)
def test_the_id_of_the_application_is_the_first_part_of_its_token(token: str, id_: str | None) -> None:
    assert application_id(token) == id_


def test_the_command_prints_the_address_alone_and_says_beside_it_what_each_permission_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_BOT_TOKEN", TOKEN)
    done = run()
    assert (done.exit_code, done.stdout) == (0, invite(ID) + "\n")
    assert all(one.label in done.stderr and one.lost in done.stderr for one in PERMISSIONS)
    assert SECRET not in done.output
    narrow = run("--minimal", "--guild", ID)
    assert (narrow.stdout, "Manage Threads" in narrow.stderr) == (invite(ID, ID, minimal=True) + "\n", False)


def test_an_id_that_is_given_needs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISCORD_BOT_TOKEN", raising=False)
    assert run("--client-id", "123456789012345678").stdout == invite("123456789012345678") + "\n"


@pytest.mark.parametrize(("token", "told"), [("", "There is no Discord bot token"), (SECRET, "The Discord bot token is none")])
def test_no_token_and_a_wrong_one_are_told_with_where_to_get_it(monkeypatch: pytest.MonkeyPatch, token: str, told: str) -> None:
    monkeypatch.setenv("DISCORD_BOT_TOKEN", token)
    done = run()
    assert isinstance(done.exception, SettingsError)
    said = str(done.exception)
    assert told in said
    assert "Bot > Reset Token" in said
    assert "--client-id" in said
    assert SECRET not in said + done.output


@pytest.mark.parametrize(
    "arguments", [("--client-id", "frontdesk"), ("--guild", "12"), ("--client-id", "１２３４５６７８９０１２３４５６７８")]
)
def test_what_is_no_id_is_wrong_usage_and_prints_no_address(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout, "17 to 20 digits" in done.stderr) == (2, "", True)
