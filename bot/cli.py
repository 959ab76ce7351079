"""The command `frontdesk`: finds the module of a subcommand when it is called, so that `--help` needs none of them."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version

import click

from bot.telemetry import quiet_libraries
from core.errors import FrontdeskError

_COMMANDS = {
    "run": ("bot.commands.run", "Serve the chat page, the console and the platforms (SIGTERM drains)."),
    "chat": ("bot.commands.chat", "Chat in the terminal with the same engine."),
    "ask": ("bot.commands.ask", "Ask one question and print the answer."),
    "knowledge": ("bot.commands.knowledge", "Import, publish, search and roll back knowledge."),
    "models": ("bot.commands.models", "Import models, and change which of them serve."),
    "mute": ("bot.commands.mute", "Silence the bot in every channel."),
    "unmute": ("bot.commands.unmute", "Let the bot speak again."),
    "evaluate": ("bot.commands.evaluate", "Measure on a labelled file."),
    "export": ("bot.commands.export", "Write out what training would see."),
    "train": ("bot.commands.train", "Train a model on the FAQ and on approved corrections."),
    "learn": ("bot.commands.learn", "Learn from what staff approved; what is better serves."),
    "staff": ("bot.commands.staff", "Say who may sign in to the console."),
    "privacy": ("bot.commands.privacy", "Show or erase what is kept of one customer."),
    "slack": ("bot.commands.slack", "Set the bot up in Slack."),
    "discord": ("bot.commands.discord", "Set the bot up in Discord."),
    "demo": ("bot.commands.demo", "Fill the console with made-up conversations."),
    "doctor": ("bot.commands.doctor", "Check this installation and say how to fix it."),
    "db": ("bot.commands.db", "Migrations of the database."),
}


class _LazyGroup(click.Group):
    """Loads a subcommand's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("frontdesk"), prog_name="frontdesk")
def cli() -> None:
    """Answer customers from your own FAQ, hand over to people when you should.

    \b
    Example:
      frontdesk knowledge import faq.csv
      frontdesk knowledge publish
      frontdesk ask "How do I reset my password?"
    """


def main() -> None:
    """Run the command line; a known error is one line on stderr and exit status 1."""
    quiet_libraries()
    try:
        cli(prog_name="frontdesk")
    except FrontdeskError as error:
        click.echo(f"frontdesk: {error}", err=True)
        sys.exit(1)
