"""The dashboard's port by TLS; what is on its pages is tested in a browser, in tests/dashboard."""

import http.client
import json
import ssl
import urllib.error
import urllib.request

import pytest

from harness.pki import Authority

SECTION = '[dashboard]\naddress = "127.0.0.1:0"\ncertificate = "{file}"\nkey = "{key}"\n'
HERE = {"NIGHTJAR__DASHBOARD__ENABLED": "true"}


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "pki")


@pytest.fixture
def base(own_server, authority):
    """Its address."""
    issued = authority.issue("dashboard", names=["127.0.0.1"])
    section = SECTION.format(file=issued.file, key=issued.key_file)
    server = own_server(config=section, environment=HERE).start()
    (event,) = server.until_events("dashboard")
    return event["url"].rstrip("/")


def get(url, context, **headers):
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, context=context, timeout=15) as answer:
        return answer.headers, answer.read()


def test_pages_and_api_come_by_tls(base, authority):
    assert base.startswith("https://127.0.0.1:")
    headers, page = get(f"{base}/", authority.context())
    assert b"<title>" in page and "default-src" in headers["content-security-policy"]
    _, needed = get(f"{base}/api/v5/setup", authority.context())
    assert json.loads(needed) == {"needed": True}


def test_it_is_seen_by_those_who_trust_its_certificate(base, tmp_path):
    stranger = Authority(tmp_path / "other", "Another Authority").context()
    with pytest.raises(urllib.error.URLError) as caught:
        get(f"{base}/", stranger)
    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


def test_nothing_comes_without_tls(base):
    # What comes is an alert of TLS, or nothing.
    with pytest.raises((urllib.error.URLError, ConnectionError, http.client.BadStatusLine)):
        get(base.replace("https", "http") + "/api/v5/setup", None)


def test_a_foreign_name_is_refused(base, authority):
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"{base}/api/v5/setup", authority.context(), Host="evil.example.com")
    assert caught.value.code == 421
