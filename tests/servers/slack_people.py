"""What people do in the local Slack: they write, edit, press, submit; the app is told as Slack tells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.servers.slack_api import changed_event, deleted_event, event_of, rewrite
from tests.servers.slack_blocks import checked_blocks, checked_view, interactive
from tests.servers.slack_events import Answer, Deliveries, entered
from tests.servers.slack_methods import new_view, replace_view
from tests.servers.slack_state import RESPONSE_SECONDS, RESPONSE_USES, Json, Message, View


class Said(str):
    """The ts of a message that somebody wrote, and what the app answered to each event about it."""

    answers: list[Answer]

    def __new__(cls, ts: str, answers: list[Answer]) -> Said:
        said = super().__new__(cls, ts)
        said.answers = answers
        return said


def _rich(text: str) -> list[Json]:
    """What somebody typed, as the composer sends it."""
    parts: list[Json] = []
    for part in re.split(r"(<@\w+>)", text):
        if part.startswith("<@"):
            parts.append({"type": "user", "user_id": part[2:-1]})
        elif part:
            parts.append({"type": "text", "text": part})
    section = {"type": "rich_text_section", "elements": parts}
    return [{"type": "rich_text", "block_id": "rich", "elements": [section]}]


@dataclass(eq=False)
class People(Deliveries):
    """Verbs. Each returns what the app answered; `say` the ts, which carries the answers."""

    async def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        files: Sequence[Json] | None = None,
        order: Sequence[str] | None = None,
        until_accepted: bool = False,
    ) -> Said:
        """Somebody writes. `order` are the events that tell of it; usually `message`, and `app_mention` with a mention."""
        message = Message(channel, self.stamp(), user, text, thread_ts=thread_ts, files=[*files] if files else [])
        message.blocks, message.subtype = _rich(text) if text else [], "file_share" if files else None
        message.bot_id = f"B{user[1:]}" if user in self.users and self.users[user].is_bot else None
        self.files |= {one["id"]: one for one in files or []}
        self.store(message)
        deliver = self.deliver_until_accepted if until_accepted else self.deliver
        return Said(message.ts, [await deliver(one) for one in self._told(message, order)])

    def _told(self, message: Message, order: Sequence[str] | None) -> list[Json]:
        channel = self.channels[message.channel]
        if self.bot_user not in channel.members:
            return []  # the app hears nothing of where it is not
        if order is None:
            mentioned = f"<@{self.bot_user}>" in message.text and channel.kind != "im"  # direct messages are never mentions
            order = ("message", "app_mention") if mentioned else ("message",)
        event = self._by_person(event_of(self, channel, message), message)
        return [event if kind == "message" else self._mention(event) for kind in order]

    def _by_person(self, event: Json, message: Message) -> Json:
        known = self.users.get(message.user)
        if known and known.team_id != self.team_id:
            event |= {"user_team": known.team_id, "source_team": known.team_id}
        if message.subtype == "file_share":
            return {name: value for name, value in event.items() if name != "team"} | {"upload": False, "display_as_bot": False}
        return event | ({} if message.bot_id else {"client_msg_id": f"client-{message.ts}"})

    @staticmethod
    def _mention(event: Json) -> Json:
        return {name: value for name, value in event.items() if name not in ("channel_type", "subtype")} | {"type": "app_mention"}

    async def edit(self, channel: str, ts: str, text: str) -> Answer:
        """The author edits; a text that mentions the app is a mention again."""
        message, before = self._standing(channel, ts)
        message.edited, message.text, message.blocks = {"user": message.user, "ts": self.stamp()}, text, _rich(text)
        self.changed()
        answer = await self.deliver(changed_event(self, self.channels[channel], message, before))
        if f"<@{self.bot_user}>" in text and self.channels[channel].kind != "im":
            event = self._by_person(event_of(self, self.channels[channel], message), message)
            await self.deliver(self._mention(event))
        return answer

    async def unfurl(self, channel: str, ts: str, title: str = "A page") -> Answer:
        """A link of it is shown: Slack calls that a change too, but no edit."""
        message, before = self._standing(channel, ts)
        message.attachments = [{"id": 1, "title": title, "fallback": title, "from_url": "https://example.com/"}]
        self.changed()
        return await self.deliver(changed_event(self, self.channels[channel], message, before))

    async def remove(self, channel: str, ts: str) -> Answer:
        """It is deleted; one with replies becomes a tombstone."""
        message, before = self._standing(channel, ts)
        if self.discard(message):
            return await self.deliver(changed_event(self, self.channels[channel], message, before))
        return await self.deliver(deleted_event(self, self.channels[channel], ts, before))

    def _standing(self, channel: str, ts: str) -> tuple[Message, Json]:
        message = self.find(channel, ts)
        assert message, f"no message {ts} in {channel}"
        return message, self._by_person(self.wire(message), message)

    async def react(self, user: str, channel: str, ts: str, name: str) -> Answer:
        """Somebody adds a reaction."""
        message, _ = self._standing(channel, ts)
        message.reactions.setdefault(name, []).append(user)
        self.changed()
        item = {"type": "message", "channel": channel, "ts": ts}
        event = {"type": "reaction_added", "user": user, "reaction": name, "item": item, "item_user": message.user}
        return await self.deliver(event | {"event_ts": self.stamp()})

    async def join(self, user: str, channel: str, inviter: str | None = None) -> Answer:
        """Somebody, or the app, comes into a channel."""
        self.channels[channel].members.add(user)
        kind = {"channel": "C", "private": "G"}.get(self.channels[channel].kind, "C")
        event = {"type": "member_joined_channel", "user": user, "channel": channel, "channel_type": kind, "team": self.team_id}
        return await self.deliver(event | ({"inviter": inviter} if inviter else {}) | {"event_ts": self.stamp()})

    async def uninstall(self) -> Answer:
        """The app is taken out of this team: its tokens there die, and it is told of both."""
        for token in self.tokens.values():
            token.revoked = token.revoked or (token.kind == "bot" and token.team_id == self.team_id)
        await self.deliver({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.bot_user]}})
        return await self.deliver({"type": "app_uninstalled"})

    async def stop(self, user: str, channel: str, ts: str) -> Answer:
        """Somebody stops a streamed answer."""
        message, _ = self._standing(channel, ts)
        message.streaming = "stopped_by_user"
        self.changed()
        event = {"type": "agent_session_stopped", "user": user, "channel": channel, "thread_ts": message.thread_ts}
        return await self.deliver(event | {"streaming_message_ts": [ts], "event_ts": self.stamp()})

    async def press(self, user: str, channel: str, ts: str, action_id: str, value: Any = None) -> Answer:
        """Somebody uses an element of a message; one that an edit has just taken away counts still."""
        message, _ = self._standing(channel, ts)
        for blocks in [message.blocks, *reversed(message.shown)]:
            if found := [one for one in interactive(blocks) if one[1]["action_id"] == action_id]:
                break
        else:
            raise AssertionError(f"no {action_id} in {message.blocks}")
        actions = [self.action(*found[0], value)]
        more = self.on_message(message) | ({} if message.ephemeral_for else {"message": self.wire(message)})
        hooks = {"trigger_id": self.new_trigger(user), "response_url": self.new_hook(user, channel, message)}
        return await self.interact(self.interaction("block_actions", user, actions=actions, **more, **hooks))

    async def press_in_view(self, user: str, view_id: str, action_id: str, value: Any = None) -> Answer:
        """Somebody uses an element of a modal or of a home tab."""
        view = self.views[view_id]
        found = next(one for one in interactive(view.content["blocks"]) if one[1]["action_id"] == action_id)
        more = self.on_view(view) | {"trigger_id": self.new_trigger(user)}
        return await self.interact(self.interaction("block_actions", user, actions=[self.action(*found, value)], **more))

    async def command(self, user: str, channel: str, command: str, text: str = "") -> Answer:
        """Somebody types a slash command; an answer in the body is shown to them."""
        fields = {"token": self.verification_token, "team_id": self.team_id, "team_domain": "team", "channel_id": channel}
        fields |= {"channel_name": self.place(channel)["name"], "user_id": user, "user_name": self.users[user].name}
        fields |= {"command": command, "text": text, "api_app_id": self.app_id, "is_enterprise_install": "false"}
        hook = self.new_hook(user, channel)
        answer = await self.command_with(fields | {"response_url": hook, "trigger_id": self.new_trigger(user)})
        if answer.accepted and answer.body:
            said = answer.json() if answer.body.startswith("{") else {"text": answer.body}
            self.respond(hook.rpartition("/")[2], said, counted=False)
        return answer

    async def shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> Answer:
        """Somebody picks a shortcut on a message."""
        message, _ = self._standing(channel, ts)
        more = {"callback_id": callback_id, "action_ts": self.stamp(), "message_ts": ts, "message": self.wire(message)}
        more |= {"channel": self.place(channel), "trigger_id": self.new_trigger(user)}
        hook = self.new_hook(user, channel, message)
        payload = self.interaction("message_action", user, response_url=hook, **more)
        payload["user"].pop("username")
        payload.pop("api_app_id")
        return await self.interact(payload)

    async def submit(self, user: str, view_id: str, values: Json) -> Answer:
        """Somebody submits a modal; `values` by block_id or action_id. What the app answers is done to it."""
        view, state = self.views[view_id], Json()
        for block, element in interactive(view.content["blocks"]):
            name = next((one for one in (element["action_id"], block["block_id"]) if one in values), None)
            initial = element.get("initial_value") or (element.get("initial_option") or {}).get("value")
            state.setdefault(block["block_id"], {})[element["action_id"]] = entered(element, values[name] if name else initial)
        shown = self.show(view) | {"state": {"values": state}}
        about = {"view": shown, "trigger_id": self.new_trigger(user), "response_urls": []}
        answer = await self.interact(self.interaction("view_submission", user, **about))
        if answer.accepted:
            self._submitted(view, answer.json())
        return answer

    def _submitted(self, view: View, asked: Json) -> None:
        match asked.get("response_action"):
            case "errors":
                known = {block["block_id"] for block in view.content["blocks"]}
                assert asked["errors"] and set(asked["errors"]) <= known, f"errors of no block: {asked['errors']}"
                view.errors = asked["errors"]
            case "update":
                replace_view(self, view, checked_view(asked["view"], "modal"))
            case "push":
                new_view(self, view.user, checked_view(asked["view"], "modal"))
            case "clear":
                for one in self.views.values():
                    one.open = one.open and (one.user != view.user or one.content["type"] == "home")
            case _:
                view.open = False
        self.changed()

    async def close(self, user: str, view_id: str) -> Answer | None:
        """Somebody closes a modal; the app is told if it asked for it."""
        view = self.views[view_id]
        view.open = False
        self.changed()
        if not view.content.get("notify_on_close"):
            return None
        return await self.interact(self.interaction("view_closed", user, view=self.show(view), is_cleared=False))

    async def open_home(self, user: str, tab: str = "home") -> Answer:
        """Somebody looks at the app's home."""
        own = {user, self.bot_user}
        channel = next((one.id for one in self.channels.values() if one.kind == "im" and one.members == own), "D0NONE")
        event = {"type": "app_home_opened", "user": user, "channel": channel, "tab": tab, "event_ts": self.stamp()}
        view = self.homes.get(user) if tab == "home" else None
        return await self.deliver(event | ({"view": self.show(view)} if view else {}))

    def respond(self, name: str, said: Json, counted: bool = True) -> tuple[int, str]:
        """What is posted to a response_url: five times in half an hour."""
        hook = self.hooks.get(name)
        if hook is None or self.clock() - hook.born > RESPONSE_SECONDS:
            return 404, "expired_url"
        if counted and hook.used >= RESPONSE_USES:
            return 404, "used_url"
        hook.used += counted
        blocks, text = checked_blocks(said.get("blocks") or []), said.get("text") or ""
        if hook.message and said.get("delete_original"):
            if self.find(hook.message.channel, hook.message.ts):  # it may have gone before
                self.ephemerals.remove(hook.message) if hook.message.ephemeral_for else self.discard(hook.message)
        elif hook.message and said.get("replace_original"):
            rewrite(self, hook.message, text, blocks)
        elif not (text or blocks):
            return 400, "no_text"
        else:
            self._shown(
                hook.user, Message(hook.channel, self.stamp(), self.bot_user, text, said.get("thread_ts"), self.bot_id, blocks), said
            )
        self.changed()
        return 200, "ok"

    def _shown(self, user: str, message: Message, said: Json) -> None:
        message.arguments = said
        if said.get("response_type") == "in_channel":
            self.store(message)
            self.tell(event_of(self, self.channels[message.channel], message))
        else:
            message.ephemeral_for, message.at = user, self.clock()
            self.ephemerals.append(message)
