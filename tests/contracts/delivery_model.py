"""What should become of messages and replies, in plain Python: the model that the SQL of the inbox and outbox is compared with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Message:
    """What the model knows of a message."""

    thread: str
    number: int
    text: str
    actor: str
    state: str = "waiting"  # waiting, answered, cancelled

    @property
    def name(self) -> str:
        return f"{self.thread}-{self.number}"


@dataclass
class Conversation:
    """What the model knows of a conversation."""

    messages: list[Message] = field(default_factory=list)
    holder: str | None = None  # the lease that may write
    expired: bool = False
    later: bool = False  # put off
    turns: list[str] = field(default_factory=list)  # the question of each, as it was answered
    undelivered: list[str] = field(default_factory=list)
    courier: str | None = None
    courier_expired: bool = False
    courier_later: bool = False

    def free(self, *, later: bool = False) -> None:
        self.holder, self.expired, self.later = None, False, later

    def put_down(self, *, later: bool = False) -> None:
        self.courier, self.courier_expired, self.courier_later = None, False, later

    @property
    def next_turn(self) -> list[Message]:
        waiting = [message for message in self.messages if message.state == "waiting"]
        together = waiting[:1]
        for message in waiting[1:]:
            if message.actor != together[0].actor:
                break
            together.append(message)
        return together

    @property
    def is_claimable(self) -> bool:
        return bool(self.next_turn) and not self.later and (self.holder is None or self.expired)

    @property
    def is_deliverable(self) -> bool:
        return bool(self.undelivered) and not self.courier_later and (self.courier is None or self.courier_expired)
