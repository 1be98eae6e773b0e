#!/usr/bin/env python3
"""LDAP servers that hang, are slow, break off, refuse, have another name or do not know us, with real slapds and a
proxy that spoils things: what is asked next, and that no look-up outlasts its time.

Usage: tests/e2e/directory_servers.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import os
import shutil
import sys
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.dont_write_bytecode = True
import daemon  # noqa: E402
from daemon import Case, Daemon, free_port, wait_for  # noqa: E402
from ldap_proxy import LdapProxy  # noqa: E402
from ldap_world import BASE, FOUND, LATER, NONE, World, shell  # noqa: E402
from milter_client import MilterClient, join_message, send_message  # noqa: E402

CAROL, DAVE = "carol@partner.example", "dave@partner.example"
TIMEOUT_MS = 5000
MARGIN_S = 20               # for starting a program on a busy machine
BUSY, UNAVAILABLE, UNWILLING, TIME_LIMIT, OTHER = 51, 52, 53, 3, 80


class Servers(unittest.TestCase):
    """Slapds for all tests of a class: `good`, and what make() adds."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="smime-servers-")
        cls.world = World(cls.directory, daemon.SMIMECTL)
        cls.ca = 'tls_ca_file = "%s";' % cls.world.file("ca", "root.crt")
        cls.good = cls.world.slapd("good", **cls.world.tls("good", "IP:127.0.0.1,DNS:localhost"))
        cls.make()

    @classmethod
    def make(cls):
        pass

    @classmethod
    def tearDownClass(cls):
        cls.world.close()
        shutil.rmtree(cls.directory)

    def find(self, address, uri, more="", base=BASE):
        return self.world.find(address, self.world.directory(uri, more, base))

    def found(self, uri, more="", address=CAROL):
        status, text, _ = self.find(address, uri, more)
        self.assertEqual(status, FOUND, text)

    def later(self, why, uri, more="", base=BASE, address=CAROL):
        status, text, _ = self.find(address, uri, more, base)
        self.assertEqual(status, LATER, text)
        self.assertRegex(text, why)


class Failover(Servers):
    """A bad server, alone and before a good one."""

    @classmethod
    def make(cls):
        cls.halted = cls.world.slapd("halted", **cls.world.tls("halted", "IP:127.0.0.1"))
        cls.other = cls.world.slapd("other", **cls.world.tls("other", "DNS:other.example"))
        cls.plain = cls.world.slapd("plain")
        cls.halted.halt()
        cls.proxies = {mode: LdapProxy(cls.good.port, mode) for mode in (
            "silent", "slow", "trickle", "cut", BUSY, UNAVAILABLE, UNWILLING, TIME_LIMIT, OTHER)}
        cls.tls_proxies = {mode: LdapProxy(cls.good.port + 1, mode) for mode in ("silent", "trickle", "cut")}

    @classmethod
    def tearDownClass(cls):
        for proxy in list(cls.proxies.values()) + list(cls.tls_proxies.values()):
            proxy.close()
        super().tearDownClass()

    def both(self, cases):
        """cases: name, URI of the bad one, settings. All at once: most of it is waiting."""
        with ThreadPoolExecutor(4) as pool:
            alone = [pool.submit(self.world.find, CAROL, self.directory_of(uri, more)) for _, uri, more in cases]
            first = [pool.submit(self.world.find, CAROL, self.directory_of(
                uri + " " + self.good.url(uri.split(":")[0]), more)) for _, uri, more in cases]
        for (name, _, _), one, two in zip(cases, alone, first):
            with self.subTest(name):
                status, text, seconds = one.result()
                self.assertEqual(status, LATER, text)
                self.assertLess(seconds, TIMEOUT_MS / 1000 + MARGIN_S)
                status, text, seconds = two.result()
                self.assertEqual(status, FOUND, text)
                self.assertLess(seconds, TIMEOUT_MS / 1000 + MARGIN_S)

    def directory_of(self, uri, more):
        return self.world.directory(uri, "timeout_ms = %d; %s" % (TIMEOUT_MS, more))

    def test_dead_or_hanging(self):
        proxy = "ldap://127.0.0.1:%d"
        self.both([("refused", proxy % free_port(), ""), ("halted", self.halted.url(), ""),
                   ("no such name", "ldap://nobody.invalid", "")] +
                  [(mode, proxy % self.proxies[mode].port, "") for mode in ("silent", "slow", "trickle", "cut")])

    def test_says_that_it_cannot(self):
        self.both([(mode, "ldap://127.0.0.1:%d" % self.proxies[mode].port, "") for mode in (
            BUSY, UNAVAILABLE, UNWILLING, TIME_LIMIT, OTHER)])

    def test_tls(self):
        starttls = "starttls = true; " + self.ca
        proxy = "ldaps://127.0.0.1:%d"
        self.both([("another's name", self.other.url("ldaps"), self.ca),
                   ("another's name under StartTLS", self.other.url(), starttls),
                   ("halted", self.halted.url("ldaps"), self.ca),
                   ("halted under StartTLS", self.halted.url(), starttls),
                   ("StartTLS unknown", self.plain.url(), starttls),
                   ("StartTLS refused", "ldap://127.0.0.1:%d" % self.proxies[UNAVAILABLE].port, starttls),
                   ("no TLS", self.plain.url("ldap").replace("ldap:", "ldaps:"), self.ca)] +
                  [(mode, proxy % self.tls_proxies[mode].port, self.ca) for mode in ("silent", "trickle", "cut")])

    def test_good_ones(self):
        self.found(self.good.url())
        self.found(self.good.url("ldaps"), self.ca)
        self.found(self.good.url(), "starttls = true; " + self.ca)
        # nobody vouches for it
        self.later("TLS: .*certificate", self.good.url("ldaps"))


