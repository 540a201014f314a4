"""All seeded defects."""

from tests.mutants import doors, mirroring, returns

DEFECTS = (*returns.DEFECTS, *mirroring.DEFECTS, *doors.DEFECTS)
