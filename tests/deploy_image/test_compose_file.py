import importlib
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connector.demo.worlds import procore_world
from connector.diagnosis import Surroundings
from deploy.compose.make_secrets import MADE, ROLES, write_secrets
from services.settings import Reader
from tests.deploy_image.composing import (
    OWNERS_OF_LETTERS,
    ROOT,
    compose,
    documented,
    environment_of,
    ours,
    program_of,
    services,
    standins,
)

PROGRAMS = tuple(OWNERS_OF_LETTERS.values())
SECRET_NAMES = re.compile(r"PASSWORD|SECRET|TOKEN$|_KEYS$|DATABASE_URL")
SETTINGS = {
    "webhook_gateway": ("webhook_gateway.settings", "GatewaySettings"),
    "token_service": ("token_service.settings", "Settings"),
    "sync_worker": ("sync_worker.settings", "WorkerSettings"),
}
NOT_OURS_TO_SAY = {"TMPDIR"}  # Python's own


def plain(name: str) -> str:
    return name.removesuffix("_FILE")


def running(package: str) -> list[dict[str, Any]]:
    return [one for one in ours().values() if program_of(one) == package]


def test_the_file_follows_the_compose_specification() -> None:
    kept = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
    schema = json.loads(kept.read_text())
    jsonschema.validators.validator_for(schema)(schema).validate(compose())


@pytest.mark.parametrize("name", sorted(services()))
def test_an_image_is_pinned_by_tag(name: str) -> None:
    image = services()[name]["image"]
    tag = image.rpartition(":")[2]
    assert re.fullmatch(r"\d+\.\d+(\.\d+)?(-[a-z]+)?", tag), image