class Wrong(Servers):
    """What every server would say the same; what is not followed."""

    ELSEWHERE = "dn: ou=elsewhere,%s\nobjectClass: referral\nobjectClass: extensibleObject\nou: elsewhere\nref: %s\n\n"
    ALIAS = ("dn: ou=aliases,%s\nobjectClass: organizationalUnit\nou: aliases\n\ndn: cn=carol,ou=aliases,%s\n"
             "objectClass: alias\nobjectClass: extensibleObject\ncn: carol\naliasedObjectName: cn=%s,ou=people,%s\n\n")
    MANY = "dn: cn=%d,ou=people,%s\nobjectClass: inetOrgPerson\ncn: %d\nsn: x\nmail: many@partner.example\n\n"

    @classmethod
    def make(cls):
        cls.behind = LdapProxy(cls.good.port)
        with open(cls.world.ldif) as f:
            people = f.read().split("dn: cn=dave")[0]
        many = "".join(cls.MANY % (i, BASE, i) for i in range(30))
        ldif = cls.world.write("wrong.ldif", people + many + cls.ALIAS % (BASE, BASE, CAROL, BASE) + cls.ELSEWHERE % (
            BASE, "ldap://127.0.0.1:%d/ou=people,%s" % (cls.behind.port, BASE)))
        cls.here = cls.world.slapd("here", ldif, SLAPD_SIZELIMIT="25")
        cls.closed = cls.world.slapd("closed", SLAPD_ACCESS="by users read by * none")

    @classmethod
    def tearDownClass(cls):
        cls.behind.close()
        super().tearDownClass()

    def search(self, mail, *options, base=BASE):
        return shell('shift; ldapsearch -x -LLL -H "$@" 1.1 2> /dev/null || true', "", self.here.url(), "-b", base,
                     *options, "(mail=%s)" % mail).count("dn: ")

    def test_base_and_password(self):
        self.later("No such object: base .*dc=nowhere", self.good.url(), base="dc=nowhere")
        for name, text in (("right", "secret\n"), ("wrong", "wr0ng\n")):
            self.world.write(name, text, 0o600)
        bind = 'bind_dn = "cn=admin,%s"; bind_password_file = "%s";'
        self.found(self.closed.url(), bind % (BASE, self.world.file("right")))
        self.later("bind: Invalid credentials", self.closed.url(), bind % (BASE, self.world.file("wrong")))
        self.later(".", self.closed.url())

    def test_aliases_are_not_dereferenced(self):
        base = "ou=aliases," + BASE
        self.assertEqual(self.search(CAROL, "-a", "always", base=base), 1)
        status, text, _ = self.find(CAROL, self.here.url(), base=base)
        self.assertEqual(status, NONE, text)

    def test_referrals_are_not_followed(self):
        self.assertEqual(self.search(DAVE, "-C"), 1)
        asked = self.behind.connections
        status, text, _ = self.find(DAVE, self.here.url())
        self.assertEqual(status, NONE, text)
        self.later("Referral", self.here.url(), base="ou=elsewhere," + BASE, address=DAVE)
        self.assertEqual(self.behind.connections, asked)
        self.found(self.here.url(), address=CAROL)

    def test_a_part_is_no_answer(self):
        self.later("Size limit", self.here.url(), address="many@partner.example")


