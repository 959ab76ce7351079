"""What the local Discord's API and gateway show of people, guilds, channels and messages."""

from __future__ import annotations

from typing import Any

from tests.servers.discord_state import (
    DIRECT,
    FORUM_KIND,
    GUILD,
    Can,
    Channel,
    Guild,
    Interaction,
    Json,
    Message,
    Person,
    Role,
    World,
    stamp,
)

_JOINED = "2026-01-01T00:00:00.000000+00:00"
_LIMIT = 10 * 2**20  # bytes of an attachment


def user(person: Person) -> Json:
    """A user."""
    shown = {"id": str(person.id), "username": person.name, "global_name": person.name.title(), "discriminator": "0"}
    nothing = dict.fromkeys(("avatar", "banner", "accent_color", "avatar_decoration_data", "collectibles", "primary_guild"))
    return shown | nothing | {"public_flags": 0, "flags": 0, "bot": person.is_bot, "system": False}


def member(space: World, guild: Guild, id_: int, with_user: bool = True) -> Json:
    """Somebody in a guild."""
    nothing = dict.fromkeys(("nick", "avatar", "banner", "communication_disabled_until", "premium_since"))
    shown = nothing | {"roles": [str(one) for one in guild.members.get(id_, [])], "joined_at": _JOINED}
    person = space.people[id_]
    shown |= {"flags": 1 << 4 if person.is_guest else 0, "pending": person.is_pending, "mute": False, "deaf": False}
    return shown | ({"user": user(space.people[id_])} if with_user else {})


def role(space: World, one: Role, position: int = 1) -> Json:
    """A role."""
    colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    shown = {"id": str(one.id), "name": one.name, "permissions": str(int(one.permissions)), "position": position, "color": 0}
    shown |= {"colors": colors, "hoist": False, "managed": one.of_bot, "mentionable": one.mentionable, "icon": None}
    shown |= {"unicode_emoji": None, "flags": 0}
    return shown | ({"tags": {"bot_id": str(space.bot)}} if one.of_bot else {})


def roles(space: World, guild: Guild) -> list[Json]:
    """The roles of a guild."""
    return [role(space, one, position) for position, one in enumerate(guild.roles.values())]


def channel(space: World, one: Channel) -> Json:
    """A channel, thread or direct conversation."""
    last = str(one.messages[-1].id) if one.messages else None
    shown: Json = {"id": str(one.id), "type": one.kind, "flags": one.flags, "last_message_id": last}
    if one.kind == DIRECT:
        return shown | {"recipients": [user(space.people[one.recipient or 0])]}
    shown |= {"guild_id": str(one.guild), "name": one.name, "parent_id": str(one.parent) if one.parent else None}
    shown |= {"rate_limit_per_user": 0, "last_pin_timestamp": None}
    if one.is_thread:
        return shown | _thread(one)
    roles_of = space.guilds[one.guild or 0].roles
    denied = [
        {"id": str(id_), "type": 0 if id_ in roles_of else 1, "allow": "0", "deny": str(int(bits))} for id_, bits in one.denied.items()
    ]
    shown |= {"position": 0, "permission_overwrites": denied, "topic": None, "nsfw": False, "default_auto_archive_duration": 1440}
    if one.kind == FORUM_KIND:
        shown |= {"available_tags": one.tags, "default_reaction_emoji": None, "default_sort_order": None, "default_forum_layout": 0}
    return shown


def _thread(one: Channel) -> Json:
    about = {"archived": one.archived, "locked": one.locked, "auto_archive_duration": one.auto_archive, "invitable": False}
    about |= {"archive_timestamp": stamp(one.at), "create_timestamp": stamp(one.at)}
    counted = len([message for message in one.messages if not message.deleted])
    shown = {"owner_id": str(one.owner), "thread_metadata": about, "message_count": counted, "total_message_sent": len(one.messages)}
    return shown | {"member_count": len(one.members), "applied_tags": [str(tag) for tag in one.applied]}


def thread_member(one: Channel, id_: int) -> Json:
    """Somebody in a thread."""
    return {"id": str(one.id), "user_id": str(id_), "join_timestamp": stamp(one.at), "flags": 0}


