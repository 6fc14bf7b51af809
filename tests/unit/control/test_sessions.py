"""The page's cookie: who gets one, what it is worth, and what other sites cannot do with it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from tests.controlling import DEPLOYMENT, TOKENS, ControlProcess

from shipway.control.http.sessions import COOKIE, HEADER

PAGE = {HEADER: "1"}
BODY = {"policy": {"kill": {"all": True}}, "reason": "INC-7"}


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    process = ControlProcess(tmp_path_factory.mktemp("control"))
    yield process
    process.close()


@pytest.fixture
def browser(control: ControlProcess) -> Iterator[httpx2.Client]:
    """Somebody without a token, whose client keeps cookies."""
    with control.client(None) as client:
        yield client


def enter(browser: httpx2.Client, role: str = "operate", **headers: str) -> httpx2.Response:
    return browser.post("/session", json={"token": TOKENS[role]}, headers=PAGE | headers)


def put(browser: httpx2.Client, headers: dict[str, str]) -> int:
    return browser.put(
        "/v1/policy", json=BODY, params=DEPLOYMENT, headers={"if-match": "*"} | headers
    ).status_code


def test_a_token_for_a_cookie(browser):
    assert browser.get("/v1/deployments").status_code == 401
    assert browser.get("/session").status_code == 401
    entered = enter(browser)
    assert entered.json() == {"name": "operate-of-tests", "role": "operate"}
    said = entered.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    assert "secure" not in said  # it came by plain HTTP
    assert TOKENS["operate"] not in said
    assert browser.get("/session").json()["name"] == "operate-of-tests"
    assert browser.get("/v1/deployments").status_code == 200
    assert put(browser, PAGE) == 200
    assert browser.delete("/session", headers=PAGE).status_code == 204
    assert browser.get("/v1/deployments").status_code == 401


def test_a_role_is_the_tokens_own(browser):
    enter(browser, "read")
    assert browser.get("/v1/deployments").status_code == 200
    assert put(browser, PAGE) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        PAGE | {"origin": "https://evil.example"},
        PAGE | {"origin": "null"},
        {"origin": "https://evil.example"},
    ],
)
def test_another_site_changes_nothing(browser, headers):
    enter(browser)
    assert put(browser, headers) == 403
    with_token = headers | {"authorization": f"Bearer {TOKENS['operate']}"}
    assert put(browser, with_token) == 200  # a token is shown on purpose


def test_its_own_origin_may(control, browser):
    enter(browser)
    assert put(browser, PAGE | {"origin": control.url}) == 200


def test_behind_tls_the_cookie_stays_there(browser):
    assert "secure" in enter(browser, **{"x-forwarded-proto": "https"}).headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("body", "status"),
    [({"token": "wrong"}, 401), ({"token": 3}, 400), ([], 400), ({"token": "x" * 5000}, 413)],
)
def test_who_gets_none(browser, body, status):
    answer = browser.post("/session", json=body, headers=PAGE)
    assert answer.status_code == status
    assert "set-cookie" not in answer.headers
    assert browser.post("/session", json={"token": TOKENS["read"]}).status_code == 403


def test_a_cookie_that_somebody_made(browser):
    enter(browser)
    value = browser.cookies[COOKIE]
    expiry, rest = value.split(".", 1)
    made = [
        f"{int(expiry) + 1}.{rest}",
        f"1.{rest}",
        value[:-1],
        value.replace("operate", "report"),
        "",
        "a.b.c",
    ]
    browser.cookies.clear()
    for cookie in [*made, "..", "٣.a.b", "9" * 400]:
        headers = {"cookie": f"{COOKIE}={cookie}".encode()}
        assert browser.get("/v1/deployments", headers=headers).status_code == 401, cookie
    assert browser.get("/v1/deployments", headers={"cookie": f"{COOKIE}={value}"}).status_code == 200


def test_it_outlives_a_restart(control, browser):
    enter(browser)
    control.kill()
    control.start()
    assert browser.get("/v1/deployments").status_code == 200


def test_what_every_answer_tells_a_browser(browser):
    for path in ("/", "/v1/deployments", "/healthz", "/nothing"):
        headers = browser.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
