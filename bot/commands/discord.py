"""`frontdesk discord`: what is needed to set the bot up in Discord."""

from __future__ import annotations

import click


@click.group()
def command() -> None:
    """Set the bot up in Discord."""


@command.command()
@click.option("--client-id", help="Application ID of the page General Information; default: the one in the bot token.")
@click.option("--guild", help="Id of the server to add the bot to; default: chosen in the browser.")
@click.option("--minimal", is_flag=True, help="Without Manage Threads: posts of forums get no tags.")
def invite(client_id: str | None, guild: str | None, minimal: bool) -> None:
    """Print the address that adds the bot to a server, with just the permissions that it uses; no network is needed.

    \b
    Example:
      frontdesk discord invite
      frontdesk discord invite --client-id 1234567890123456789 --minimal
    """
    from bot.discord.invite import invite, is_id, permissions

    for option, given in (("--client-id", client_id), ("--guild", guild)):
        if given and not is_id(given):
            raise click.UsageError(f"{option} takes an id of Discord, a number of 17 to 20 digits; this is {given!r}.")
    address = invite(client_id or _of_token(), guild or "", minimal=minimal)
    click.echo("Open this in a browser, choose your server, Continue, Authorize. It asks for these permissions:", err=True)
    for one in permissions(minimal=minimal):
        click.echo(f"  {one.label:<26}without it {one.lost}", err=True)
    click.echo(address)


def _of_token() -> str:
    from bot.discord.invite import PORTAL, application_id
    from bot.settings import read
    from core.errors import SettingsError

    token = read().discord.bot_token
    found = application_id(token)
    if found is None:
        what = "The Discord bot token is none" if token else "There is no Discord bot token"
        get = f"copy it from {PORTAL} > your application > Bot > Reset Token to DISCORD_BOT_TOKEN"
        raise SettingsError(f"{what}: {get}, or give --client-id, the Application ID of the page General Information.")
    return found
