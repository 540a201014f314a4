"""A start with bad settings prints every fault, shows no secret and ends with 78."""

import socket
from pathlib import Path

import pytest

from deploy.local.ports import free_port
from services.settings import KafkaSettings, Reader
from tests.operators.running import KEY, connector, run_module, whole_environment
from token_service.settings import Settings

REQUIRED = {
    "webhook_gateway": {"KAFKA_BOOTSTRAP_SERVERS", "WEBHOOK_SECRET_KEYS", "PART3_WEBHOOK_SECRETS"},
    "token_service": {
        "DATABASE_URL",
        "WEBHOOK_SECRET_KEYS",
        "TOKEN_ENCRYPTION_KEYS",
        "PROCORE_LOGIN_URL",
        "PROCORE_API_URL",
        "PROCORE_CLIENT_ID",
        "PROCORE_CLIENT_SECRET",
        "PUBLIC_URL",
        "GATEWAY_PUBLIC_URL",
        "PART3_API_URL",
        "PART3_API_TOKEN",
        "PART3_LAUNCH_KEYS",
        "PART3_ORIGIN",
        "INTERNAL_API_KEYS",
    },
    "sync_worker": {
        "KAFKA_BOOTSTRAP_SERVERS",
        "DATABASE_URL",
        "PROCORE_LOGIN_URL",
        "PROCORE_API_URL",
        "PART3_API_URL",
        "PART3_API_TOKEN",
        "INTERNAL_API_KEYS",
        "TOKEN_SERVICE_URL",
    },
}
WRONG = {
    "KAFKA_BOOTSTRAP_SERVERS": "broker-without-port",
    "KAFKA_SECURITY_PROTOCOL": "carrier-pigeon",
    "DATABASE_URL": "mysql://me:canary-1@host/db",
    "WEBHOOK_SECRET_KEYS": "w1:canary-2",
    "PART3_WEBHOOK_SECRETS": "canary-3",
    "TOKEN_ENCRYPTION_KEYS": "t1:Y2FuYXJ5",
    "PART3_LAUNCH_KEYS": "canary-4",
    "INTERNAL_API_KEYS": "canary-5",
    "PROCORE_LOGIN_URL": "http://plain.example",
    "PROCORE_API_URL": "https://me:canary-6@procore.example",
    "PUBLIC_URL": "ftp://pages.example",
    "GATEWAY_PUBLIC_URL": "no address",
    "PART3_API_URL": "https://",
    "PART3_ORIGIN": "//origin.example",
    "TOKEN_SERVICE_URL": " , ",
    "LOG_LEVEL": "loud",
    "METRICS_PORT": "70000",
}


@pytest.mark.parametrize("program", REQUIRED)
async def test_a_start_without_settings_names_all_that_are_required(program: str) -> None:
    ended = await run_module(program, environment={})
    assert ended.code == 78
    assert "Traceback" not in ended.said
    for name in REQUIRED[program]:
        assert f"{name} is not set" in ended.err


@pytest.mark.parametrize("program", REQUIRED)
async def test_a_start_with_wrong_settings_names_each_and_shows_no_secret(program: str) -> None:
    ended = await run_module(program, environment=whole_environment(port=1) | WRONG)
    assert ended.code == 78
    for name in (REQUIRED[program] & WRONG.keys()) | {"LOG_LEVEL", "METRICS_PORT"}:
        assert f"- {name}" in ended.err, name
    assert "canary" not in ended.said
    assert "Y2FuYXJ5" not in ended.said


@pytest.mark.parametrize("command", [("migrate",), ("topics",), ("status",), ("doctor",)])
async def test_a_command_without_settings_ends_with_78(command: tuple[str, ...]) -> None:
    ended = await connector(*command, environment={})
    assert ended.code == 78
    assert "is not set" in ended.said


async def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    environment = whole_environment(port=free_port())
    for name in ("DATABASE_URL", "INTERNAL_API_KEYS", "PART3_WEBHOOK_SECRETS", "PART3_API_TOKEN"):
        path = tmp_path / name
        path.write_text(environment.pop(name) + "\n")
        environment[f"{name}_FILE"] = str(path)
    ended = await connector("doctor", environment=environment)
    assert ended.code == 1, ended.said  # 78 would be the settings; nothing else is up
    assert "every variable is there" in ended.out


