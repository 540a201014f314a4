"""`connector`: one command for those who run the service."""

import logging

import click

from connector.auditing import audit
from connector.completing import completion
from connector.demo.command import demo
from connector.diagnosis import doctor
from connector.exporting import export
from connector.mending import resync
from connector.pausing import drain, pause, resume
from connector.preparing import migrate, topics
from connector.probe.command import probe
from connector.replaying import replay
from connector.reporting import status
from connector.revoking import revoke_all
from connector.rotating import rotate
from connector.waiting import wait

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="part3-procore-connector")
def main() -> None:
    """Keep Part3 and Procore in step: prepare, look at and mend the service.

    Every command reads the same environment as the programs (docs/configuration.md). Exit codes:
    0 all is well, 1 something is wrong and was named, 2 the command was misused, 78 the settings
    are not usable.
    """
    # what a driver logs on its own is said in our words, with what to do
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


COMMANDS = (
    migrate,
    topics,
    wait,
    doctor,
    status,
    resync,
    replay,
    pause,
    resume,
    drain,
    export,
    rotate,
    audit,
    revoke_all,
    completion,
    probe,
    demo,
)
for command in COMMANDS:
    main.add_command(command)

if __name__ == "__main__":
    main()
