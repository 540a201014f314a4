"""The checks are not blind: each mistake that is put in on purpose breaks what it should."""

import pytest

from simulation.database import ANSWERS
from simulation.defects import DEFECTS, REAL, Defect, first_seed_that_shows

MOST_SEEDS = 400


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_mistake_is_found_within_some_seeds(defect: Defect) -> None:
    assert first_seed_that_shows(defect, MOST_SEEDS) is not None
    assert ANSWERS == REAL, "and it is taken out again"
