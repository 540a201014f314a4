"""docs/stand-ins.md: every behaviour, switch, fault, order and variable there is, and no other."""

import json
import re
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

import sandbox.part3.control
import sandbox.procore.control
from sandbox.part3 import faults as part3_faults
from sandbox.procore import faults as procore_faults
from sandbox.procore.switches import Switches
from tests.docs.named_tests import ROOT, defined_tests, names_in, rows_of

PAGE = "stand-ins.md"
TEXT = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
BEHAVIOURS = 57
ROWS = rows_of(PAGE)
DEFINED = defined_tests()

SWITCH = re.compile(r"`(\w+)`: `([^`]+)`, else ([^;|]+)")
FAULT = re.compile(r"fault ((?:`\w+`(?: or )?)+)")
ORDER = re.compile(r"`([A-Z]+) (/_sandbox/[a-z_/{}]+)`")
VARIABLE = re.compile(r"SANDBOX_[A-Z0-9_]+[A-Z0-9]")


def section(heading: str) -> str:
    """What stands below a heading, up to the next of its rank or a higher one."""
    rank = heading.split(" ", maxsplit=1)[0]
    _, _, below = TEXT.partition(f"\n{heading}\n")
    assert below, heading
    return re.split(rf"^#{{2,{len(rank)}}} ", below, flags=re.MULTILINE)[0]


def lines_of(heading: str) -> list[list[str]]:
    """The lines of a section's tables without their heads, as cells."""
    lines = [line for line in section(heading).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def others(kind: Any, default: Any) -> set[str]:
    """What else a switch may be, where that can be listed."""
    if kind is bool:
        return {shown(not default)}
    listed = get_args(kind) if get_origin(kind) is Literal else ()
    return {shown(value) for value in listed} - {shown(default)}


def test_every_behaviour_is_there_once() -> None:
    numbers = re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)
    assert numbers == list(ROWS) == [str(number) for number in range(1, BEHAVIOURS + 1)]
    assert all(len(cells) == 4 and all(cells) for cells in ROWS.values())


