"""Slack's limits of blocks, views and metadata, and how it keeps what it has accepted."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.servers.slack_state import Json, SlackError

_ELSE = "divider rich_text video file table task_card plan alert card container carousel auth_provider".split()
_CHOICES = {"static_select": 100, "multi_static_select": 100, "overflow": 5, "checkboxes": 10, "radio_buttons": 10}


class _Limits:
    """Collects every breach, with the place of each."""

    def __init__(self) -> None:
        self.breaches: list[str] = []

    def breach(self, what: str, path: str) -> None:
        self.breaches.append(f"{what} [json-pointer:{path}]")

    def string(self, value: Any, path: str, most: int, least: int = 1) -> None:
        if not isinstance(value, str):
            self.breach("must be a string", path)
        elif len(value) > most:
            self.breach(f"must be less than {most + 1} characters", path)
        elif len(value) < least:
            self.breach(f"must be more than {least - 1} characters", path)

    def optional(self, holder: Json, path: str, **most: int) -> None:
        for name, limit in most.items():
            if holder.get(name) is not None:
                self.string(holder[name], f"{path}/{name}", limit, least=0)

    def text(self, value: Any, path: str, most: int, *kinds: str) -> None:
        if not isinstance(value, dict):
            self.breach("missing required field" if value is None else "must be an object", path)
        elif value.get("type") not in kinds:
            self.breach(f"unsupported type: {value.get('type')}", f"{path}/type")
        else:
            self.string(value.get("text"), f"{path}/text", most)

    def many(self, values: Any, path: str, most: int, check: Callable[[Any, str], None], least: int = 1) -> None:
        if not isinstance(values, list):
            self.breach("must be an array", path)
        elif not least <= len(values) <= most:
            self.breach(f"no more than {most} items allowed" if values else "no fewer than 1 items allowed", path)
        else:
            for number, value in enumerate(values):
                check(value, f"{path}/{number}") if isinstance(value, dict) else self.breach("must be an object", f"{path}/{number}")

    def element(self, value: Json, path: str) -> None:
        kind = value.get("type")
        if kind in ("mrkdwn", "plain_text"):
            self.string(value.get("text"), f"{path}/text", 2000)
        elif kind == "image":
            self._image(value, path)
        elif kind == "button":
            self.text(value.get("text"), f"{path}/text", 75, "plain_text")
            if value.get("style") not in (None, "primary", "danger"):
                self.breach("must be a valid enum value", f"{path}/style")
        elif kind == "feedback_buttons":
            for name in ("positive_button", "negative_button"):
                self.text((value.get(name) or {}).get("text"), f"{path}/{name}/text", 75, "plain_text")
        elif kind in _CHOICES:
            self.many(value.get("options", []), f"{path}/options", _CHOICES[kind], self._option, least=0)
        elif not kind:
            self.breach("missing required field: type", path)
        self.optional(value, path, action_id=255, value=2000, url=3000)

    def _option(self, value: Json, path: str) -> None:
        self.text(value.get("text"), f"{path}/text", 75, "plain_text", "mrkdwn")
        self.string(value.get("value"), f"{path}/value", 150)

    def _image(self, value: Json, path: str) -> None:
        if "slack_file" not in value:
            self.string(value.get("image_url"), f"{path}/image_url", 3000)
        self.string(value.get("alt_text"), f"{path}/alt_text", 2000)

    def block(self, value: Json, path: str) -> None:
        kind = value.get("type")
        check = getattr(self, f"_block_{kind}", None)
        if check:
            check(value, path)
        elif kind not in _ELSE:
            self.breach(f"unsupported type: {kind}", f"{path}/type")
        self.optional(value, path, block_id=255)
        names = [one["action_id"] for one in _elements(value) if one.get("action_id")]
        for name in {one for one in names if names.count(one) > 1}:
            self.breach(f"`action_id` `{name}` already exists for another interactive element", path)

    def _block_section(self, value: Json, path: str) -> None:
        if "text" not in value and "fields" not in value:
            self.breach("missing required field: text", path)
        if "text" in value:
            self.text(value["text"], f"{path}/text", 3000, "mrkdwn", "plain_text")
        if "fields" in value:
            self.many(value["fields"], f"{path}/fields", 10, self.element)
        if "accessory" in value:
            self.element(value["accessory"], f"{path}/accessory")

    def _block_header(self, value: Json, path: str) -> None:
        self.text(value.get("text"), f"{path}/text", 150, "plain_text")

    def _block_context(self, value: Json, path: str) -> None:
        self.many(value.get("elements"), f"{path}/elements", 10, self.element)

    def _block_actions(self, value: Json, path: str) -> None:
        self.many(value.get("elements"), f"{path}/elements", 25, self.element)

    def _block_context_actions(self, value: Json, path: str) -> None:
        self.many(value.get("elements"), f"{path}/elements", 5, self.element)

    def _block_image(self, value: Json, path: str) -> None:
        self._image(value, path)

    def _block_markdown(self, value: Json, path: str) -> None:
        self.string(value.get("text"), f"{path}/text", 12_000)

    def _block_input(self, value: Json, path: str) -> None:
        self.text(value.get("label"), f"{path}/label", 2000, "plain_text")
        self.element(value.get("element") or {}, f"{path}/element")

    def blocks(self, values: Any, most: int) -> None:
        self.many(values, "/blocks", most, self.block, least=0)
        if self.breaches:
            return
        names = [one["block_id"] for one in values if one.get("block_id")]
        for name in {one for one in names if names.count(one) > 1}:
            self.breach(f"`block_id` `{name}` already exists", "/blocks")
        if sum(len(one["text"]) for one in values if one["type"] == "markdown") > 12_000:
            self.breach("markdown blocks must be less than 12001 characters together", "/blocks")


def checked_blocks(blocks: Any, most: int = 50) -> list[Json]:
    """The blocks of a message as they are kept, or `invalid_blocks` with every breach."""
    if not isinstance(blocks, list):
        raise SlackError("invalid_blocks_format")
    limits = _Limits()
    limits.blocks(blocks, most)
    if limits.breaches:
        raise SlackError("invalid_blocks", *(f"[ERROR] {one}" for one in limits.breaches), errors=limits.breaches)
    return _kept(blocks)


def checked_view(view: Any, *kinds: str) -> Json:
    """A modal or a home as it is kept, or `invalid_arguments` with every breach."""
    limits = _Limits()
    if not isinstance(view, dict) or view.get("type") not in kinds:
        raise SlackError("invalid_arguments", "[ERROR] unsupported type [json-pointer:/view/type]")
    limits.blocks(view.get("blocks"), 100)
    limits.optional(view, "/view", private_metadata=3000, callback_id=255, external_id=255)
    if view["type"] == "modal":
        limits.text(view.get("title"), "/view/title", 24, "plain_text")
        for name in ("submit", "close"):
            if view.get(name) is not None:
                limits.text(view[name], f"/view/{name}", 24, "plain_text")
        if not limits.breaches and not view.get("submit") and any(one["type"] == "input" for one in view["blocks"]):
            limits.breach("`submit` is required when an `input` block is within the `blocks` array", "/view/submit")
    if limits.breaches:
        raise SlackError("invalid_arguments", *(f"[ERROR] {one}" for one in limits.breaches))
    return view | {"blocks": _kept(view["blocks"])}


def checked_metadata(metadata: Any) -> Json | None:
    """The metadata of a message; `{}` means none."""
    if metadata in (None, {}):
        return None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("event_payload"), dict) or not metadata.get("event_type"):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata)) > 16_384:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def interactive(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every element that can be used, with its block."""
    for block in blocks:
        yield from ((block, one) for one in _elements(block) if one.get("action_id"))


def _elements(block: Json) -> list[Json]:
    found = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
    return [one for one in found if isinstance(one, dict)]


def _kept(blocks: list[Json]) -> list[Json]:
    """Slack names what has no name, and writes out what is usual."""
    kept = copy.deepcopy(blocks)
    for number, block in enumerate(kept):
        block.setdefault("block_id", f"blk{number}")
        for place, element in enumerate(_elements(block)):
            if element.get("type") not in ("mrkdwn", "plain_text", "image") and block["type"] != "rich_text":
                element.setdefault("action_id", f"act{number}{place}")
        _usual(block)
    return kept


def _usual(value: Any) -> None:
    if isinstance(value, list):
        for one in value:
            _usual(one)
    elif isinstance(value, dict):
        if isinstance(value.get("text"), str) and value.get("type") in ("plain_text", "mrkdwn"):
            value.setdefault(*(("emoji", True) if value["type"] == "plain_text" else ("verbatim", False)))
        for one in value.values():
            _usual(one)
