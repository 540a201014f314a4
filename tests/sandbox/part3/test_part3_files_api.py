import hashlib
from pathlib import Path

import pytest

from sandbox.part3.house import House
from tests.sandbox.part3.conftest import PROJECT, Part3Api, a_settings

CONTENT = bytes(range(256))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


async def test_a_file_is_stored_once_and_given_back(api: Part3Api) -> None:
    first, again = await api.put_file(CONTENT), await api.put_file(CONTENT)
    assert (first.status_code, again.status_code) == (201, 200)
    got = await api.call("GET", f"/files/{SHA256}")
    assert got.content == CONTENT
    assert got.headers["content-type"] == "application/octet-stream"
    assert len(await api.effects("file.stored")) == 1


async def test_head_says_whether_a_file_is_there(api: Part3Api) -> None:
    assert (await api.call("HEAD", f"/files/{SHA256}")).status_code == 404
    await api.put_file(CONTENT)
    there = await api.call("HEAD", f"/files/{SHA256}")
    assert (there.status_code, there.content) == (200, b"")
    assert there.headers["content-length"] == str(len(CONTENT))


async def test_a_file_belongs_to_its_project(api: Part3Api) -> None:
    await api.sandbox("seed", project_id="prj_other", name="Other", companies=[])
    await api.put_file(CONTENT)
    assert (await api.client.head(f"/v1/projects/prj_other/files/{SHA256}")).status_code == 404


async def test_bytes_of_another_hash_are_a_422_and_leave_nothing(
    api: Part3Api, tmp_path: Path
) -> None:
    answer = await api.put_file(b"other bytes", sha256=SHA256)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.call("HEAD", f"/files/{SHA256}")).status_code == 404
    assert list((tmp_path / "incoming").iterdir()) == []


async def test_bytes_of_another_hash_are_a_422_also_where_the_file_is_there(
    api: Part3Api,
) -> None:
    await api.put_file(CONTENT)
    assert (await api.put_file(b"other bytes", sha256=SHA256)).status_code == 422
    assert (await api.call("GET", f"/files/{SHA256}")).content == CONTENT


@pytest.mark.parametrize("sha256", ["abc", SHA256.upper(), "g" * 64])
async def test_a_name_that_is_no_hash_is_a_422(api: Part3Api, sha256: str) -> None:
    assert (await api.put_file(CONTENT, sha256=sha256)).status_code == 422


async def test_too_many_bytes_are_a_413_and_leave_nothing(api: Part3Api, tmp_path: Path) -> None:
    answer = await api.put_file(b"x" * 1001)
    assert answer.status_code == 413
    assert list((tmp_path / "incoming").iterdir()) == []
    assert (await api.put_file(b"x" * 1000)).status_code == 201


async def test_an_empty_file_is_a_file(api: Part3Api) -> None:
    assert (await api.put_file(b"")).status_code == 201


async def test_the_name_is_percent_encoded_utf_8(api: Part3Api, house: House) -> None:
    await api.put_file(CONTENT, name="Pl%C3%A4ne%20%2B%20Schnitt%20%E2%91%A0.pdf")
    row = house.store.one("SELECT name FROM files WHERE project_id = ?", PROJECT)
    assert row is not None
    assert row["name"] == "Pläne + Schnitt ①.pdf"


@pytest.mark.parametrize("name", ["", "%FF%FE"])
async def test_a_name_that_cannot_be_read_is_a_422(api: Part3Api, name: str) -> None:
    assert (await api.put_file(CONTENT, name=name)).status_code == 422


def test_a_blob_of_a_killed_process_is_cleared_away_at_start(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / "half").write_bytes(b"half")
    house = House(a_settings(tmp_path))
    house.store.close()
    assert list((tmp_path / "incoming").iterdir()) == []