@pytest.mark.parametrize("number", range(1, BEHAVIOURS + 1))
def test_a_behaviours_tests_bear_its_number_and_all_that_do_are_named(number: int) -> None:
    numbered = {
        name
        for path in (ROOT / "tests" / "sandbox" / "procore").glob("test_*.py")
        for name in re.findall(rf"def (test_b{number:02}_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert numbered
    assert names_in(ROWS[str(number)][-1]) == numbered


def test_every_switch_is_there_once_with_its_default_and_all_it_may_be() -> None:
    told = SWITCH.findall(TEXT)
    assert sorted(name for name, _, _ in told) == sorted(Switches.__struct_fields__)
    kinds, defaults = get_type_hints(Switches), Switches()
    for name, default, rest in told:
        assert default == shown(getattr(defaults, name)), name
        if listed := others(kinds[name], getattr(defaults, name)):
            assert set(re.findall(r"`([^`]+)`", rest)) == listed, name
        else:
            assert re.search(r"number|word", rest), name


def test_the_number_beside_a_switch_is_that_of_its_row() -> None:
    rows = {name: number for number, cells in ROWS.items() for name, *_ in SWITCH.findall(cells[2])}
    source = (ROOT / "sandbox" / "procore" / "switches.py").read_text(encoding="utf-8")
    beside = dict(re.findall(r"^    (\w+): .*  # (\d+)\b", source, re.MULTILINE))
    assert beside == rows


@pytest.mark.parametrize("name", Switches.__struct_fields__)
def test_a_switch_is_turned_by_a_test_of_the_stand_in_or_of_the_probe(name: str) -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for folder in ("sandbox/procore", "probe")
        for path in (ROOT / "tests" / folder).glob("*.py")
    ]
    turned = re.compile(rf"\b{name}=(?!=)|\"{name}\": ")
    assert any(turned.search(source) for source in sources)


def test_every_fault_of_procores_is_there_once_with_its_own_fields() -> None:
    lines = lines_of("### Faults")
    assert [cells[0].strip("`") for cells in lines] == list(get_args(procore_faults.Kind))
    fields = set(procore_faults.Rule.__struct_fields__)
    common = set(re.findall(r"`(\w+)`", section("### Faults").partition("\n| kind")[0]))
    told = {field for cells in lines for field in re.findall(r"`(\w+)`", cells[3])}
    assert told | (common & fields) == fields - {"kind", "hits", "passed"}
    for kind, strikes, *_ in lines:
        assert strikes == (
            "events" if kind.strip("`") in procore_faults.EVENT_KINDS else "calls"
        ), kind


def test_a_row_names_faults_and_orders_that_there_are() -> None:
    meant = " ".join(cells[2] for cells in ROWS.values())
    kinds = {kind for named in FAULT.findall(meant) for kind in re.findall(r"`(\w+)`", named)}
    assert kinds
    assert kinds <= set(get_args(procore_faults.Kind))
    orders = set(ORDER.findall(meant))
    assert orders
    assert orders <= orders_of(sandbox.procore.control.Control)


def test_every_behaviour_has_its_sources_and_every_short_name_its_meaning() -> None:
    told, _, meaning = section("### Where it was read").partition("\nThe short names")
    ranges = re.findall(r"^\| [^|]+ \| ([0-9to, ]+) \|", told, re.MULTILINE)
    ends = [part.partition(" to ") for one in ranges for part in one.split(", ")]
    rows = [n for low, _, high in ends for n in range(int(low), int(high or low) + 1)]
    assert sorted(rows) == list(range(1, BEHAVIOURS + 1))
    contract = (ROOT / "schemas" / "contracts" / "procore.openapi.yaml").read_text(encoding="utf-8")
    used = " ".join(re.findall(r"x-source: (.*)", contract))
    short = set(re.findall(r"\b[A-Z]{2,3}\b", used)) | set(re.findall(r"\b[A-Z]{2,3}\b", told))
    assert short - {"RFI"} <= set(re.findall(r"`([A-Z]{2,3})`", meaning))


def test_every_fault_of_part3s_is_there_once_where_it_strikes() -> None:
    lines = [cells for cells in lines_of("## Driving Part3's") if len(cells) == 4]
    told = {cells[0].strip("`"): set(cells[1].split(", ")) for cells in lines}
    assert len(told) == len(lines)
    for on, kinds in (("api", part3_faults.API_FAULTS), ("event", part3_faults.EVENT_FAULTS)):
        assert {kind for kind, where in told.items() if on in where} == kinds


def orders_of(control: type[Any]) -> set[tuple[str, str]]:
    """Every order that a stand-in takes, as method and path."""
    one: Any = object.__new__(control)  # its routes are all that is asked of it
    return {
        (method, route.path)
        for route in one.routes()
        for method in route.methods
        if method != "HEAD"
    }


@pytest.mark.parametrize(
    ("heading", "control"),
    [
        ("## Driving Procore's", sandbox.procore.control.Control),
        ("## Driving Part3's", sandbox.part3.control.Control),
    ],
)
def test_every_order_is_there_once_and_no_other(heading: str, control: type[Any]) -> None:
    told = [order for cells in lines_of(heading) for order in ORDER.findall(cells[0])]
    assert sorted(told) == sorted(orders_of(control))


@pytest.mark.parametrize(
    "heading",
    ["## Driving Procore's", "### Faults", "### Switches of no row", "## Driving Part3's"],
)
def test_every_line_names_a_test_that_is_there(heading: str) -> None:
    for cells in lines_of(heading):
        named = names_in(cells[-1])
        assert named, cells[0]
        assert named <= DEFINED, cells[0]


def test_every_variable_of_the_programs_is_there_and_no_other() -> None:
    read = {
        name
        for path in (ROOT / "sandbox").rglob("*.py")
        for name in VARIABLE.findall(path.read_text(encoding="utf-8"))
    }
    assert set(VARIABLE.findall(TEXT)) == read


def test_no_source_points_to_a_section_of_a_contract_that_is_not_here() -> None:
    packages = ("sandbox", "services", "connector", "sync_worker", "token_service", "schemas")
    pointing = re.compile(r"contract,? sections? \d|contract \d", re.IGNORECASE)
    found = [
        path
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if pointing.search(path.read_text(encoding="utf-8"))
    ]
    assert found == []