@pytest.mark.parametrize("name", sorted(services()))
def test_a_container_may_do_little(name: str) -> None:
    one = services()[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in one
    assert "cap_add" not in one


@pytest.mark.parametrize("name", sorted(set(services()) - {"operator"}))
def test_a_container_has_limits(name: str) -> None:
    limits = services()[name]["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}


def test_there_is_a_gateway_a_token_service_and_two_workers() -> None:
    assert [len(running(program)) for program in PROGRAMS] == [1, 1, 2]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_every_required_variable(program: str) -> None:
    required = {n for n, (readers, must) in documented().items() if must and program in readers}
    assert required
    for one in running(program):
        assert required - {plain(name) for name in one["environment"]} == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_only_variables_it_reads(program: str) -> None:
    known = {n for n, (readers, _) in documented().items() if program in readers}
    for one in running(program):
        given = {plain(name) for name in one["environment"]} - NOT_OURS_TO_SAY
        assert given - known == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_accepts_what_it_is_given(program: str, tmp_path: Path) -> None:
    write_secrets(tmp_path / "secrets")
    module, name = SETTINGS[program]
    read = getattr(importlib.import_module(module), name).read
    for one in running(program):
        environ = environment_of(one) | {"REFRESH_SPOOL_DIR": str(tmp_path / "spool")}
        mounted = {
            key: value.replace("/run/secrets", str(tmp_path / "secrets"))
            for key, value in environ.items()
        }
        reader = Reader(mounted)
        read(reader)
        reader.finish()


def test_the_operators_command_has_all_that_the_doctor_asks_for(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    given = environment_of(services()["operator"])
    reader = Reader({k: v.replace("/run/secrets", str(tmp_path)) for k, v in given.items()})
    Surroundings.read(reader)
    reader.finish()


def test_the_world_to_try_is_that_of_the_demo() -> None:
    kept = (ROOT / "deploy" / "compose" / "procore-world.json").read_text()
    assert json.loads(kept) == {"spec": json.loads(json.dumps(procore_world()))}


def test_every_variable_given_to_our_image_is_documented() -> None:
    for name, one in ours().items():
        given = {plain(each) for each in one.get("environment", {})} - NOT_OURS_TO_SAY
        assert given - set(documented()) == set(), name


@pytest.mark.parametrize("name", sorted(services()))
def test_a_secret_comes_from_a_file_alone(name: str) -> None:
    one = services()[name]
    granted = {f"/run/secrets/{each}" for each in one.get("secrets", [])}
    named = set()
    for variable, value in one.get("environment", {}).items():
        if variable.endswith("_FILE"):
            named.add(value)
        else:
            assert not SECRET_NAMES.search(variable), f"{name}: {variable} is given in plain"
    assert named <= granted
    if name != "postgres":  # whose script reads the passwords of the roles that it makes
        assert granted == named, f"{name} is given a secret that it does not read"


def test_the_file_holds_no_secret() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "whsec_" not in text
    assert not re.search(r"postgres(ql)?://", text)
    assert not re.search(r"[A-Za-z0-9+/]{40,}={0,2}(?!\w)", text.replace("/", " "))


def test_each_secret_is_one_that_the_script_writes() -> None:
    written = set(MADE) | {f"{role}_database_url" for role in ROLES}
    declared = compose()["secrets"]
    assert set(declared) == written
    folder = "./deploy/compose/secrets"
    assert {name: one["file"] for name, one in declared.items()} == {
        name: f"{folder}/{name}" for name in written
    }


def test_each_secret_goes_only_to_those_who_need_it() -> None:
    holders: dict[str, set[str]] = {}
    for name, one in services().items():
        if name != "operator":
            for secret in one.get("secrets", []):
                holders.setdefault(secret, set()).add(name)
    workers = {"worker-1", "worker-2"}
    assert holders["token_encryption_keys"] == {"token-service"}
    assert holders["token_database_url"] == {"token-service"}
    assert holders["worker_database_url"] == workers
    assert holders["internal_api_keys"] == {"token-service"} | workers
    assert holders["migrate_database_url"] == {"migrate"}


def test_the_internal_port_is_reached_in_the_shared_namespace_alone() -> None:
    shared = {n for n, one in services().items() if one.get("network_mode") == "service:core-door"}
    assert shared == {"token-service", "worker-1", "worker-2", "operator"}
    for name in shared - {"operator"}:
        assert services()[name]["environment"]["HTTP_HOST"] == "127.0.0.1", name
    door = (ROOT / "deploy" / "compose" / "core-door.cfg").read_text()
    targets = re.findall(r"^\s+server \S+ (\S+)", door, re.MULTILINE)
    assert targets
    assert not [target for target in targets if target.endswith(":8082")]


def test_only_what_people_use_is_published_and_to_this_machine_alone() -> None:
    published = {p for one in services().values() for p in one.get("ports", [])}
    assert published == {
        "127.0.0.1:8080:8080",  # the gateway
        "127.0.0.1:8081:18081",  # the pages, by the door
        "127.0.0.1:8025:8025",  # the inbox
        "127.0.0.1:8091:8091",  # Part3
        "127.0.0.1:8092:8092",  # Procore
        "127.0.0.1:8093:8093",  # its storage
    }


def test_the_gateway_does_not_see_the_database() -> None:
    networks = {name: set(one.get("networks", [])) for name, one in services().items()}
    on_rows = {name for name, on in networks.items() if "rows" in on}
    assert on_rows == {"postgres", "migrate", "core-door"}
    assert compose()["networks"]["rows"]["internal"] is True
    assert compose()["networks"]["notices"]["internal"] is True
    assert "standins-door" not in on_rows
    assert networks["standins-door"] == {"street"}


def roads(name: str) -> dict[str, str]:
    text = (ROOT / "deploy" / "compose" / f"{name}.cfg").read_text()
    found = re.findall(r"^listen \S+\n\s+bind (\S+)\n\s+server \S+ (\S+)", text, re.MULTILINE)
    return dict(found)


def test_an_address_means_the_same_to_people_and_to_programs() -> None:
    wanted = {
        value.split("://")[1]
        for one in ours().values()
        for name, text in environment_of(one).items()
        if not name.endswith("_FILE") and name not in ("PUBLIC_URL", "TOKEN_SERVICE_URL")
        for value in text.split(",")
        if value.startswith("http://")
    }
    assert wanted == {f"127.0.0.1:{port}" for port in (8080, 8091, 8092, 8093)}
    doors = roads("core-door")
    assert {road: doors[road] for road in wanted} == {
        "127.0.0.1:8080": "gateway:8080",
        "127.0.0.1:8091": "standins-door:8091",
        "127.0.0.1:8092": "standins-door:8092",
        "127.0.0.1:8093": "standins-door:8093",
    }
    assert roads("standins-door") == {"127.0.0.1:8080": "gateway:8080"}


def test_programs_of_one_namespace_want_different_ports() -> None:
    ports: dict[str, str] = {}
    for name in ("token-service", "worker-1", "worker-2"):
        port = services()[name]["environment"]["METRICS_PORT"]
        assert port not in ports
        ports[port] = name
    door = roads("core-door")
    assert {door[f":1{port}"] for port in ports} == {f"127.0.0.1:{port}" for port in ports}


def test_each_worker_has_a_name_of_its_own() -> None:
    assert {one["environment"]["WORKER_ID"] for one in running("sync_worker")} == {
        "worker-1",
        "worker-2",
    }


def test_nothing_starts_before_what_it_leans_on() -> None:
    wanted = {
        "migrate": {"postgres": "service_healthy"},
        "topics": {"kafka": "service_healthy"},
        "gateway": {"topics": "service_completed_successfully"},
        "token-service": {
            "core-door": "service_healthy",
            "migrate": "service_completed_successfully",
        },
        "worker-1": {
            "core-door": "service_healthy",
            "token-service": "service_healthy",
            "migrate": "service_completed_successfully",
            "topics": "service_completed_successfully",
        },
    }
    for name, conditions in wanted.items():
        found = services()[name]["depends_on"]
        assert {on: how["condition"] for on, how in found.items()} == conditions
    for name, one in services().items():
        for on, how in one.get("depends_on", {}).items():
            leaned = services()[on]
            if how["condition"] == "service_healthy" and leaned["image"] not in ours_images():
                assert "healthcheck" in leaned, f"{name} waits for {on}, which has no health"


@pytest.mark.parametrize("job", ["migrate", "topics"])
def test_a_job_is_waited_for_by_a_program(job: str) -> None:
    """Else `up --wait` takes its end for a failure."""
    waiting = [
        name
        for name, one in services().items()
        if one.get("depends_on", {}).get(job, {}).get("condition")
        == "service_completed_successfully"
    ]
    assert waiting


def test_who_shares_a_doors_namespace_starts_anew_with_it() -> None:
    for name, one in services().items():
        if door := one.get("network_mode", "").removeprefix("service:"):
            assert one["depends_on"][door] == {"condition": "service_healthy", "restart": True}, (
                name
            )


def ours_images() -> set[str]:
    return {one["image"] for one in ours().values()}  # theirs stands in the Dockerfile


def test_the_pairs_on_their_way_outlive_the_container() -> None:
    (token_service,) = running("token_service")
    assert token_service["volumes"] == ["token-spool:/var/lib/connector"]
    assert "token-spool" in compose()["volumes"]


def test_the_stand_ins_start_with_what_they_are_given(tmp_path: Path) -> None:
    part3 = importlib.import_module("sandbox.part3.settings")
    inbox = importlib.import_module("sandbox.inbox.__main__")
    write_secrets(tmp_path)
    given = {
        name: {
            key: value.replace("/run/secrets", str(tmp_path))
            for key, value in environment_of(one).items()
        }
        for name, one in standins().items()
    }
    assert part3.read_settings(given["part3"]).public_url == "http://127.0.0.1:8091"
    assert inbox.read_settings(given["inbox"]).http_port == 8025


def test_procores_stand_in_reads_the_secret_of_its_app_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    procore = importlib.import_module("sandbox.procore.settings")
    write_secrets(tmp_path)
    for name, value in environment_of(services()["procore"]).items():
        monkeypatch.setenv(name, value.replace("/run/secrets", str(tmp_path)))
    app = procore.read_settings([]).app
    assert app.client_secret == (tmp_path / "procore_client_secret").read_text().strip()
    assert app.redirect_uris == ("http://127.0.0.1:8081/oauth/procore/callback",)


def test_what_is_mounted_from_the_repository_is_there() -> None:
    mounted = [config["file"] for config in compose()["configs"].values()]
    for one in services().values():
        mounted += [v.split(":")[0] for v in one.get("volumes", []) if v.startswith("./")]
    assert len(mounted) == 3
    assert [path for path in mounted if not (ROOT / path).is_file()] == []
