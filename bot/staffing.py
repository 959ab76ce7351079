"""The settings about people who help customers: when they are there, where they are told, and how long a customer waits for them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, Field, field_validator

from core.hours import EXAMPLE, hours_of

SURFACES = ("slack", "discord", "web")  # where customers are


class Staff(BaseModel, extra="forbid"):
    """How customers are handed over to people."""

    hours: str = Field("", description=f"when people are there, such as {EXAMPLE}, more by commas; empty: always")
    platform: str = Field(
        "same",
        description="whose staff channel gets hand-overs: slack, discord, or same (the customer's)",
        pattern="^(same|slack|discord)$",
    )
    patience_minutes: int = Field(
        10,
        ge=0,
        le=1440,
        description="after so long nobody came: staff are reminded; twice: called; three times: the customer is told; 0: never",
    )
    show_names: bool = Field(False, description="customers read the name of whoever takes them")

    @field_validator("hours")
    @classmethod
    def _can_be_read(cls, hours: str) -> str:
        hours_of(hours)
        return hours

    def places(self, channels: Mapping[str, str]) -> dict[str, str]:
        """Return by the platform of a customer that on which staff get a thread about them; `channels` are staff's, by platform.

        Where the wanted platform has no channel of staff, another one's is taken: better there than nowhere.
        """
        there = [platform for platform, channel in channels.items() if channel]
        wanted = {surface: surface if self.platform == "same" else self.platform for surface in SURFACES}
        return {surface: one if one in there else there[0] for surface, one in wanted.items() if there}
