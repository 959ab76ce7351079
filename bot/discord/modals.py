"""Our forms as windows of Discord, and what comes back from one, whichever process opened it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import discord
from discord import ui

from bot.discord.interactions import Interaction
from bot.forms import Field, Form
from bot.parting import cut
from core.text import clean

_MAX_INPUT = 4000
_OURS = re.compile(r"fd-form:(?P<form>[a-z_]{1,32}):(?P<turn>[\w-]{0,64})")


class Sent(NamedTuple):
    """What somebody sent in a window; `values` holds what is in its fields by their name."""

    form: str
    turn_id: str
    values: dict[str, str]


async def open_form(interaction: Interaction, form: Form, turn_id: str = "") -> None:
    """Open a window; it must be the first answer to an interaction. Raises `discord.HTTPException`."""
    await interaction.response.send_modal(modal_of(form, turn_id))


def modal_of(form: Form, turn_id: str = "") -> ui.Modal:
    """Return a window within the limits of Discord, whatever stands in its fields. Needs a running loop."""
    modal = ui.Modal(title=form.title, custom_id=f"fd-form:{form.name}:{turn_id}", timeout=None)
    for field in form.fields:
        modal.add_item(ui.Label(text=field.label, description=field.hint or None, component=_component(field)))
    modal.stop()  # what is sent comes by its id: the library need not remember every window
    return modal


def sent_in(interaction: Interaction) -> Sent | None:
    """Return what was sent in a window of ours; None for everything else. Pure."""
    data: Mapping[str, Any] = interaction.data or {}
    found = _OURS.fullmatch(str(data.get("custom_id", "")))
    if interaction.type is not discord.InteractionType.modal_submit or found is None:
        return None
    return Sent(found["form"], found["turn"], dict(_values(data.get("components") or [])))


def _component(field: Field) -> ui.Item[Any]:
    if field.options:
        options = [discord.SelectOption(label=label, value=value) for value, label in field.options.items()]
        return ui.Select(custom_id=field.name, options=options, required=not field.optional)
    return ui.TextInput(
        custom_id=field.name,
        style=discord.TextStyle.paragraph,
        default=cut(clean(field.text), _MAX_INPUT) or None,
        required=not field.optional,
        max_length=_MAX_INPUT,
    )


def _values(components: list[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for one in components:
        inner = [*one.get("components", ()), *([one["component"]] if one.get("component") else ())]
        yield from _values(inner)
        value = one.get("value") or next(iter(one.get("values") or ()), "")
        if value and one.get("custom_id"):
            yield str(one["custom_id"]), str(value)
