"""An authority of the tests' own: certificates for servers and clients, and revocation lists."""

import datetime
import ipaddress
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def write(path, data, mode=0o600):
    """Writes a whole file in one step, as careful programs do, and only for its owner."""
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    os.replace(new, path)
    return path


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """One that signs whatever the test asks for; its files lie in `folder`."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(*[False] * 5, key_cert_sign=True, crl_sign=True,
                              encipher_only=False, decipher_only=False)
        self.certificate = (
            self._builder(self.name, self.key.public_key(), 3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = write(folder / "ca.pem", pem(self.certificate), 0o644)
        self._number = 1

    def _builder(self, subject, public_key, days):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now() - DAY)
            .not_valid_after(now() + days * DAY)
        )

    def issue(self, name, *, names=(), common_names=None, client=False, days=30):
        """A certificate and its key, as files `name.pem` and `name.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        words = [name] if common_names is None else common_names
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, word) for word in words])
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = self._builder(subject, key.public_key(), days).add_extension(
            x509.ExtendedKeyUsage([purpose]), critical=False
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([general(one) for one in names]), critical=False
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return Issued(
            certificate,
            write(self.folder / f"{name}.pem", pem(certificate), 0o644),
            write(self.folder / f"{name}.key", secret),
        )

    def revoke(self, *issued, days=30):
        """The list of revoked certificates, as a file `crl.pem`."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now() - DAY)
            .next_update(now() + days * DAY)
            .add_extension(x509.CRLNumber(self._number), critical=False)
        )
        self._number += 1
        for one in issued:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(one.certificate.serial_number)
                .revocation_date(now() - DAY)
                .build()
            )
        crl = builder.sign(self.key, hashes.SHA256())
        return write(
            self.folder / "crl.pem", crl.public_bytes(serialization.Encoding.PEM), 0o644
        )

    def context(self, issued=None):
        """What a client goes by that trusts this authority, and perhaps shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.file))
        if issued is not None:
            context.load_cert_chain(issued.file, issued.key_file)
        return context


class Issued:
    def __init__(self, certificate, file, key_file):
        self.certificate, self.file, self.key_file = certificate, file, key_file


def general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