def test_a_file_that_cannot_be_read_is_one_fault() -> None:
    reader = Reader({"PART3_API_TOKEN_FILE": "/nowhere/at-all"})
    reader.secret("PART3_API_TOKEN")
    assert len(reader.faults) == 1
    assert reader.faults[0].startswith("PART3_API_TOKEN_FILE")


def test_a_file_variable_that_is_empty_is_not_set() -> None:
    reader = Reader({"PART3_API_TOKEN": "token", "PART3_API_TOKEN_FILE": ""})
    assert reader.secret("PART3_API_TOKEN").reveal() == "token"
    assert reader.faults == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:canary@host/db",
        "postgresql://me:can/ary@host/db",
        "postgresql://me:canary@host:port/db",
        "canary",
    ],
)
def test_a_database_url_that_cannot_be_read_is_a_fault_that_shows_nothing_of_it(url: str) -> None:
    reader = Reader({"DATABASE_URL": url})
    reader.database_url()
    assert len(reader.faults) == 1
    assert "can" not in reader.faults[0].replace("cannot", "")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "one:9092,two"),
        ("KAFKA_BOOTSTRAP_SERVERS", "one:port"),
        ("KAFKA_TOPIC_PREFIX", "a prefix"),
        ("KAFKA_SASL_MECHANISM", "GUESSING"),
        ("KAFKA_CA_FILE", "/nowhere/at-all.pem"),
    ],
)
def test_what_kafka_could_not_use_is_named(variable: str, value: str) -> None:
    good = {
        "KAFKA_BOOTSTRAP_SERVERS": "one:9092, [::1]:9093",
        "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
        "KAFKA_SASL_USERNAME": "me",
        "KAFKA_SASL_PASSWORD": "hidden",
    }
    reader = Reader(good)
    KafkaSettings.read(reader)
    assert reader.faults == []
    reader = Reader(good | {variable: value})
    KafkaSettings.read(reader)
    assert [fault.split(" ")[0].rstrip(":") for fault in reader.faults] == [variable]


def test_sasl_without_a_name_and_a_password_is_two_faults() -> None:
    reader = Reader(
        {"KAFKA_BOOTSTRAP_SERVERS": "one:9092", "KAFKA_SECURITY_PROTOCOL": "sasl_plaintext"}
    )
    KafkaSettings.read(reader)
    assert len(reader.faults) == 2


@pytest.mark.parametrize("program", REQUIRED)
async def test_a_port_that_is_taken_is_said_in_one_line(program: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = whole_environment(port=1) | {
            "METRICS_PORT": port,
            "REFRESH_SPOOL_DIR": str(tmp_path / "spool"),
        }
        ended = await run_module(program, environment=environment)
    assert ended.code == 1
    assert "Traceback" not in ended.said
    last = ended.err.strip().splitlines()[-1]
    assert f"port {port}" in last
    assert "METRICS_PORT" in last


@pytest.mark.parametrize(("deadline", "lease"), [("120", None), ("60", "1"), ("1", "5")])
def test_a_lease_is_always_longer_than_the_refresh_it_guards(
    deadline: str, lease: str | None, tmp_path: Path
) -> None:
    environment = whole_environment(port=1) | {
        "REFRESH_DEADLINE_S": deadline,
        "REFRESH_SPOOL_DIR": str(tmp_path / "spool"),
    }
    reader = Reader(environment | ({"REFRESH_LEASE_S": lease} if lease else {}))
    settings = Settings.read(reader)
    assert reader.faults == []
    assert settings.refresh_lease_s > settings.refresh_deadline_s


def test_keys_are_never_part_of_a_fault() -> None:
    reader = Reader({"WEBHOOK_SECRET_KEYS": f"a:{KEY},a:{KEY},b:short"})
    reader.key_ring("WEBHOOK_SECRET_KEYS")
    assert len(reader.faults) == 2
    assert KEY not in str(reader.faults)
