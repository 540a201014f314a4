"""Who orders something and why: asked of operators whose order people read about."""

import getpass
from contextlib import suppress

import click

LONGEST_REASON = 200


def _whom(context: click.Context, parameter: click.Parameter, given: str | None) -> str:
    """Name the operator: as they say, else as they are logged in here."""
    del context, parameter
    if given:
        return given
    with suppress(OSError, KeyError):  # a container's user often has no name
        return getpass.getuser()
    raise click.BadParameter("this login has no name: say who you are")


def _reason(context: click.Context, parameter: click.Parameter, given: str) -> str:
    del context, parameter
    said = " ".join(given.split())
    if not 0 < len(said) <= LONGEST_REASON:
        raise click.BadParameter(f"write 1 to {LONGEST_REASON} characters: project teams read it")
    return said


REASON = click.option(
    "--reason", required=True, callback=_reason, help="Why; project teams read it."
)
BY = click.option(
    "--by", callback=_whom, metavar="NAME", help="Who you are. Default: your login here."
)
