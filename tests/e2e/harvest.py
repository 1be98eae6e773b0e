#!/usr/bin/env python3
"""Certificates learned from signed mail: a partner's mail comes in, and mail to him is encrypted, without any other
directory. Keys, signatures and opened envelopes are openssl's, but for what openssl cannot announce.

Usage: tests/e2e/harvest.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import json
import os
import pwd
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import daemon  # noqa: E402
from daemon import Case, Daemon  # noqa: E402
from milter_client import MilterClient, join_message, send_message  # noqa: E402

SUPPORT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support")
BOB, ALICE = "bob@partner.example", "alice@example.com"
TO_BOB = b"From: alice@example.com\nTo: bob@partner.example\nSubject: s\nContent-Type: text/plain\n\nhello\n"
CONF = """workers = 1;
internal_hosts = [ "192.0.2.0/24" ];
collections = ( { name = "partners"; files = [ "%s/ca/root.crt" ]; },
                { name = "others"; files = [ "%s/other/root.crt" ]; } );
directories = ( { type = "harvested"; } );
rules = ( { id = "in"; direction = "inbound"; harvest = "%s"; },
          { id = "out"; direction = "outbound"; encrypt = "require"; ciphers = [ "aes128-cbc", "aes256-gcm" ]; } );
"""


def shell(text, *arguments):
    done = subprocess.run(["bash", "-c", text, SUPPORT] + list(arguments), capture_output=True)
    if done.returncode != 0:
        raise AssertionError("%s: %s" % (text, done.stderr.decode()))
    return done.stdout


def next_second():
    """Signing times have no smaller unit, and what is not newer teaches nothing."""
    before = int(time.time())
    while int(time.time()) == before:
        time.sleep(0.05)


class Harvest(Case):
    def setUp(self):
        super().setUp()
        shell('. "$0/people.sh"; cd "$1"; new_ca ca Test; new_ca other Other; new_person ca bob $2 rsa; cp ca/bob.key '
              'ca/again.key; new_person ca again $2 rsa; new_person ca new $2 p256; new_person other foreign $2 p256; '
              'new_person ca carol carol@partner.example p256; new_person ca alice $3 p256', self.directory, BOB, ALICE)

    def start(self, mode, more="", **options):
        self.daemon = Daemon(self.directory, CONF % (self.directory, self.directory, mode) + more, **options).start()

    def restart(self):
        self.daemon.stop()
        self.daemon.start()

    def ctl(self, *arguments, data=b""):
        command = [os.path.join(os.path.dirname(daemon.MILTER), "smimectl"), "-c", self.daemon.conf] + list(arguments)
        return subprocess.run(command, input=data, capture_output=True, timeout=60)

    def rows(self):
        done = self.ctl("harvest", "list", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def states(self):
        return sorted((row["state"], row["sha256"]) for row in self.rows())

    def sha256(self, who, ca="ca"):
        return shell('openssl x509 -in "$1/$2/$3.crt" -outform DER | sha256sum | cut -d" " -f1', self.directory, ca,
                     who).decode().strip()

    def signed(self, who, sender=BOB, ca="ca"):
        text = b"Content-Type: text/plain\r\n\r\nDear Alice, buy.\r\n"
        person = "%s/%s/%s" % (self.directory, ca, who)
        done = subprocess.run(["openssl", "cms", "-sign", "-signer", person + ".crt", "-inkey", person + ".key",
                               "-certfile", "%s/%s/ca.crt" % (self.directory, ca)], input=text, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return ("From: %s\nTo: %s\nSubject: s\n" % (sender, ALICE)).encode() + done.stdout

    def receive(self, message):
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="198.51.100.7")
            client.helo()
            result = send_message(client, message, BOB, [ALICE])[0]
        self.assertTrue(result.accepted(), result.reply)
        return result

    def learn(self, who, **options):
        self.receive(self.signed(who, **options))
        next_second()

    def reply(self):
        """A mail to Bob: the reply; self.raw is what he gets."""
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result, headers, body = send_message(client, TO_BOB, ALICE, [BOB])
        self.raw = join_message(*result.apply(headers, body))
        return result.reply

    def assert_encrypted_to(self, who, ca="ca"):
        self.assertEqual(self.reply(), "")
        person = "%s/%s/%s" % (self.directory, ca, who)
        done = subprocess.run(["openssl", "cms", "-decrypt", "-recip", person + ".crt", "-inkey", person + ".key"],
                              input=self.raw, capture_output=True)
        self.assertIn(b"hello", done.stdout, done.stderr)

    def assert_not_sent(self):
        self.assertRegex(self.reply(), "^550 5.7.5 ")

    def alarms(self):
        return re.findall(r"harvest: key of <(\S+)> changed, (in use|waits for approval): "
                          r"sha256=(\S+) (?:before|in_use)=(\S+)", self.daemon.logged())

    def test_learned_and_used(self):
        self.start("on")
        self.assert_not_sent()
        told = self.ctl("explain", "--from", BOB, "--rcpt", ALICE, data=self.signed("bob")).stdout.decode()
        self.assertRegex(told, r'teaches: certificate of <bob@partner.example>, serial \w+, by rule "in" \(harvest = "on"\)')
        self.assertEqual(self.rows(), [])
        self.learn("bob")
        self.assert_encrypted_to("bob")
        row, = self.rows()
        self.assertEqual((row["address"], row["state"], row["sha256"], row["how"], row["collection"]),
                         (BOB, "active", self.sha256("bob"), "mail", "partners"))
        self.assertEqual(row["ciphers"], ["aes256-cbc", "aes128-cbc"])
        self.restart()
        self.assert_encrypted_to("bob")
        self.learn("bob")
        self.assertEqual(len(self.rows()), 1)
        self.assertEqual(self.alarms(), [])

    def test_what_teaches_nothing(self):
        self.start("on")
        good = self.signed("bob")
        self.receive(good.replace(b"Dear Alice", b"Dear alice"))
        self.receive(good.replace(b"From: " + BOB.encode(), b"From: carol@partner.example"))
        self.receive(b"From: bob@partner.example\nTo: alice@example.com\n\n" + good.partition(b"\n\n")[2])
        self.receive(self.signed("alice", sender=ALICE))
        self.receive(self.signed("carol", sender=BOB))
        self.assertEqual(self.rows(), [])
        self.assert_not_sent()

    def test_pending_until_approved(self):
        self.start("pending")
        self.learn("bob")
        self.assertEqual(self.states(), [("pending", self.sha256("bob"))])
        self.assert_not_sent()
        done = self.ctl("harvest", "approve", "Bob@Partner.Example")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_encrypted_to("bob")
        self.assertEqual(self.ctl("harvest", "approve", BOB).returncode, 1)

    def test_changed_key(self):
        self.start("pending", 'audit = { path = "%s/state/audit.jsonl"; chain = true; };\n' % self.directory)
        self.learn("bob")
        self.ctl("harvest", "approve", self.sha256("bob"))
        self.learn("new")
        self.assertEqual(self.alarms(), [(BOB, "waits for approval", self.sha256("new"), self.sha256("bob"))])
        self.learn("new")
        self.assertEqual(len(self.alarms()), 1)
        self.assert_encrypted_to("bob")
        self.learn("foreign", ca="other")
        done = self.ctl("harvest", "approve", BOB)
        self.assertEqual(done.returncode, 1)
        self.assertIn(self.sha256("new"), done.stderr.decode())
        self.assertIn(self.sha256("foreign", "other"), done.stderr.decode())
        self.restart()
        self.assert_encrypted_to("bob")
        self.assertEqual(self.ctl("harvest", "approve", self.sha256("new").upper()).returncode, 0)
        self.assert_encrypted_to("new")
        with open(self.directory + "/state/audit.jsonl") as f:
            lines = [json.loads(line) for line in f]
        approvals = [line for line in lines if line.get("event") == "harvest-approve"]
        self.assertEqual([(line["address"], line["cert_sha256"], line["cert_sha256_before"]) for line in approvals],
                         [(BOB, self.sha256("bob"), None), (BOB, self.sha256("new"), self.sha256("bob"))])
        self.assertIn("uid %d" % os.getuid(), approvals[0]["who"])
        self.assertEqual(self.ctl("audit", "verify", self.directory + "/state/audit.jsonl").returncode, 0)

    def test_changed_key_where_mail_decides(self):
        self.start("on")
        self.learn("bob")
        self.learn("again")
        self.assertEqual(self.alarms(), [])
        self.assertIn(("replaced", self.sha256("bob")), self.states())
        self.learn("new")
        self.assertEqual(self.alarms(), [(BOB, "in use", self.sha256("new"), self.sha256("again"))])
        self.assert_encrypted_to("new")
        self.learn("foreign", ca="other")
        self.assertEqual(self.alarms()[1:],
                         [(BOB, "waits for approval", self.sha256("foreign", "other"), self.sha256("new"))])
        self.assert_encrypted_to("new")

    def test_older_mail(self):
        self.start("on")
        old = self.signed("bob")
        next_second()
        self.learn("new")
        self.receive(old)
        self.assertEqual(self.states(), [("active", self.sha256("new"))])

    def test_ciphers(self):
        """Bob's mail program is another gateway, which announces AES-256-GCM."""
        self.start("on")
        self.learn("bob")
        self.assert_encrypted_to("bob")
        self.assertIn(b"smime-type=enveloped-data", self.raw)
        os.mkdir(self.directory + "/keys")
        shell('cat "$1"/ca/bob.crt "$1"/ca/bob.key "$1"/ca/ca.crt > "$1"/keys/bob.pem; chmod 600 "$1"/keys/bob.pem',
              self.directory)
        with open(self.directory + "/bob.conf", "w") as f:
            f.write('socket = "inet:0@127.0.0.1"; state_dir = "%s"; local_domains = "partner.example";\n'
                    'keystores = ( { type = "pem"; path = "%s/keys"; } );\nrules = ( { id = "all"; } );\n'
                    % (self.directory, self.directory))
        smimectl = os.path.join(os.path.dirname(daemon.MILTER), "smimectl")
        message = b"From: bob@partner.example\n" + TO_BOB.partition(b"\n")[2]
        done = subprocess.run([smimectl, "-c", self.directory + "/bob.conf", "sign", "--from", BOB], input=message,
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.receive(done.stdout)
        self.assertIn("aes256-gcm", self.rows()[0]["ciphers"])
        self.assertEqual(self.reply(), "")
        self.assertIn(b"smime-type=authEnveloped-data", self.raw)

    def test_import(self):
        self.start("pending")
        message, unsigned = self.directory + "/signed.eml", self.directory + "/unsigned.eml"
        with open(message, "wb") as f:
            f.write(self.signed("bob"))
        with open(unsigned, "wb") as f, open(self.directory + "/ca/new.crt", "rb") as certificate:
            f.write(TO_BOB + certificate.read())
        self.assertEqual(self.ctl("harvest", "import", unsigned).returncode, 1)
        self.assertEqual(self.ctl("harvest", "import", self.directory + "/milter.conf").returncode, 5)
        self.assertEqual(self.ctl("harvest", "import", self.directory + "/ca/alice.crt").returncode, 1)
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.ctl("harvest", "import", message).returncode, 0)
        self.assert_encrypted_to("bob")
        done = self.ctl("harvest", "import", self.directory + "/other/foreign.crt")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(("active", self.sha256("foreign", "other")), self.states())
        # whoever gave it, a collection has to vouch for it: without its chain nobody can
        self.assert_not_sent()
        done = self.ctl("harvest", "import", self.directory + "/other/foreign.pem")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_encrypted_to("foreign", "other")

    def test_damaged(self):
        self.start("on")
        self.learn("bob")
        self.daemon.stop()
        with open(self.directory + "/state/harvest.sqlite", "wb"):
            pass
        for name in ("-wal", "-shm"):
            if os.path.exists(self.directory + "/state/harvest.sqlite" + name):
                os.unlink(self.directory + "/state/harvest.sqlite" + name)
        self.daemon.start()
        self.assertRegex(self.reply(), "^451 4.4.3 ")
        self.assertEqual(self.ctl("harvest", "list").returncode, 4)
        self.receive(self.signed("bob"))
        self.assertRegex(self.daemon.logged(), "harvest .*damaged")

    def test_observe(self):
        self.start("on", 'mode = "observe";\n')
        self.learn("bob")
        self.assertEqual(self.rows(), [])

    @unittest.skipUnless(os.geteuid() == 0, "only root changes the user")
    def test_root_works_as_the_user(self):
        nobody = pwd.getpwnam("nobody")
        os.chown(self.directory + "/state", nobody.pw_uid, nobody.pw_gid)
        shell('chmod -R a+rX "$1/ca" "$1/other"', self.directory)
        self.start("pending", 'user = "nobody"; audit = { path = "%s/state/audit.jsonl"; };\n' % self.directory)
        done = self.ctl("harvest", "import", self.directory + "/ca/bob.pem")
        self.assertEqual(done.returncode, 0, done.stderr)
        next_second()
        self.learn("new")
        self.assertEqual(self.ctl("harvest", "approve", BOB).returncode, 0)
        self.assert_encrypted_to("new")
        for name in os.listdir(self.directory + "/state"):
            self.assertEqual(os.stat(self.directory + "/state/" + name).st_uid, nobody.pw_uid, name)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        daemon.MILTER = os.path.abspath(os.path.join(sys.argv.pop(1), "smime-milter"))
    sys.exit(daemon.run())
