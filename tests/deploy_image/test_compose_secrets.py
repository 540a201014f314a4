import base64
import os
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.compose.make_secrets import MADE, ROLES, NotSafe, write_secrets

ROOT = Path(__file__).parents[2]
NAMES = sorted([*MADE, *(f"{role}_database_url" for role in ROLES)])


def test_each_secret_has_a_file_in_a_folder_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    assert sorted(write_secrets(folder)) == NAMES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == dict.fromkeys(NAMES, 0o444)


def test_a_tight_umask_changes_nothing(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_secrets(tmp_path / "secrets")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "secrets" / "part3_api_token").stat().st_mode) == 0o444


def test_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert write_secrets(tmp_path) == []
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_a_secret_of_ones_own_is_kept_and_the_rest_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "procore_client_secret").write_text("from the developer portal\n")
    assert "procore_client_secret" not in write_secrets(tmp_path)
    assert (tmp_path / "procore_client_secret").read_text() == "from the developer portal\n"


def test_no_two_secrets_are_alike(tmp_path: Path) -> None:
    write_secrets(tmp_path / "one")
    write_secrets(tmp_path / "two")
    values = [
        path.read_text().partition(":")[2] or path.read_text() for path in one_and_two(tmp_path)
    ]
    assert len(set(values)) == len(values) == 2 * len(NAMES)


def one_and_two(folder: Path) -> list[Path]:
    return [path for name in ("one", "two") for path in (folder / name).iterdir()]


def test_keys_are_of_256_bits(tmp_path: Path) -> None:
    write_secrets(tmp_path)
    for name in ("webhook_secret_keys", "token_encryption_keys", "internal_api_keys"):
        key_id, _, encoded = (tmp_path / name).read_text().strip().partition(":")
        assert key_id
        assert len(base64.b64decode(encoded, validate=True)) == 32


@pytest.mark.parametrize("role", ROLES)
def test_a_role_connects_with_the_password_it_was_made_with(tmp_path: Path, role: str) -> None:
    write_secrets(tmp_path)
    url = urlsplit((tmp_path / f"{role}_database_url").read_text().strip())
    assert url.username == f"connector_{role}"
    assert url.password == (tmp_path / f"postgres_{role}_password").read_text().strip()


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o701])
def test_a_folder_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(NotSafe, match="chmod 700"):
        write_secrets(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(NotSafe, match="is a link"):
        write_secrets(tmp_path / "link")


def test_the_script_needs_nothing_but_python_and_shows_no_secret(tmp_path: Path) -> None:
    script = str(ROOT / "deploy" / "compose" / "make_secrets.py")
    done = subprocess.run(
        [sys.executable, "-I", "-S", script, str(tmp_path / "new")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("14 secrets written to ")
    values = [path.read_text().strip() for path in (tmp_path / "new").iterdir()]
    assert [value for value in values if value in done.stdout + done.stderr] == []


def test_git_does_not_see_the_secrets() -> None:
    assert "deploy/compose/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