def guild(space: World, one: Guild) -> Json:
    """A guild as the API gives it."""
    nothing = "icon splash discovery_splash description home_header banner application_id afk_channel_id system_channel_id"
    nothing += " widget_channel_id vanity_url_code rules_channel_id public_updates_channel_id safety_alerts_channel_id incidents_data"
    zeros = "system_channel_flags default_message_notifications mfa_level explicit_content_filter verification_level premium_tier"
    shown: Json = dict.fromkeys(nothing.split()) | dict.fromkeys(f"{zeros} nsfw_level premium_subscription_count".split(), 0)
    shown |= {"id": str(one.id), "name": one.name, "owner_id": str(one.owner), "features": [], "region": "us-east", "afk_timeout": 300}
    shown |= {"widget_enabled": False, "roles": roles(space, one), "preferred_locale": one.locale, "nsfw": False, "emojis": []}
    shown |= {"stickers": [], "max_presences": None, "max_members": 500_000, "max_video_channel_users": 25}
    return shown | {"max_stage_video_channel_users": 50, "premium_progress_bar_enabled": False}


def my_guild(space: World, one: Guild) -> Json:
    """A guild in the list of those that the bot is in."""
    granted = 0
    for id_ in (one.id, *one.members[space.bot]):
        granted |= one.roles[id_].permissions
    shown: Json = {"id": str(one.id), "name": one.name, "icon": None, "banner": None, "owner": one.owner == space.bot, "features": []}
    return shown | {"permissions": str(int(granted))}


def guild_create(space: World, one: Guild) -> Json:
    """A guild as the gateway gives it: with what is in it, and nobody but the bot."""
    there = [each for each in space.channels.values() if each.guild == one.id and space.allowed(space.bot, each) & Can.VIEW_CHANNEL]
    shown = guild(space, one) | {"joined_at": _JOINED, "large": False, "unavailable": False, "member_count": len(one.members)}
    empty = "voice_states presences stage_instances guild_scheduled_events soundboard_sounds".split()
    shown |= {name: [] for name in empty} | {"members": [member(space, one, space.bot)]}
    shown["channels"] = [channel(space, each) for each in there if not each.is_thread]
    return shown | {"threads": [channel(space, each) for each in there if each.is_thread and not each.archived]}


def message(space: World, one: Message, withhold: bool = False, deep: bool = True) -> Json:
    """A message; with `withhold`, as somebody without the intent for contents sees it."""
    given = space.people
    shown: Json = {"id": str(one.id), "channel_id": str(one.channel), "author": user(given[one.author]), "type": one.kind}
    names = ("content", "embeds", "components", "attachments")
    shown |= {name: getattr(one, name) for name in (*names, "flags", "mention_everyone")}
    shown |= {"mentions": [user(given[id_]) for id_ in one.mentions if id_ in given], "timestamp": stamp(one.at)}
    shown |= {"mention_roles": [str(id_) for id_ in one.mention_roles], "edited_timestamp": stamp(one.edited)}
    shown |= {"pinned": False, "tts": False, "sticker_items": one.stickers} | ({"webhook_id": str(one.webhook)} if one.webhook else {})
    if withhold and not _open(space, one):
        shown |= {"content": "", "embeds": [], "components": [], "attachments": []}
    if one.nonce is not None:
        shown["nonce"] = one.nonce
    if one.reactions:
        shown["reactions"] = [_reaction(space, name, who) for name, who in one.reactions.items()]
    if one.thread and one.thread in space.channels:
        shown["thread"] = channel(space, space.channels[one.thread])
    if one.reference:
        shown |= _reference(space, one, withhold, deep)
    return shown | (_of_interaction(space, one.interaction) if one.interaction else {})


def _reaction(space: World, name: str, who: list[int]) -> Json:
    shown = {"emoji": {"id": None, "name": name}, "count": len(who), "me": space.bot in who, "me_burst": False, "burst_colors": []}
    return shown | {"burst_me": False, "burst_count": 0, "count_details": {"burst": 0, "normal": len(who)}}


