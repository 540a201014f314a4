"""`connector demo`: start everything, play the story, and stay up to play with."""

import click


@click.command()
@click.option("--once", is_flag=True, help="End after the story: with 0, or with 1 and the reason.")
def demo(once: bool) -> None:
    """Start the whole system with stand-ins on this machine and play the story on it.

    Kafka and Postgres start by themselves, unless KAFKA_BOOTSTRAP_SERVERS or DATABASE_URL name
    others. Everything listens on 127.0.0.1 and ends with the command.
    """
    try:
        from connector.demo.playing import play  # noqa: PLC0415 - only with the demo's extras
        from deploy.local.commands import run_command  # noqa: PLC0415 - as above
    except ImportError as error:
        message = f"the demo needs its extras ({error.name}): pip install '.[demo]', or make demo"
        raise click.ClickException(message) from error
    raise SystemExit(run_command(play(once=once)))
