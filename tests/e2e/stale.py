#!/usr/bin/env python3
"""A directory that goes away, with a real slapd: what it found before serves for stale_s, and the audit log says so;
what it never was asked, and that it had nothing, is "try later". Envelopes are opened by openssl.

Usage: tests/e2e/stale.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import json
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import daemon  # noqa: E402
from daemon import Case, Daemon, free_port, wait_for  # noqa: E402
from milter_client import MilterClient, join_message, send_message  # noqa: E402

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
MAIL = b"From: a@example.com\nTo: %s\nSubject: s\nContent-Type: text/plain\n\nhello\n"
CAROL, DAVE, NOBODY = "carol@partner.example", "dave@partner.example", "nobody@maybe.example"
STALE = re.compile(r"^ldap://\S+: 1 certificate; stale: asked \d+ s ago, and the directory is away: \S")


def shell(text, *arguments):
    done = subprocess.run(["bash", "-c", text, SUPPORT] + list(arguments), capture_output=True)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (text, done.stderr.decode()))
    return done.stdout


class Directory:
    """slapd with Carol and Dave, and whoever vouches for them."""

    def __init__(self, path):
        self.path = path
        self.port = free_port()
        os.mkdir(os.path.join(path, "slapd"))
        shell('. "$0/people.sh"; cd "$1"; new_ca ca Test; for who in carol dave; do new_person ca $who '
              '$who@partner.example p256; openssl x509 -in ca/$who.crt -outform DER -out ca/$who.der; done', path)
        shell('"$0/slapd.sh" top > "$1/people.ldif"; for who in carol dave; do "$0/slapd.sh" person '
              '$who@partner.example "userCertificate;binary" "$1/ca/$who.der"; done >> "$1/people.ldif"', path)
        shell('"$0/slapd.sh" start "$1/slapd" "$2" "$1/people.ldif"', path, str(self.port))

    def stop(self):
        shell('"$0/slapd.sh" stop "$1/slapd"', self.path)

    def again(self):
        shell('"$0/slapd.sh" again "$1/slapd"', self.path)

    def signal(self, number):
        with open(os.path.join(self.path, "slapd", "slapd.pid")) as f:
            os.kill(int(f.read()), number)

    def delete(self, address):
        shell('ldapdelete -x -H "$1" -D cn=admin,dc=example,dc=com -w secret "cn=$2,ou=people,dc=example,dc=com"',
              "ldap://127.0.0.1:%d/" % self.port, address)


class Stale(Case):
    RULES = ('rules = ( { id = "must"; direction = "outbound"; recipient = "*@partner.example"; encrypt = "require"; },'
             ' { id = "rest"; direction = "outbound"; encrypt = "if-possible"; } );\n')

    def setUp(self):
        super().setUp()
        self.slapd = Directory(self.directory)
        self.log = self.directory + "/state/audit.jsonl"

    def tearDown(self):
        self.slapd.stop()       # by a file in the directory that goes with the rest
        super().tearDown()

    def start(self, ldap, more=""):
        self.daemon = Daemon(self.directory, """workers = 1; audit = { path = "%s"; };
