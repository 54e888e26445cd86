"""OpenLDAP."""

import base64
import shutil
import subprocess

from ..server import lasting_port
from .base import HOST, PASSWORD, BackEnd, example


class Ldap(BackEnd):
    title = "LDAP"
    has_rules = has_denials = False
    SUFFIX = "dc=example,dc=com"

    def prepare(self):
        self.tls_port = lasting_port("127.0.0.1")
        # A copy is nobody whom a policy of the machine binds to the machine's own directory.
        shutil.copy("/usr/sbin/slapd", self.folder / "slapd")
        (self.folder / "data").mkdir()
        schemas = "".join(
            f"include /etc/ldap/schema/{name}.schema\n"
            for name in ("core", "cosine", "inetorgperson")
        )
        (self.folder / "slapd.conf").write_text(
            f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"TLSCertificateFile {self.certificate.file}\n"
            f"TLSCertificateKeyFile {self.certificate.key_file}\n"
            f"pidfile {self.folder / 'pid'}\n"
            f"database mdb\nsuffix {self.SUFFIX}\ndirectory {self.folder / 'data'}\n"
            f"rootdn cn=reader,{self.SUFFIX}\nrootpw {PASSWORD}\ndbnosync\n"
            "access to attrs=userPassword by anonymous auth by * none\n"
            "access to * by self read by * none\n"
        )

    def command(self):
        urls = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        return [self.folder / "slapd", "-d", "0", "-f", self.folder / "slapd.conf", "-h", urls]

    def fill(self):
        units = [
            f"dn: {self.SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: example\n"
        ]
        for name in ("people", "groups"):
            units.append(
                f"dn: ou={name},{self.SUFFIX}\nobjectClass: organizationalUnit\nou: {name}\n"
            )
        self.change("\n".join(units) + "\n" + example(self.title, "ldif"), "-a")
        self.remove("ann")
        self.remove_group("staff")

    def url(self, tls):
        scheme, port = ("ldaps", self.tls_port) if tls else ("ldap", self.port)
        return f"{scheme}://{HOST}:{port}"

    def config(self, **options):
        """Without the rules of the example: tests bring their own."""
        return super().config(**options).split("[[rule]]")[0]

    def dn(self, name):
        escaped = "".join(f"\\{byte:02x}" for byte in name.encode())
        return f"uid={escaped},ou=people,{self.SUFFIX}"

    def put(self, *users):
        for group in {group for user in users for group in user.groups}:
            self.remove_group(group)
        self.change("\n".join(map(self.entry, users)), "-a")

    def entry(self, user):
        dn = base64_of(self.dn(user.name))
        text = (
            f"dn:: {dn}\nobjectClass: inetOrgPerson\nuid:: {base64_of(user.name)}\n"
            f"cn: someone\nsn: someone\nuserPassword:: {base64_of(user.password)}\n"
        )
        for group in user.groups:
            text += (
                f"\ndn: cn={group},ou=groups,{self.SUFFIX}\nobjectClass: groupOfNames\n"
                f"cn: {group}\nmember:: {dn}\n"
            )
        return text

    def remove(self, name):
        self.delete(self.dn(name))

    def revoke(self, _name):
        self.remove_group("staff")

    def remove_group(self, name):
        self.delete(f"cn={name},ou=groups,{self.SUFFIX}")

    def delete(self, dn):
        """32: there is none."""
        command = ["ldapdelete", *self.bind(), dn]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 32), done.stderr

    def change(self, text, *options):
        self.run(["ldapmodify", *self.bind(), *options], input=text)

    def bind(self):
        url = f"ldap://127.0.0.1:{self.port}"
        return ["-x", "-H", url, "-D", f"cn=reader,{self.SUFFIX}", "-w", PASSWORD]


def base64_of(text):
    return base64.b64encode(text.encode()).decode()
