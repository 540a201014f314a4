"""docs/operate.md: every command and every option of it, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from connector.__main__ import main

BOOK = Path(__file__).parents[2] / "docs" / "operate.md"
SECTION = re.compile(r"^### (connector .+)\n((?:(?!^#).*\n)*)", re.MULTILINE)
SECTIONS = dict(SECTION.findall(BOOK.read_text(encoding="utf-8")))


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for word, one in command.commands.items():
            yield f"{name} {word}", one
            yield from commands(one, f"{name} {word}")


COMMANDS = dict(commands(main, "connector"))


def test_the_book_has_a_section_for_each_command_and_no_other() -> None:
    assert sorted(SECTIONS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_section_names_every_option_of_its_command(name: str) -> None:
    words = " ".join(SECTIONS[name].split())  # an option may stand at a line's end
    for parameter in COMMANDS[name].params:
        spelled = parameter.opts if isinstance(parameter, click.Option) else []
        assert all(option in words for option in spelled), f"{spelled} is not in {name}'s section"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_says_what_a_command_and_each_option_is(name: str) -> None:
    said = COMMANDS[name].help or ""
    assert said, f"{name} has no help"
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"
