#!/usr/bin/env python3
"""LDAP servers that the DNS names, and a name server that is silent, in namespaces of our own: see directory_srv.sh.

Usage: tests/e2e/directory_srv.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.dont_write_bytecode = True
import daemon  # noqa: E402
from daemon import free_port  # noqa: E402
from directory_servers import CAROL, MARGIN_S, TIMEOUT_MS, Gateway, Servers  # noqa: E402
from dns_server import A, SRV, DnsServer, enter  # noqa: E402
from ldap_proxy import LdapProxy  # noqa: E402
from ldap_world import BASE, FOUND, LATER  # noqa: E402

DOMAIN = "ldap:///dc=example,dc=com"
SERVICE, SERVICE_TLS = "_ldap._tcp.example.com", "_ldaps._tcp.example.com"
DNS = None


def hosts(*names):
    DNS.silent = False
    DNS.records = {(name, A): ["127.0.0.1"] for name in names}


class Lookup(Servers):
    @classmethod
    def make(cls):
        cls.named = cls.world.slapd("named", **cls.world.tls("dc1", "DNS:dc1.example.com"))

    def setUp(self):
        hosts("dc1.example.com", "dc2.example.com")

    def find(self, address, uri, more="", base=BASE):
        more = "timeout_ms = %d; %s" % (TIMEOUT_MS, more)
        return self.world.find(address, self.world.directory(uri, more, None if "///" in uri else base))

    def test_base_is_the_domain(self):
        DNS.records[SERVICE, SRV] = [(10, 10, self.good.port, "dc1.example.com")]
        self.found(DOMAIN)
        self.assertIn(SERVICE, DNS.asked)

    def test_priorities(self):
        first, second = LdapProxy(self.good.port), LdapProxy(self.good.port)
        DNS.records[SERVICE, SRV] = [(20, 100, second.port, "dc2.example.com"), (10, 0, first.port, "dc1.example.com"),
                                     (5, 0, free_port(), "nobody.example.com")]
        self.found(DOMAIN)
        self.assertEqual((first.connections, second.connections), (1, 0))
        for mode in ("cut", "silent"):
            first.mode = mode
            before = second.connections
            self.found(DOMAIN)
            self.assertGreater(second.connections, before)

    def test_written_down_behind(self):
        self.found(DOMAIN + " " + self.good.url())
        self.later("no such name", DOMAIN)

    def test_tls_to_the_name_in_the_record(self):
        tls, name = DOMAIN.replace("ldap:", "ldaps:"), "dc1.example.com"
        for host in (name, "dc2.example.com"):
            DNS.records[SERVICE, SRV] = [(0, 0, self.named.port, host)]
            DNS.records[SERVICE_TLS, SRV] = [(0, 0, self.named.port + 1, host)]
            for uri, more in ((tls, self.ca), (DOMAIN, "starttls = true; " + self.ca)):
                status, text, _ = self.find(CAROL, uri, more)
                self.assertEqual(status, FOUND if host == name else LATER, text)

    def test_silent_name_server(self):
        DNS.silent = True
        for uri in (DOMAIN, "ldap://dc1.example.com:%d" % self.good.port):
            status, text, seconds = self.find(CAROL, uri)
            self.assertEqual(status, LATER, text)
            self.assertIn("not resolved in time", text)
            self.assertLess(seconds, TIMEOUT_MS / 1000 + MARGIN_S)
        self.found("ldap://dc1.example.com:%d %s" % (self.good.port, self.good.url()))


class Life(Gateway):
    def test_moved(self):
        """The DNS names another server, and the old one is gone: the mail that finds out is not refused."""
        old, new = self.world.slapd("old"), self.world.slapd("new")
        hosts("dc1.example.com", "dc2.example.com")
        DNS.records[SERVICE, SRV] = [(0, 0, old.port, "dc1.example.com")]
        self.start(self.world.directory(DOMAIN, "timeout_ms = %d;" % TIMEOUT_MS, None))
        self.encrypted()
        DNS.records[SERVICE, SRV] = [(0, 0, new.port, "dc2.example.com")]
        old.stop()
        self.encrypted()

    def test_name_server_falls_silent(self):
        """What it said last serves on."""
        slapd = self.world.slapd("slapd")
        hosts("dc1.example.com")
        DNS.records[SERVICE, SRV] = [(0, 0, slapd.port, "dc1.example.com")]
        for uri in (DOMAIN, "ldap://dc1.example.com:%d" % slapd.port):
            DNS.silent = False
            self.start(self.world.directory(uri, "timeout_ms = %d;" % TIMEOUT_MS))
            for _ in range(5):          # each worker, or whoever asks, has to have heard it
                self.encrypted()
            DNS.silent = True
            slapd.stop()
            slapd.again()
            self.encrypted()
            self.daemon.stop()


del Servers, Gateway

if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        builddir = os.path.abspath(sys.argv.pop(1))
        daemon.MILTER, daemon.SMIMECTL = os.path.join(builddir, "smime-milter"), os.path.join(builddir, "smimectl")
    scratch = tempfile.mkdtemp(prefix="smime-dns-")
    enter(scratch)
    DNS = DnsServer()
    status = daemon.run()
    shutil.rmtree(scratch)
    sys.exit(status)
