"""`connector completion`: the script by which a shell completes commands and options."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes `connector` in SHELL. Changes nothing.

    \b
    Examples:
      bash: eval "$(connector completion bash)"      in ~/.bashrc
      zsh:  eval "$(connector completion zsh)"       in ~/.zshrc
      fish: connector completion fish | source       in config.fish
    """  # noqa: D301 - click keeps the lines after its mark
    known = get_completion_class(shell)
    if known is None:
        raise click.ClickException(f"this release of click does not complete in {shell}")
    root = context.find_root().command
    # named as it is installed, however this was started
    click.echo(known(root, {}, "connector", "_CONNECTOR_COMPLETE").source())
