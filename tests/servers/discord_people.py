"""What people do in the local Discord: they write, post, edit, press, submit; the bot is told over the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers import discord_wire as wire
from tests.servers.discord_checks import every
from tests.servers.discord_gateway import Gateway
from tests.servers.discord_messages import create, discard, post_in, rewrite, sendable, start_of, start_thread
from tests.servers.discord_methods import react
from tests.servers.discord_routes import remove_channel
from tests.servers.discord_state import GUILD, TEXT, Can, Channel, Guild, Interaction, Json, Message, Person

_TYPES = {str: 3, bool: 5, int: 4, float: 10}  # of options of commands
_SELECTS = (3, 5, 6, 7, 8)
_KINDS = {2: "users", 5: "users", 6: "roles", 7: "users", 8: "channels"}


@dataclass(eq=False)
class People(Gateway):
    """Verbs. Messages are told to the bot before a verb returns, as far as the socket of the gateway takes them."""

    async def say(
        self,
        user: int,
        channel: int,
        text: str,
        reply_to: int | None = None,
        mention: bool = False,
        ping: bool = True,
        attachments: Sequence[Json] = (),
        tell: bool = True,
        **more: Any,
    ) -> Message:
        """Somebody writes; with `mention`, to the bot by name, with `reply_to`, to a message, whose author it mentions with `ping`.

        Without `tell` the gateway loses it. `more` are fields of the message, as `flags` or `kind`.
        """
        place = self.channels[channel]
        sendable(self, place, user)
        payload: Json = {"content": f"<@{self.bot}> {text}" if mention else text}
        if reply_to:
            payload |= {"message_reference": {"message_id": reply_to}, "allowed_mentions": {"parse": ["users", "roles", "everyone"]}}
            payload["allowed_mentions"]["replied_user"] = ping
        sessions = self.sessions
        self.sessions = sessions if tell else {}
        try:
            said = create(self, place, user, payload, **more, **({"attachments": [*attachments]} if attachments else {}))
        finally:
            self.sessions = sessions
        return await self._after(said)

    @staticmethod
    async def _after(done: Any) -> Any:
        await asyncio.sleep(0)  # the writers of the sockets run
        return done

    async def direct(self, user: int, text: str, **more: Any) -> Message:
        """Somebody writes to the bot alone."""
        return await self.say(user, self.direct_with(user).id, text, **more)

    async def post(self, user: int, forum: int, title: str, text: str, tags: Sequence[int] = (), message_first: bool = False) -> Message:
        """Somebody posts in a forum: two events, in either order. The message that begins it has the id of the thread."""
        thread = post_in(self, self.channels[forum], user, title, tags)
        if not message_first:
            self.tell_thread("THREAD_CREATE", thread)
        said = create(self, thread, user, {"content": text}, id=thread.id)
        if message_first:
            self.tell_thread("THREAD_CREATE", thread)
        return await self._after(said)

    async def start_thread(self, user: int, message: int, name: str) -> Channel:
        """Somebody begins a thread with a message."""
        root = self.standing(message)
        thread = start_thread(self, self.channels[root.channel], user, name, root)
        start_of(self, thread, root)
        return await self._after(thread)

    def standing(self, message: int | Message) -> Message:
        """The message with an id, wherever it is."""
        if isinstance(message, Message):
            return message
        among = [*(one for at in self.channels.values() for one in at.messages), *self.ephemerals]
        return next(one for one in among if one.id == message and one.kind != 21)

    async def edit(self, message: int | Message, text: str) -> Message:
        """The author edits."""
        return await self._after(rewrite(self, self.standing(message), {"content": text}))

    async def unfurl(self, message: int | Message, title: str = "A page") -> Message:
        """A link of it is shown: an update that is no edit."""
        found = self.standing(message)
        found.embeds = [{"type": "link", "url": "https://example.com/", "title": title}]
        self.tell("MESSAGE_UPDATE", found)
        return await self._after(found)

    async def remove(self, message: int | Message) -> Message:
        """It is deleted."""
        discard(self, found := self.standing(message))
        return await self._after(found)

    async def purge(self, channel: int, *messages: Message) -> None:
        """A moderator deletes many messages of a channel at once."""
        for one in messages:
            one.deleted = True
        said = {"ids": [str(one.id) for one in messages], "channel_id": str(channel), "guild_id": str(self.channels[channel].guild)}
        self.emit("MESSAGE_DELETE_BULK", self.channels[channel], lambda _: said)
        await self._after(None)

    async def react(self, user: int, message: int | Message, emoji: str) -> None:
        """Somebody adds a reaction."""
        react(self, self.standing(message), user, emoji)
        await self._after(None)

    async def typing(self, user: int, channel: int) -> None:
        """Somebody types."""
        place = self.channels[channel]
        place.typed.append(user)
        said = {"channel_id": str(channel), "user_id": str(user), "timestamp": int(self.clock())}
        if guild := self.guilds.get(place.guild or 0):
            said |= {"guild_id": str(guild.id), "member": wire.member(self, guild, user)}
        self.emit("TYPING_START", place, lambda _: said)
        await self._after(None)

    async def change(self, channel: int, **fields: Any) -> Channel:
        """Somebody changes a channel or thread: `archived`, `locked`, `applied`, `name`."""
        place = self.channels[channel]
        for name, value in fields.items():
            setattr(place, name, value)
        self.tell_channel(place)
        return await self._after(place)

    async def delete(self, channel: int) -> None:
        """Somebody deletes a thread or channel."""
        remove_channel(self, self.channels[channel])
        await self._after(None)

    async def deny(self, channel: int, *permissions: Can) -> Channel:
        """Something is taken from the bot in a channel; with no permission everything is given back."""
        return await self.change(channel, denied={self.bot: sum(permissions)} if permissions else {})

    async def join(self, id_: int, name: str = "Other") -> Guild:
        """The bot is taken into one more guild, with a text channel, whose id is one above, and Ann."""
        first = self.guilds[GUILD]
        everyone, *others = first.roles.values()
        roles = {id_: type(everyone)(id_, everyone.name, everyone.permissions)} | {one.id: one for one in others}
        guild = Guild(id_, name, first.owner, roles, dict(first.members))
        self.guilds[id_], self.channels[id_ + 1] = guild, Channel(id_ + 1, TEXT, "help", id_)
        shown = wire.guild_create(self, guild)
        del shown["unavailable"]  # it is said of guilds that were known before
        self.emit("GUILD_CREATE", None, lambda _: shown, guild=id_)
        return await self._after(guild)

    async def leave(self, guild: int) -> None:
        """The bot is put out of a guild."""
        del self.guilds[guild]
        self.channels = {id_: one for id_, one in self.channels.items() if one.guild != guild}
        self.emit("GUILD_DELETE", None, lambda _: {"id": str(guild)}, guild=guild)
        await self._after(None)

    def person(self, id_: int, name: str, *roles: int, guild: int = GUILD) -> Person:
        """One more person in a guild."""
        self.people[id_] = Person(id_, name)
        self.guilds[guild].members[id_] = [*roles]
        return self.people[id_]

    async def press(self, user: int, message: int | Message, custom_id: str) -> Interaction:
        """Somebody presses a button; Discord refuses one that an edit has taken away."""
        return await self._use(user, self.standing(message), custom_id, {})

    async def choose(self, user: int, message: int | Message, custom_id: str, *values: str) -> Interaction:
        """Somebody chooses in a menu."""
        return await self._use(user, self.standing(message), custom_id, {"values": [*values]})

    async def _use(self, user: int, message: Message, custom_id: str, more: Json) -> Interaction:
        used = next((one for one in every(message.components) if one.get("custom_id") == custom_id), None)
        assert used, f"no {custom_id} in {message.components}"
        assert not used.get("disabled"), f"{custom_id} is disabled"
        assert (used["type"] in _SELECTS) == bool(more), f"{custom_id} is of type {used['type']}"
        data = {"custom_id": custom_id, "component_type": used["type"], "id": used["id"]} | more
        if more and used["type"] != 3:
            data["resolved"] = self._resolved(message.channel, _KINDS[used["type"]], more["values"])
        return await self._interact(3, user, message.channel, data, message)

    def _resolved(self, channel: int, kind: str, values: Sequence[str]) -> Json:
        guild = self.guilds.get(self.channels[channel].guild or 0)
        if kind == "users":
            members = {one: wire.member(self, guild, int(one), with_user=False) for one in values} if guild else {}
            return {"users": {one: wire.user(self.people[int(one)]) for one in values}, "members": members}
        if kind == "roles" and guild:
            return {"roles": {one: wire.role(self, guild.roles[int(one)]) for one in values}}
        return {"channels": {one: wire.channel(self, self.channels[int(one)]) for one in values}}

    async def submit(self, user: int, custom_id: str, values: dict[str, Any]) -> Interaction:
        """Somebody sends the modal that stands open before them; values go by `custom_id`, lists are choices."""
        opened = next(one for one in reversed(self.modals) if one.user == user and one.modal and one.modal["custom_id"] == custom_id)
        self.modals.remove(opened)
        assert opened.modal
        names = {one.get("custom_id") for one in every(opened.modal["components"])}
        assert set(values) <= names, f"no {set(values) - names} in {names}"
        data = {"custom_id": custom_id, "components": [_filled(one, values) for one in opened.modal["components"]], "resolved": {}}
        return await self._interact(5, user, opened.channel, data, opened.message if opened.kind == 3 else None)

    async def command(
        self, user: int, channel: int, name: str, options: dict[str, Any] | None = None, guild: int | None = None
    ) -> Interaction:
        """Somebody types a slash command that the bot has registered; `faq add` is `add` of `faq`."""
        first, *inner = name.split()
        known = self._registered(first, 1, channel, guild)
        given = [{"name": key, "type": _TYPES[type(value)], "value": value} for key, value in (options or {}).items()]
        levels = known["options"]
        for depth, one in enumerate(inner):
            found = next(each for each in levels if each["name"] == one)
            levels, inner[depth] = found.get("options", []), found
        types = {one["name"]: one["type"] for one in levels}
        assert {one["name"] for one in given} <= set(types), f"{name} takes {types}"
        resolved: Json = {}
        for one in given:
            one["type"] = types[one["name"]]
            if one["type"] in (6, 7, 8):
                one["value"] = str(one["value"])
                kind = {6: "users", 7: "channels", 8: "roles"}[one["type"]]
                for key, found in self._resolved(channel, kind, [one["value"]]).items():
                    resolved.setdefault(key, {}).update(found)
        for found in reversed(inner):
            given = [{"name": found["name"], "type": found["type"], "options": given}]
        data = {"id": known["id"], "name": first, "type": 1, "options": given} | ({"resolved": resolved} if resolved else {})
        data |= {"guild_id": known["guild_id"]} if "guild_id" in known else {}
        return await self._interact(2, user, channel, data)

    async def context(self, user: int, message: int | Message, name: str) -> Interaction:
        """Somebody uses a command of the menu of a message."""
        found = self.standing(message)
        known = self._registered(name, 3, found.channel, None)
        resolved = {"messages": {str(found.id): wire.message(self, found)}}
        data = {"id": known["id"], "name": name, "type": 3, "target_id": str(found.id), "resolved": resolved}
        data |= {"guild_id": known["guild_id"]} if "guild_id" in known else {}
        return await self._interact(2, user, found.channel, data, found)

    def _registered(self, name: str, kind: int, channel: int, guild: int | None) -> Json:
        places = dict.fromkeys((guild, self.channels[channel].guild, None))
        among = [(place, one) for place in places for one in self.commands.get(place, [])]
        place, found = next(((place, one) for place, one in among if (one["name"], one["type"]) == (name, kind)), (None, {}))
        assert found, f"no {name} among {[one['name'] for _, one in among]}"
        return found | {"options": found.get("options", [])} | ({"guild_id": str(place)} if place else {})

    async def _interact(self, kind: int, user: int, channel: int, data: Json, message: Message | None = None) -> Interaction:
        id_ = self.snowflake()
        one = Interaction(id_, kind, user, channel, f"interaction-{id_}", data, self.clock(), message)
        self.interactions[id_] = one
        self.emit("INTERACTION_CREATE", self.channels[channel], lambda _: wire.interaction(self, one))
        return await self._after(one)


def _filled(component: Json, values: dict[str, Any]) -> Json:
    """A component of a modal as it comes back."""
    back: Json = {"type": component["type"], "id": component["id"]}
    if "component" in component:
        return back | {"component": _filled(component["component"], values)}
    if "components" in component:
        return back | {"components": [_filled(one, values) for one in component["components"]]}
    if (name := component.get("custom_id")) is None:
        return back
    given = values.get(name, component.get("value", "") if component["type"] == 4 else [])
    return back | {"custom_id": name} | ({"values": given} if isinstance(given, list) else {"value": given})
