"""What of our calls Procore's Integration Health would observe."""

import pytest

from services.procore.integration_health import OBSERVATIONS, IntegrationHealth

RFIS = "/rest/v1.0/projects/501/rfis"


class Counted:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.health = IntegrationHealth(self.seen.append)

    def call(self, path: str = RFIS, status: int = 200, company_id: str = "77") -> list[str]:
        self.seen.clear()
        self.health.note("GET", path, "amy", company_id, status)
        return list(self.seen)


@pytest.mark.parametrize(
    "path",
    [
        RFIS,
        f"{RFIS}/1",
        f"{RFIS}/recycle_bin",
        f"{RFIS}/1/replies",
        "/rest/v1.1/projects/501/submittals",
        "/rest/v1.1/projects/501/submittals/recycle_bin",
        "/rest/v1.1/projects/501/uploads",
        "/rest/v1.0/submittal_responses",
        "/rest/v1.0/submittal_approvers/9",
        "/rest/v1.0/settings/permissions",
    ],
)
def test_what_the_workers_call_is_documented_and_in_health(path: str) -> None:
    assert Counted().call(path) == []


@pytest.mark.parametrize(
    ("status", "seen"), [(401, "unauthorized"), (404, "not_found"), (429, "rate_limited")]
)
def test_refusals_are_counted(status: int, seen: str) -> None:
    assert Counted().call(status=status) == [seen]
    assert seen in OBSERVATIONS


def test_a_403_counts_when_it_comes_again() -> None:
    counted = Counted()
    assert [counted.call(status=403) for _ in range(2)] == [[], ["forbidden_again"]]
    assert counted.call() == []
    assert counted.call(status=403) == []  # it went in between


def test_paths_and_headers_are_counted_whatever_the_answer() -> None:
    counted = Counted()
    assert counted.call(company_id="") == ["no_company_header"]
    assert counted.call("/rest/v1.0/webhooks/hooks") == ["deprecated"]
    assert counted.call("/rest/v1.0/projects/501/submittals") == ["deprecated"]
    assert counted.call("/rest/v9.9/secrets") == ["undocumented"]
