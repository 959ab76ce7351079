"""`python -m bot`: the same as the command `frontdesk`."""

from bot.cli import main

main()