class External(Servers):
    """SASL EXTERNAL: by socket and by certificate."""

    @classmethod
    def make(cls):
        me = "gidNumber=%d+uidNumber=%d,cn=peercred,cn=external,cn=auth" % (os.getegid(), os.geteuid())
        cls.socket = cls.world.file("ldapi")
        cls.local = cls.world.slapd("local", SLAPD_LDAPI=cls.socket,
                                    SLAPD_ACCESS='by dn.exact="%s" read by * none' % me)
        cls.strict = cls.world.slapd(
            "strict", SLAPD_ACCESS='by dn.exact="cn=gateway,o=test" read by * none',
            SLAPD_MORE="TLSCACertificateFile %s\nTLSVerifyClient demand" % cls.world.file("ca", "root.crt"),
            **cls.world.tls("strict", "IP:127.0.0.1"))

    def shown(self, name):
        path = self.world.certificate(name, "/O=Test/CN=" + name, "extendedKeyUsage=clientAuth")
        return 'tls_cert_file = "%s.crt"; tls_key_file = "%s.key"; %s' % (path, path, self.ca)

    def test_socket(self):
        uri = "ldapi://" + self.socket.replace("/", "%2f")
        self.found(uri, 'bind = "external";')
        self.later(".", uri)
        self.later("cannot connect", uri + "x", 'bind = "external";')

    def test_certificate(self):
        gateway, other = self.shown("gateway"), self.shown("other")
        self.found(self.strict.url("ldaps"), 'bind = "external"; ' + gateway)
        self.found(self.strict.url(), 'starttls = true; bind = "external"; ' + gateway)
        # not bound, another, none
        self.later(".", self.strict.url("ldaps"), gateway)
        self.later(".", self.strict.url("ldaps"), 'bind = "external"; ' + other)
        self.later("TLS|bind", self.strict.url("ldaps"), 'bind = "external"; ' + self.ca)

    def test_no_tls_no_external(self):
        self.later("bind", self.good.url(), 'bind = "external";')


class Gateway(Case):
    """The daemon in such a world."""

    RULES = ('rules = ( { id = "must"; direction = "outbound"; recipient = "*@partner.example"; encrypt = "require"; },'
             ' { id = "rest"; direction = "outbound"; encrypt = "if-possible"; } );\n')

    def setUp(self):
        super().setUp()
        self.world = World(self.directory, daemon.SMIMECTL)
        self.proxies = []

    def tearDown(self):
        for proxy in self.proxies:
            proxy.close()
        self.world.close()      # by a file in the directory that goes with the rest
        super().tearDown()

    def proxy(self, slapd):
        self.proxies.append(LdapProxy(slapd.port))
        return self.proxies[-1]

    def start(self, *directories):
        text = 'workers = 2; internal_hosts = [ "192.0.2.0/24" ];\n' + self.world.settings(*directories)
        self.daemon = Daemon(self.directory, text + self.RULES).start()

    def send(self, *to):
        """The reply, and whether what left is an envelope."""
        mail = b"From: a@example.com\nTo: x\nSubject: s\n\nhello\n"
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result, headers, body = send_message(client, mail, "a@example.com", list(to))
        return result, b"pkcs7-mime" in join_message(*result.apply(headers, body))

    def encrypted(self):
        result, envelope = self.send(CAROL)
        self.assertTrue(result.accepted(), "%s %s\n%s" % (result.action, result.reply, self.daemon.logged()))
        self.assertTrue(envelope)


