"""What a test logs in a program's way is its own, and the next test finds logging as it was."""

import logging

import structlog

from tests.logged import logged_by


def test_logging_is_afterwards_as_it_was() -> None:
    kept = structlog.get_logger()
    before = logging.root.handlers[:], logging.root.level, structlog.get_config()
    for name in ("one", "other"):
        with logged_by(name) as lines:
            kept.debug("said")
            logging.getLogger("sync_worker").debug("told")
        kept.debug("said to nobody")
        assert lines.getvalue().count("said") == 1
        assert lines.getvalue().count(f'"program": "{name}"') == 1
        assert lines.getvalue().endswith("told\n")
    assert (logging.root.handlers[:], logging.root.level, structlog.get_config()) == before
    assert structlog.contextvars.get_contextvars() == {}
