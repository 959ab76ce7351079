"""`frontdesk slack`: what is needed to set the bot up in Slack."""

from __future__ import annotations

import json

import click


@click.group()
def command() -> None:
    """Set the bot up in Slack."""


@command.command()
@click.option("--transport", type=click.Choice(["socket", "http"]), default="socket", show_default=True, help="How Slack reaches the bot.")
@click.option("--url", help="Address of this server for --transport http: https://...; default: the setting slack.public_url.")
@click.option("--minimal", is_flag=True, help="Hear mentions and direct messages only: no permission to read channels.")
def manifest(transport: str, url: str | None, minimal: bool) -> None:
    """Print the app manifest, to be pasted at api.slack.com/apps > Create New App > From a manifest.

    \b
    Example:
      frontdesk slack manifest
      frontdesk slack manifest --transport http --url https://bot.example.com
    """
    from bot.slack import manifest as app

    if url and transport != "http":
        raise click.UsageError("--url is for --transport http: over Socket Mode the bot calls Slack, and needs no address.")
    base = _base(url) if transport == "http" else ""
    click.echo(json.dumps(app.manifest(base, minimal=minimal), indent=2))


def _base(given: str | None) -> str:
    from bot.settings import read
    from bot.slack.manifest import base_of

    url = given or read().slack.public_url
    if not url:
        raise click.UsageError(
            "--transport http needs --url https://... (or the setting slack.public_url): where Slack reaches this server."
        )
    base = base_of(url)
    if base is None:
        raise click.UsageError(f"Slack sends to https://HOST only, and this is {url!r}.")
    return base
