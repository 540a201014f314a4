"""Every scenario: each module below puts its own on the list."""

from tests.faults import at_each_step, groups, notices, outages, poison_records, refreshing
from tests.faults.scenarios import SCENARIOS

MODULES = (at_each_step, outages, notices, groups, refreshing, poison_records)

__all__ = ["MODULES", "SCENARIOS"]
