"""Which client speaks to whom."""

import ssl

import httpx2
import pytest

from shipway.build.registries.clients import Clients, trust_nobody


@pytest.fixture
def clients():
    clients = Clients(httpx2.Timeout(5))
    yield clients
    clients.close()


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "[::1]:5000"])
def test_plain_http_on_loopback_has_a_client_of_its_own(clients, host):
    own = clients.at(httpx2.URL(f"http://{host}/v2/"))
    assert clients.at(httpx2.URL("http://127.0.0.1/")) is own
    other = clients.at(httpx2.URL("https://registry.example.com/v2/"))
    assert other is not own
    assert clients.at(httpx2.URL(f"https://{host}/v2/")) is other
    assert clients.at(httpx2.URL("http://registry.example.com/v2/")) is other


def test_no_proxy_reaches_our_own_loopback(clients, registry, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    url = httpx2.URL(f"http://{registry.host}/v2/a/manifests/none")
    assert clients.at(url).get(url).status_code == 404


def test_without_certificates_verification_is_on_and_fails():
    context = trust_nobody()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 0