class Mail(Gateway):
    """No mail is refused, none goes in plaintext."""

    def test_restart(self):
        """One server: connections that it ended are opened again, with the mail that finds out."""
        slapd = self.world.slapd("slapd", SLAPD_MORE="idletimeout 1")
        proxy = self.proxy(slapd)
        self.start(self.world.directory(slapd.url()), self.world.directory("ldap://127.0.0.1:%d" % proxy.port))
        for _ in range(3):
            self.encrypted()
            slapd.stop()
            slapd.again()
        self.encrypted()
        time.sleep(3)               # idle for longer than the server likes
        self.encrypted()

    def test_connections_are_kept(self):
        proxy = self.proxy(self.world.slapd("slapd"))
        self.start(self.world.directory("ldap://127.0.0.1:%d" % proxy.port))
        for _ in range(20):
            self.encrypted()
        self.assertLessEqual(proxy.connections, 2)          # a worker

    def test_failover(self):
        """Two servers, mail all the time: whatever becomes of the first."""
        first, second = self.world.slapd("first"), self.world.slapd("second")
        proxy = self.proxy(first)
        self.start(self.world.directory("ldap://127.0.0.1:%d %s" % (proxy.port, second.url()),
                                        "timeout_ms = %d;" % TIMEOUT_MS))
        refused, sent, ended = [], [0], threading.Event()

        def load():
            while not ended.is_set():
                result, envelope = self.send(CAROL)
                sent[0] += 1
                if not result.accepted() or not envelope:
                    refused.append("%s %s %s" % (proxy.mode, result.action, result.reply))

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        first.halt()
        time.sleep(3)
        first.go_on()
        for mode in ("silent", "cut", BUSY):        # each until the penalty is over, and it is tried again
            first.stop()
            first.again()
            proxy.mode = mode
            before = proxy.connections
            self.assertTrue(wait_for(lambda: proxy.connections > before))
            time.sleep(1)
        proxy.mode = "pass"
        self.assertTrue(wait_for(lambda: "%d: answers again" % proxy.port in self.daemon.logged()))
        ended.set()
        for thread in threads:
            thread.join()
        self.assertGreater(sent[0], 30)
        self.assertEqual(refused, [])
        self.assertIn("%d: timed out" % proxy.port, self.daemon.logged())

    def test_all_are_away(self):
        slapd = self.world.slapd("slapd")
        self.start(self.world.directory("%s ldap://127.0.0.1:%d" % (slapd.url(), free_port()), "timeout_ms = 2000;"))
        self.encrypted()
        for away, back in ((slapd.halt, slapd.go_on), (slapd.stop, slapd.again)):
            away()
            for to in (CAROL, "anybody@maybe.example"):
                result, _ = self.send(to)
                self.assertRegex(result.reply, r"^451 4\.4\.3 ")
            back()
            self.encrypted()

    def test_domains(self):
        """Each directory is asked for its own domains' addresses alone."""
        slapd = self.world.slapd("slapd")
        partner, others = self.proxy(slapd), self.proxy(slapd)
        self.start(self.world.directory("ldap://127.0.0.1:%d" % partner.port, 'domains = "partner.example";'),
                   self.world.directory("ldap://127.0.0.1:%d" % others.port,
                                        'domains = [ "maybe.example", "other.example" ];'))
        result, _ = self.send("anybody@maybe.example")
        self.assertTrue(result.accepted(), result.reply)
        self.assertEqual((partner.connections, others.connections > 0), (0, True))
        others.mode = UNAVAILABLE
        self.encrypted()
        self.assertGreater(partner.connections, 0)
        # nobody is asked
        result, _ = self.send("anybody@elsewhere.example")
        self.assertTrue(result.accepted(), result.reply)

    def test_round_trips(self):
        """200 recipients are a handful of questions."""
        proxy = self.proxy(self.world.slapd("slapd"))
        self.start(self.world.directory("ldap://127.0.0.1:%d" % proxy.port, "timeout_ms = 60000;"))
        result, _ = self.send(*["person%d@maybe.example" % i for i in range(200)])
        self.assertTrue(result.accepted(), result.reply)
        self.assertGreater(proxy.connections, 0)
        self.assertLess(proxy.turns, 20)
        print("# 200 recipients: %d connections, %d times an answer was waited for" % (
            proxy.connections, proxy.turns + proxy.connections), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        builddir = os.path.abspath(sys.argv.pop(1))
        daemon.MILTER, daemon.SMIMECTL = os.path.join(builddir, "smime-milter"), os.path.join(builddir, "smimectl")
    sys.exit(daemon.run())
