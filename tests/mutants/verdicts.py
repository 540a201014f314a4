"""How each test of a run ended, and what by: pytest loads this as a plugin, in the copied tree.

Only what a test asserts counts for a defect, or an error of our own kinds that it did not expect.
One that cannot be set up, that a timeout ends, or that stumbles over a name that is not there, has
not noticed anything.
"""

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from services.errors import ConnectorError

INTO = "VERDICTS_INTO"
"""Variable that names the file to write, a JSON line for each phase that tells something."""

PASSED, ASSERTED, STUMBLED = "passed", "asserted", "stumbled"


class Verdict(NamedTuple):
    """How a test ended, and the first line of why."""

    how: str
    why: str = ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down how a phase of a test ended."""
    report = yield
    if report.passed and call.when != "call":
        return report
    verdict = Verdict(PASSED)
    if not report.passed:
        verdict = judged(call.excinfo.value if call.excinfo else None, during=str(call.when))
    with Path(os.environ[INTO]).open("ab") as file:
        file.write(msgspec.json.encode((item.nodeid.split("[")[0], verdict)) + b"\n")
    return report


def judged(error: BaseException | None, *, during: str) -> Verdict:
    """Tell whether a test failed by what it asserts, from what was raised in one of its phases."""
    why = f"{type(error).__name__}: {error}".partition("\n")[0][:120]
    asserted = during == "call" and all(is_said_by_the_test(one) for one in leaves(error))
    return Verdict(ASSERTED if asserted else STUMBLED, why)


def is_said_by_the_test(error: BaseException | None) -> bool:
    """Tell whether this is an assertion's, pytest's own word, or an error that our code means.

    Of pytest's are DID NOT RAISE, and what ends a test that hangs.
    """
    if isinstance(error, pytest.fail.Exception):
        return not str(error).startswith("Timeout")  # pytest-timeout's
    return isinstance(error, (AssertionError, ConnectorError))


def leaves(error: BaseException | None) -> list[BaseException | None]:
    """Return what a group of errors holds, or the one error."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for one in error.exceptions for leaf in leaves(one)]
    return [error]


def read(file: Path) -> dict[str, Verdict]:
    """Return the verdict on each test of a run.

    One with parameters passes if all of it does, and has noticed something if one of them has.
    """
    found: dict[str, Verdict] = {}
    telling = (PASSED, STUMBLED, ASSERTED)
    lines: list[Any] = file.read_bytes().splitlines() if file.exists() else []
    for line in lines:
        test, verdict = msgspec.json.decode(line, type=tuple[str, Verdict])
        before = found.get(test, Verdict(PASSED))
        found[test] = max(before, verdict, key=lambda one: telling.index(one.how))
    return found
