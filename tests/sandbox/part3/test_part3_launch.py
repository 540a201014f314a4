from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import OctKey

from tests.sandbox.part3.conftest import LAUNCH_SECRET, MAYA, MAYA_MAIL, Part3Api


async def launch(api: Part3Api, next_path: str = "/account/integrations") -> dict[str, list[str]]:
    url = (await api.sandbox("launch", user=MAYA_MAIL, next=next_path)).json()["url"]
    parts = urlsplit(url)
    assert (parts.netloc, parts.path) == ("127.0.0.1:8081", "/launch")
    return parse_qs(parts.query)


async def test_a_launch_token_says_who_comes_and_is_short_lived(api: Part3Api) -> None:
    query = await launch(api, "/projects/prj_harbour/integrations")
    token = jwt.decode(query["token"][0], OctKey.import_key(LAUNCH_SECRET), algorithms=["HS256"])
    assert query["next"] == ["/projects/prj_harbour/integrations"]
    assert token.header["kid"] == "k1"
    assert token.claims["iss"] == "part3"
    assert token.claims["aud"] == "connector"
    assert token.claims["sub"] == MAYA
    assert token.claims["name"] == "Maya Lindqvist"
    assert token.claims["email"] == MAYA_MAIL
    assert 0 < token.claims["exp"] - token.claims["iat"] <= 60


async def test_no_two_launch_tokens_share_an_id(api: Part3Api) -> None:
    key = OctKey.import_key(LAUNCH_SECRET)
    ids = {jwt.decode((await launch(api))["token"][0], key).claims["jti"] for _ in range(5)}
    assert len(ids) == 5


async def test_a_launch_token_is_signed_by_the_key_of_the_settings(api: Part3Api) -> None:
    token = (await launch(api))["token"][0]
    with pytest.raises(BadSignatureError):
        jwt.decode(token, OctKey.import_key(b"another-key-of-thirty-two-bytes!"))
