#!/usr/bin/env python3
"""GSSAPI binds: a private MIT KDC on the loopback interface, a slapd with a keytab, the gateway with another.

Usage: tests/e2e/directory_kerberos.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.dont_write_bytecode = True
import daemon  # noqa: E402
from daemon import free_port, wait_for  # noqa: E402
from directory_servers import CAROL, Gateway  # noqa: E402
from ldap_world import FOUND, LATER  # noqa: E402

os.environ["PATH"] += ":/usr/sbin"
REALM = "EXAMPLE.COM"
KRB5_CONF = """[libdefaults]
default_realm = %(realm)s
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
[realms]
%(realm)s = {
 kdc = 127.0.0.1:%(port)d
}
"""
KDC_CONF = """[realms]
%(realm)s = {
 database_name = %(dir)s/principal
 key_stash_file = %(dir)s/stash
 kdc_listen = 127.0.0.1:%(port)d
 kdc_tcp_listen = 127.0.0.1:%(port)d
}
[logging]
kdc = FILE:%(dir)s/kdc.log
"""


class Kerberos(Gateway):
    GSSAPI = 'bind = "gssapi"; timeout_ms = 20000; '

    def setUp(self):
        super().setUp()
        os.mkdir(self.world.file("krb5"))
        self.before = dict(os.environ)
        fields = {"dir": self.world.file("krb5"), "realm": REALM, "port": free_port()}
        os.environ.update({
            "KRB5_CONFIG": self.world.write("krb5/krb5.conf", KRB5_CONF % fields),
            "KRB5_KDC_PROFILE": self.world.write("krb5/kdc.conf", KDC_CONF % fields),
            "KRB5CCNAME": "MEMORY:", "KRB5_KTNAME": self.keytab("server")})
        subprocess.run(["kdb5_util", "create", "-s", "-P", "master", "-r", REALM], check=True, capture_output=True)
        for principal, name in (("ldap/localhost", "server"), ("gateway", "gateway"), ("other", "other")):
            for query in ("addprinc -randkey " + principal, "ktadd -k %s %s" % (self.keytab(name), principal)):
                subprocess.run(["kadmin.local", "-r", REALM, "-q", query], check=True, capture_output=True)
        self.kdc = subprocess.Popen(["krb5kdc", "-n"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.slapd = self.world.slapd(
            "slapd", SLAPD_MORE="sasl-host localhost\nsasl-realm " + REALM,
            SLAPD_ACCESS='by dn.regex="^uid=gateway,(cn=example.com,)?cn=gssapi,cn=auth$" read by * none',
            **self.world.tls("server", "DNS:localhost.localdomain,DNS:localhost,DNS:%s" % os.uname().nodename))
        self.between = self.proxy(self.slapd)
        self.uri = "ldap://localhost:%d" % self.between.port

    def tearDown(self):
        super().tearDown()
        self.kdc.terminate()
        self.kdc.wait()
        os.environ.clear()
        os.environ.update(self.before)

    def keytab(self, name):
        return self.world.file("krb5", name + ".keytab")

    def become(self, name):
        os.environ["KRB5_CLIENT_KTNAME"] = self.keytab(name)

    def find(self, more):
        return self.world.find(CAROL, self.world.directory(self.uri, more))[:2]

    def test_keytab(self):
        self.become("gateway")
        self.assertTrue(wait_for(lambda: self.find(self.GSSAPI)[0] == FOUND), self.find(self.GSSAPI))
        # Nobody on the way reads or changes it: Kerberos wraps what TLS does not.
        self.assertIn(b"GSSAPI", self.between.requested)
        self.assertNotIn(b"userCertificate", self.between.requested)
        tls = self.GSSAPI + 'starttls = true; tls_ca_file = "%s";' % self.world.file("ca", "root.crt")
        self.assertEqual(self.find(tls)[0], FOUND, self.find(tls))
        self.become("other")
        self.assertEqual(self.find(self.GSSAPI)[0], LATER)
        self.assertEqual(self.find("")[0], LATER)
        os.environ["KRB5_CLIENT_KTNAME"] = "/nowhere"
        status, text = self.find(self.GSSAPI)
        self.assertEqual(status, LATER)
        self.assertIn("bind: ", text)

    def test_daemon(self):
        self.become("gateway")
        self.assertTrue(wait_for(lambda: self.find(self.GSSAPI)[0] == FOUND), self.find(self.GSSAPI))
        self.start(self.world.directory(self.uri, self.GSSAPI))
        for _ in range(3):
            self.encrypted()
        self.slapd.stop()
        self.slapd.again()
        self.encrypted()


del Gateway

if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        builddir = os.path.abspath(sys.argv.pop(1))
        daemon.MILTER, daemon.SMIMECTL = os.path.join(builddir, "smime-milter"), os.path.join(builddir, "smimectl")
    sys.exit(daemon.run())
