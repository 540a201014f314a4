"""`connector completion` gives each shell its script, and the script's question is answered."""

import pytest
from click.testing import CliRunner

from connector.__main__ import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_asks_the_command(shell: str) -> None:
    ended = CliRunner().invoke(main, ["completion", shell])
    assert ended.exit_code == 0, ended.output
    assert f"_CONNECTOR_COMPLETE={shell}_complete" in ended.output


def test_the_command_answers_what_the_script_asks() -> None:
    asked = {
        "_CONNECTOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "connector rep",
        "COMP_CWORD": "1",
    }
    ended = CliRunner(env=asked).invoke(main, prog_name="connector")
    assert ended.output.split(",")[-1].strip() == "replay"


def test_another_shell_is_misuse() -> None:
    assert CliRunner().invoke(main, ["completion", "cmd"]).exit_code == 2


@pytest.mark.parametrize("command", ["replay", "resync", "completion"])
def test_help_teaches_with_examples_on_lines_of_their_own(command: str) -> None:
    said = CliRunner().invoke(main, [command, "--help"]).output
    assert "\\b" not in said
    assert any(
        f"connector {command} " in line and "Usage" not in line for line in said.splitlines()
    )
