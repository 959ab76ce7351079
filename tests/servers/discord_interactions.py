"""The API of the local Discord: commands, responses to interactions, and what follows them up."""

from __future__ import annotations

from tests.servers.discord_checks import EPHEMERAL, LOADING, check_components
from tests.servers.discord_gateway import Gateway
from tests.servers.discord_messages import create, discard, rewrite, store
from tests.servers.discord_routes import Answer, Asked, route
from tests.servers.discord_state import DiscordError, Interaction, Json, Message, invalid
from tests.servers.discord_wire import message as show

_MESSAGE, _DEFERRED, _DEFERRED_UPDATE, _UPDATE, _AUTOCOMPLETE, _MODAL = 4, 5, 6, 7, 8, 9
_MOST = {1: 100, 2: 15, 3: 15}  # commands of a kind


def _command(space: Gateway, given: Json, guild: int | None, known: list[Json]) -> Json:
    kind = given.get("type", 1)
    if not 1 <= len(given.get("name", "")) <= 32:
        raise invalid("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    if kind == 1 and not 1 <= len(given.get("description", "")) <= 100:
        raise invalid("description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    before = next((one for one in known if (one["type"], one["name"]) == (kind, given["name"])), None)
    blank: Json = {"description": "", "default_member_permissions": None, "nsfw": False, "options": [], "contexts": None}
    made = blank | given | {"type": kind, "application_id": str(space.bot), "version": str(space.snowflake())}
    made |= {"id": before["id"] if before else str(space.snowflake())} | ({"guild_id": str(guild)} if guild else {})
    return made


@route("GET", "/applications/{app}/commands", "list_commands")
@route("GET", "/applications/{app}/guilds/{guild}/commands", "list_guild_commands")
def list_commands(space: Gateway, asked: Asked) -> list[Json]:
    return space.commands.get(asked.at.get("guild"), [])


@route("PUT", "/applications/{app}/commands", "overwrite_commands")
@route("PUT", "/applications/{app}/guilds/{guild}/commands", "overwrite_guild_commands")
def overwrite_commands(space: Gateway, asked: Asked) -> list[Json]:
    guild = asked.at.get("guild")
    known, given = space.commands.get(guild, []), list(asked.json)
    for kind, most in _MOST.items():
        if sum(one.get("type", 1) == kind for one in given) > most:
            raise DiscordError(400, 30032, f"Maximum number of application commands reached ({most})")
    space.commands[guild] = [_command(space, one, guild, known) for one in given]
    return space.commands[guild]


@route("POST", "/applications/{app}/commands", "add_command")
@route("POST", "/applications/{app}/guilds/{guild}/commands", "add_guild_command")
def add_command(space: Gateway, asked: Asked) -> Answer:
    known = space.commands.setdefault(guild := asked.at.get("guild"), [])
    made = _command(space, asked.json, guild, known)
    space.commands[guild] = [one for one in known if one["id"] != made["id"]] + [made]
    return 201, made


@route("POST", "/interactions/{interaction}/{token}/callback", "respond")
def respond(space: Gateway, asked: Asked) -> Answer:
    """The first response; there is one."""
    one = space.interactions.get(asked.at["interaction"])
    if one is None or one.token != asked.at["token"] or _age(space, one) > _first(space, one):
        raise DiscordError(404, 10062, "Unknown interaction")
    if one.response is not None:
        raise DiscordError(400, 40060, "Interaction has already been acknowledged.")
    kind, data = asked.json["type"], asked.json.get("data") or {}
    said = {"type": kind, "data": data}
    _do(space, one, kind, data, asked)
    one.response = said
    space.changed()
    if asked.query.get("with_response") not in ("1", "true"):
        return 204, None
    about: Json = {"id": str(one.id), "type": one.kind, "response_message_loading": kind == _DEFERRED}
    more: Json = {"type": kind}
    if one.original:
        about |= {"response_message_id": str(one.original.id)}
        about |= {"response_message_ephemeral": one.original.ephemeral_for is not None}
    if one.original and kind in (_MESSAGE, _UPDATE):
        more |= {"message": show(space, one.original)}
    return 200, {"interaction": about, "resource": more}


def _do(space: Gateway, one: Interaction, kind: int, data: Json, asked: Asked) -> None:
    channel = space.channels[one.channel]
    if kind in (_DEFERRED_UPDATE, _UPDATE) and (one.message is None or one.kind not in (3, 5)):
        raise invalid("type", "INTERACTION_TYPE_INVALID", "There is no message to update.")
    if kind == _MESSAGE:
        one.original = create(space, channel, space.bot, data, asked.files, one, kind=_kind(one))
    elif kind == _DEFERRED:
        flags = LOADING | (data.get("flags") or 0) & EPHEMERAL
        empty = Message(space.snowflake(), channel.id, space.bot, kind=_kind(one), flags=flags, interaction=one, at=space.clock())
        one.original = store(space, channel, empty)
    elif kind == _DEFERRED_UPDATE:
        one.original = one.message
    elif kind == _UPDATE and one.message:
        one.original = rewrite(space, one.message, data, asked.files)
    elif kind == _MODAL:
        if one.kind == 5:
            raise invalid("type", "INTERACTION_TYPE_INVALID", "A modal does not follow a modal.")
        if not 1 <= len(data.get("custom_id", "")) <= 100 or not 1 <= len(data.get("title", "")) <= 45:
            raise invalid("title", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 45 in length.")
        check_components(data.get("components", []))
        space.modals.append(one)
    elif kind != _AUTOCOMPLETE:
        raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of {4, 5, 6, 7, 8, 9}.")


def _kind(one: Interaction) -> int:
    """What kind of message it makes."""
    return {2: 23 if one.data.get("target_id") else 20}.get(one.kind, 0)


def _age(space: Gateway, one: Interaction) -> float:
    return space.clock() - one.born


def _first(space: Gateway, one: Interaction) -> float:
    return space.first_seconds if one.response is None else space.token_seconds


def _of_token(space: Gateway, asked: Asked) -> Interaction:
    one = next((each for each in space.interactions.values() if each.token == asked.at["token"]), None)
    if one is None or _age(space, one) > space.token_seconds:
        raise DiscordError(401, 50027, "Invalid Webhook Token")
    if one.response is None:
        raise DiscordError(404, 10015, "Unknown Webhook")
    return one


def _meant(space: Gateway, asked: Asked) -> tuple[Interaction, Message]:
    one, id_ = _of_token(space, asked), asked.at["message"]
    among = [one.original, *one.followups]
    found = one.original if id_ == "@original" else next((each for each in among if each and each.id == id_), None)
    if found is None or found.deleted:
        raise DiscordError(404, 10008, "Unknown Message")
    return one, found


@route("POST", "/webhooks/{app}/{token}", "follow_up")
def follow_up(space: Gateway, asked: Asked) -> Json:
    """One more message; the first one after a deferral takes its place."""
    one = _of_token(space, asked)
    if one.original and one.original.flags & LOADING:
        return show(space, rewrite(space, one.original, asked.json, asked.files))
    said = create(space, space.channels[one.channel], space.bot, asked.json, asked.files, one)
    one.followups.append(said)
    return show(space, said)


@route("GET", "/webhooks/{app}/{token}/messages/{message}", "get_followup")
def get_followup(space: Gateway, asked: Asked) -> Json:
    return show(space, _meant(space, asked)[1])


@route("PATCH", "/webhooks/{app}/{token}/messages/{message}", "edit_followup")
def edit_followup(space: Gateway, asked: Asked) -> Json:
    return show(space, rewrite(space, _meant(space, asked)[1], asked.json, asked.files))


@route("DELETE", "/webhooks/{app}/{token}/messages/{message}", "delete_followup")
def delete_followup(space: Gateway, asked: Asked) -> None:
    discard(space, _meant(space, asked)[1])
