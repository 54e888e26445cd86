"""Certificates from an authority (ACME): a real one, Pebble, that asks our name and signs."""

import ssl
import stat

import pytest
from cryptography import x509

from harness.pebble import Pebble
from harness.peer import Peer
from harness.server import free_port

NAME = "mqtt.example.com"
#: Seconds that Pebble's certificates are good.
VALIDITY = 15


@pytest.fixture
def authority(tmp_path):
    with Pebble(tmp_path / "pebble", validity=VALIDITY) as pebble:
        yield pebble


def config(authority, http_port=None):
    return (
        '[[certificate]]\nname = "main"\n'
        f'acme = "{authority.directory}"\nacme_ca = "{authority.ca}"\n'
        f'domains = ["{NAME}"]\nemail = "operator@example.com"\n'
        f'http_address = "127.0.0.1:{http_port or authority.http_port}"\n'
    )


#: What the log says when a new certificate is in force.
AGAIN = "certificates read again: new connections see them"
TLS = 'protocol = "mqtts"\ncertificates = ["main"]'


def shown(server):
    """The certificate that a client sees now, whoever signed it."""
    door = server.door(0)
    return ssl.get_server_certificate((door.host, door.port))


def trusting(authority):
    """Whom the authority vouches for, by whatever name we connect."""
    context = ssl.create_default_context(cadata=authority.root())
    context.check_hostname = False
    return context


def test_a_certificate_is_issued_shown_and_renewed(own_server, authority):
    server = own_server(config=config(authority), listeners=[TLS]).start()
    issued = server.until_events("certificate issued")[0]
    assert issued["certificate"] == "main"
    server.until_events(AGAIN)
    first = shown(server)
    names = x509.load_pem_x509_certificate(first.encode()).extensions
    names = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    context = trusting(authority)
    with Peer(server.door(0), tls=context):
        server.until_events("certificate issued", 2)
        server.until_events(AGAIN, 2)
        assert shown(server) != first
    folder = server.data_dir / "acme" / "main"
    for path in (folder / "account.json", folder / "certificate.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    account = (folder / "account.json").read_text()
    server.stop()
    # The next start goes on with what is there, or with the same account.
    server.start()
    server.until_events("certificate issued", 3)
    server.until_events(AGAIN, 3)
    with Peer(server.door(0), tls=context):
        assert (folder / "account.json").read_text() == account


def test_a_refusal_keeps_what_was_there(own_server, authority):
    # The authority looks elsewhere.
    elsewhere = free_port("127.0.0.1")
    server = own_server(config=config(authority, elsewhere), listeners=[TLS]).start()
    failed = server.until_events("certificate not issued: what was there stays")[0]
    assert failed["level"] == "ERROR"
    assert NAME in failed["problem"]
    assert failed.get("days_left") is None
    # The stand-in: there is somebody, whom nobody has reason to trust.
    context = trusting(authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        Peer(server.door(0), tls=context).connect()