internal_hosts = [ "192.0.2.0/24" ];
collections = ( { name = "all"; files = [ "%s/ca/root.crt", "%s/ca/ca.crt" ]; } );
directories = ( { type = "ldap"; uri = "ldap://127.0.0.1:%d/"; base = "dc=example,dc=com"; timeout_ms = 2000; %s }%s );
""" % (self.log, self.directory, self.directory, self.slapd.port, ldap, more) + self.RULES).start()

    def send(self, to):
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result, headers, body = send_message(client, MAIL % to.encode(), "a@example.com", [to])
        self.raw = join_message(*result.apply(headers, body))
        return result

    def last(self):
        """The last message's audit line."""
        with open(self.log) as f:
            return json.loads(f.readlines()[-1])

    def send_encrypted(self):
        """To Carol; the audit line."""
        result = self.send(CAROL)
        self.assertTrue(result.accepted(), result.reply)
        opened = subprocess.run(["openssl", "cms", "-decrypt", "-inkey", self.directory + "/ca/carol.key"],
                                input=self.raw, capture_output=True)
        self.assertIn(b"hello", opened.stdout)
        return self.last()

    def send_stale(self):
        line = self.send_encrypted()
        return line if "asked" in line and STALE.match(line["asked"][0]) else None

    def put_off(self, to):
        result = self.send(to)
        self.assertRegex(result.reply, r"^451 4\.4\.3 ")
        self.assertNotIn(b"pkcs7", self.raw)

    def test_found_serves_on(self):
        self.start("cache_s = 1; negative_cache_s = 600; stale_s = 3600;")
        line = self.send_encrypted()
        self.assertNotIn("asked", line)
        self.assertEqual(line["reason"], "")
        self.assertTrue(self.send(NOBODY).accepted())
        self.assertRegex(self.last()["asked"][0], r"^ldap://\S+: none$")

        self.slapd.stop()
        self.assertTrue(wait_for(self.send_stale))
        line = self.last()
        self.assertRegex(line["reason"], r"^could not ask ldap://\S+: .* \(stale: asked \d+ s ago\)$")
        self.assertRegex(line["recipients"][0]["source"], r" userCertificate \(stale\)$")
        self.assertRegex(self.daemon.logged(), r"action=encrypt .* reason=\"could not ask ldap://.*\(stale: ")
        self.put_off(DAVE)
        self.put_off(NOBODY)

        self.slapd.again()
        self.assertTrue(wait_for(lambda: "asked" not in self.send_encrypted()))
        self.assertTrue(self.send(NOBODY).accepted())
        self.slapd.signal(signal.SIGSTOP)
        self.assertTrue(wait_for(self.send_stale))
        self.put_off(DAVE)
        self.put_off(NOBODY)

    def test_the_directory_has_the_last_word(self):
        self.start("cache_s = 1; negative_cache_s = 1; stale_s = 3600;")
        self.send_encrypted()
        self.slapd.stop()
        self.assertTrue(wait_for(self.send_stale))
        self.slapd.again()
        self.slapd.delete(CAROL)
        self.assertTrue(wait_for(lambda: self.send(CAROL).reply.startswith("550 5.7.5")))
        self.slapd.stop()
        self.put_off(CAROL)

    def test_the_time_is_over_once(self):
        self.start("cache_s = 1; stale_s = 2;")
        self.send_encrypted()
        self.slapd.stop()
        self.assertTrue(wait_for(lambda: not self.send(CAROL).accepted()))
        self.put_off(CAROL)

    def test_no_cache_nothing_stale(self):
        self.start("cache_s = 0; negative_cache_s = 0; stale_s = 3600;")
        self.send_encrypted()
        self.slapd.stop()
        self.put_off(CAROL)

    def test_another_directory_has_one(self):
        self.slapd.stop()
        self.start("", ', { type = "files"; path = "%s/ca/carol.crt"; }' % self.directory)
        line = self.send_encrypted()
        self.assertRegex(line["reason"], r"^could not ask ldap://")
        self.assertRegex(line["asked"][0], r"^ldap://\S+: could not ask: ")
        self.assertRegex(line["asked"][1], r"^files:\S+: 1 certificate$")
        command = [os.path.join(os.path.dirname(daemon.MILTER), "smimectl"), "-c", self.daemon.conf, "explain",
                   "--from", "a@example.com", "--rcpt", CAROL, "--client", "192.0.2.1"]
        told = subprocess.run(command, input=MAIL % CAROL.encode(), capture_output=True, timeout=60).stdout.decode()
        self.assertRegex(told, r"outcome: accept")
        self.assertRegex(told, r"asked: ldap://\S+: could not ask: ")
        self.assertRegex(told, r"could not ask ldap://")


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        daemon.MILTER = os.path.abspath(os.path.join(sys.argv.pop(1), "smime-milter"))
    sys.exit(daemon.run())