def _open(space: World, one: Message) -> bool:
    """Whether its content is shown to everybody: the bot's own, direct ones, and those that mention it."""
    return one.author == space.bot or space.channels[one.channel].kind == DIRECT or space.bot in one.mentions


def _reference(space: World, one: Message, withhold: bool, deep: bool) -> Json:
    assert one.reference
    place, id_ = one.reference
    shown: Json = {"type": 0, "channel_id": str(place), "message_id": str(id_)}
    if where := space.channels[place].guild:
        shown["guild_id"] = str(where)
    found = space.find(place, id_)
    answer: Json = {"message_reference": shown}
    if deep:
        answer["referenced_message"] = message(space, found, withhold, deep=False) if found else None
    return answer


def _of_interaction(space: World, one: Interaction) -> Json:
    owners = {"0": str(space.channels[one.channel].guild or 0)}
    about: Json = {"id": str(one.id), "type": one.kind, "user": user(space.people[one.user]), "authorizing_integration_owners": owners}
    if one.kind == 3 and one.message:
        about["interacted_message_id"] = str(one.message.id)
    if one.kind == 2 and one.message:
        about["target_message_id"] = str(one.message.id)
    return {"interaction_metadata": about, "webhook_id": str(space.bot), "application_id": str(space.bot)}


def message_event(space: World, one: Message, withhold: bool) -> Json:
    """A message as the gateway gives it."""
    shown = message(space, one, withhold) | {"channel_type": space.channels[one.channel].kind}
    place = space.guilds.get(space.channels[one.channel].guild or 0)
    if place is None:
        return shown
    shown |= {"guild_id": str(place.id), "member": member(space, place, one.author, with_user=False)}
    for each in shown["mentions"]:
        each["member"] = member(space, place, int(each["id"]), with_user=False)
    return shown


def interaction(space: World, one: Interaction) -> Json:
    """An interaction as the gateway gives it."""
    where, person = space.channels[one.channel], space.people[one.user]
    shown: Json = {"id": str(one.id), "application_id": str(space.bot), "type": one.kind, "data": one.data, "token": one.token}
    shown |= {"version": 1, "channel": channel(space, where), "channel_id": str(where.id), "locale": person.locale, "entitlements": []}
    shown |= {"app_permissions": str(int(space.allowed(space.bot, where))), "attachment_size_limit": _LIMIT}
    shown |= {"authorizing_integration_owners": {"0": str(where.guild or 0)}, "context": 0 if where.guild else 1}
    if one.message and one.kind != 2:
        shown["message"] = message(space, one.message)
    if (place := space.guilds.get(where.guild or 0)) is None:
        return shown | {"user": user(person)}
    who = member(space, place, one.user) | {"permissions": str(int(space.allowed(one.user, where)))}
    brief = {"id": str(place.id), "locale": place.locale, "features": []}
    return shown | {"guild_id": str(place.id), "guild_locale": place.locale, "guild": brief, "member": who}


def application(space: World) -> Json:
    """The application."""
    bot = user(space.people[space.bot])
    nothing = "icon role_connections_verification_url team".split()
    flags = (1 << 19 if space.privileged_content else 0) | (1 << 15 if space.privileged_members else 0)  # the limited kinds
    shown: Json = dict.fromkeys(nothing) | {"id": str(space.bot), "name": "Frontdesk", "description": "", "type": None, "bot": bot}
    shown |= {"interactions_endpoint_url": space.interactions_url or None}
    shown |= {"bot_public": False, "bot_require_code_grant": False, "verify_key": "0" * 64, "flags": flags, "flags_new": str(flags)}
    counts = "approximate_guild_count approximate_user_install_count approximate_user_authorization_count explicit_content_filter"
    owner: Any = next((space.people[one.owner] for one in space.guilds.values()), Person(GUILD, "owner"))
    shown |= dict.fromkeys(counts.split(), 0) | {"owner": user(owner), "redirect_uris": [], "eligible_oauth2_scopes": []}
    return shown | {"rpc_origins": [], "tags": []}
