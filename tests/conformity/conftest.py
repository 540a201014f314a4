import pytest
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants


@pytest.fixture(autouse=True)
def chance_that_knows_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take from Hypothesis the literals of the modules that happen to be loaded.

    It tries them as values. Which are loaded depends on what else runs in this process, so that
    the same cases would not come twice, though the rest of the chance in them is fixed.
    """
    monkeypatch.setattr(providers, "_get_local_constants", Constants)
    monkeypatch.setattr(providers, "CONSTANTS_CACHE", LRUCache(1024))
