"""A group is asked of its coordinator, which a new cluster has only after the first question."""

import pytest

from services.kafka.driver import for_code
from services.kafka.rights import NO_COORDINATOR_YET, coordinator_of


class Admin:
    """Answers as a cluster without a topic of groups does, some times."""

    def __init__(self, *raises: Exception) -> None:
        self.raises = list(raises)

    async def find_coordinator(self, group: str) -> int:
        assert group == "mirror"
        if self.raises:
            raise self.raises.pop(0)
        return 3


async def test_a_new_cluster_is_asked_again_until_somebody_leads_the_topic_of_groups() -> None:
    admin = Admin(NO_COORDINATOR_YET("not yet"), NO_COORDINATOR_YET("not yet"))
    assert await coordinator_of(admin, "mirror") == 3


async def test_what_is_denied_is_said_at_once() -> None:
    denied = for_code(30)
    admin = Admin(denied("no"))
    with pytest.raises(denied):
        await coordinator_of(admin, "mirror")
    assert admin.raises == []
