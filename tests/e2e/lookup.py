#!/usr/bin/env python3
"""The lookup process: who has connections and passwords, whose memory answers, and what happens to mail when it dies or
sleeps. A private slapd behind a relay that counts searches; the milter protocol is spoken by milter_client.py.

Usage: tests/e2e/lookup.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import daemon  # noqa: E402
from daemon import Case, children, free_port, keepers, named, wait_for, workers  # noqa: E402
from milter_client import MilterClient, MilterError, send_message  # noqa: E402

SLAPD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "slapd.sh")
SEARCH = 0x63       # RFC 4511 4.5.1


class Relay:
    """Passes bytes to a server and back. Counts the searches among them, and can be told to keep answers for itself."""

    def __init__(self, port):
        self.port = port
        self.searches = 0
        self.mute = False
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(50)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            threading.Thread(target=self.questions, args=(client, server), daemon=True).start()
            threading.Thread(target=self.answers, args=(server, client), daemon=True).start()

    @staticmethod
    def length(data):
        """Bytes of the first message's head and of the message, (0, 0) when they are not all there."""
        if len(data) < 2 or (data[1] & 0x80 and len(data) < 2 + (data[1] & 0x7F)):
            return 0, 0
        if not data[1] & 0x80:
            return 2, 2 + data[1]
        n = data[1] & 0x7F
        return 2 + n, 2 + n + int.from_bytes(data[2:2 + n], "big")

    def count(self, data):
        """Returns what is left of it: an unfinished message."""
        while True:
            head, n = self.length(data)
            if n == 0 or len(data) < n:
                return data
            self.searches += data[head + 2 + data[head + 1]] == SEARCH      # behind the message's number
            data = data[n:]

    def questions(self, client, server):
        left = b""
        try:
            for data in iter(lambda: client.recv(65536), b""):
                left = self.count(left + data)
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def answers(self, server, client):
        try:
            for data in iter(lambda: server.recv(65536), b""):
                if not self.mute:
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    @property
    def address(self):
        return self.listener.getsockname()[1]


def connected(pids, port):
    """Those of the processes that have a TCP connection to the port."""
    inodes = set()
    with open("/proc/net/tcp") as f:
        for line in list(f)[1:]:
            fields = line.split()
            if int(fields[2].split(":")[1], 16) == port:
                inodes.add("socket:[%s]" % fields[9])
    found = []
    for pid in pids:
        links = []
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                links.append(os.readlink("/proc/%d/fd/%s" % (pid, fd)))
            except OSError:
                pass
        if inodes.intersection(links):
            found.append(pid)
    return found


def holds(pid, secret):
    """Is it anywhere in the process's memory?"""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb") as memory:
        for line in maps:
            where, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(x, 16) for x in where.split("-"))
            try:
                memory.seek(start)
                if secret in memory.read(end - start):
                    return True
            except (OSError, ValueError):
                pass
    return False


def put_to_sleep(pid):
    """Returns when all its threads stand still, which kill does not wait for."""
    def asleep(task):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
            return f.read().rpartition(")")[2].split()[0] == "T"
    os.kill(pid, signal.SIGSTOP)
    if not wait_for(lambda: all(asleep(task) for task in os.listdir("/proc/%d/task" % pid))):
        raise AssertionError("%d does not stop" % pid)


class Lookup(Case):
    RULES = """internal_hosts = [ "192.0.2.7" ];
collections = ( { name = "demo"; files = "DIR/demo/roots.sst"; } );
keystores = ( { type = "pem"; path = "DIR/demo/keys"; } );
directories = ( { type = "ldap"; uri = "ldap://127.0.0.1:PORT"; base = "ou=people,dc=example,dc=com";
  bind_dn = "cn=admin,dc=example,dc=com"; bind_password_file = "DIR/password"; timeout_ms = TIMEOUT; } );
rules = (
  { id = "partner"; direction = "outbound"; recipient = "carol@partner.example"; encrypt = "require"; },
  { id = "maybe"; direction = "outbound"; encrypt = "if-possible"; },
  { id = "rest"; } );
"""

    def setUp(self):
        super().setUp()
        subprocess.run([os.path.join(daemon_dir(), "smimectl"), "demo-ca", self.directory + "/demo"], check=True,
                       capture_output=True)
        self.secret = "secret"
        self.start_slapd()
        self.relay = Relay(self.slapd_port)
        self.configure(5000)

    def configure(self, timeout_ms):
        with open(self.directory + "/password", "w") as f:
            f.write(self.secret)
        os.chmod(self.directory + "/password", 0o600)
        self.RULES = Lookup.RULES.replace("DIR", self.directory).replace("PORT", str(self.relay.address)) \
            .replace("TIMEOUT", str(timeout_ms))

    def start_slapd(self):
        self.slapd_port = free_port()
        ldif = subprocess.run([SLAPD, "top"], check=True, capture_output=True).stdout
        for name, address in (("carol", "carol@partner.example"), ("dave", "dave@partner.example")):
            with open("%s/demo/certs/%s.pem" % (self.directory, name)) as f:
                text = f.read().split("-----")[2]
            with open(self.directory + "/der", "wb") as f:
                f.write(base64.b64decode(text))
            ldif += subprocess.run([SLAPD, "person", address, "userCertificate;binary", self.directory + "/der"],
                                   check=True, capture_output=True).stdout
        with open(self.directory + "/people.ldif", "wb") as f:
            f.write(ldif)
        os.mkdir(self.directory + "/slapd")
        subprocess.run([SLAPD, "start", self.directory + "/slapd", str(self.slapd_port),
                        self.directory + "/people.ldif"], check=True, stdout=subprocess.DEVNULL)

    def tearDown(self):
        if self.daemon is not None:
            for pid in self.processes():
                os.kill(pid, signal.SIGCONT)
            self.daemon.stop()
        self.relay.listener.close()
        subprocess.run([SLAPD, "stop", self.directory + "/slapd"], check=True)
        super().tearDown()

    def processes(self):
        """Those that ask: one, but two while a generation drains."""
        return named(self.daemon.process.pid, "smime-lookup")

    def process(self):
        self.assertTrue(wait_for(lambda: len(self.processes()) == 1))
        return self.processes()[0]

    def pass_on(self, to="carol@partner.example"):
        """The reply if it is one, else what became of the mail: "encrypted" or "plain"."""
        message = "From: alice@example.com\nTo: %s\nSubject: s\n\nhello\n" % to
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.7")
            client.helo()
            result, headers, body = send_message(client, message.encode(), "alice@example.com", [to])
        if not result.accepted():
            return result.reply
        headers, body = result.apply(headers, body)
        kinds = [v for n, v in headers if n.lower() == b"content-type"]
        return "encrypted" if any(b"enveloped-data" in k for k in kinds) and b"hello" not in body else "plain"

    @staticmethod
    def is_put_off(reply):
        return reply is not None and reply.startswith("451 4.")

    def reload(self):
        loaded = self.daemon.logged().count("serving on")
        self.daemon.signal(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: self.daemon.logged().count("serving on") == loaded + 1))

    def test_workers_have_neither_connection_nor_password(self):
        with open(self.directory + "/slapd/slapd.conf") as f:
            text = f.read()
        self.secret = secrets.token_hex(20)
        with open(self.directory + "/slapd/slapd.conf", "w") as f:
            f.write(text.replace("rootpw secret", "rootpw " + self.secret))
        subprocess.run([SLAPD, "stop", self.directory + "/slapd"], check=True)
        subprocess.run([SLAPD, "again", self.directory + "/slapd"], check=True, stdout=subprocess.DEVNULL)
        self.configure(5000)
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        pids = children(self.daemon.process.pid)
        self.assertEqual(connected(pids, self.relay.address), [self.process()])
        self.assertTrue(holds(self.process(), self.secret.encode()))
        for pid in workers(self.daemon.process.pid):
            self.assertFalse(holds(pid, self.secret.encode()))

    def test_workers_share_one_memory(self):
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        searches = self.relay.searches
        self.assertGreater(searches, 0)
        both = workers(self.daemon.process.pid)
        self.assertEqual(len(both), 2)
        for asleep in both:         # so it is the other one who serves
            put_to_sleep(asleep)
            try:
                self.assertEqual(self.pass_on(), "encrypted")
            finally:
                os.kill(asleep, signal.SIGCONT)
        self.assertEqual(self.relay.searches, searches)
        self.assertEqual(self.pass_on("dave@partner.example"), "encrypted")
        self.assertGreater(self.relay.searches, searches)

    def test_memory_outlives_a_reload(self):
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        searches, before = self.relay.searches, self.process()
        for _ in range(3):
            self.reload()
            self.assertEqual(self.pass_on(), "encrypted")
        self.assertEqual(self.relay.searches, searches)
        self.assertNotEqual(self.process(), before)
        # a directory that is configured otherwise is another one
        self.configure(4000)
        self.daemon.write("workers = 2;\n" + self.RULES)
        self.reload()
        self.assertEqual(self.pass_on(), "encrypted")
        self.assertGreater(self.relay.searches, searches)

    def test_death_of_the_keeper(self):
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        searches = self.relay.searches
        os.kill(keepers(self.daemon.process.pid)[0], signal.SIGKILL)
        self.assertTrue(wait_for(lambda: self.daemon.logged().count("serving on") == 2))
        self.assertEqual(self.pass_on(), "encrypted")
        self.assertEqual(self.relay.searches, searches)

    def test_death(self):
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        outcomes = []
        for _ in range(3):
            before = self.process()
            os.kill(before, signal.SIGKILL)
            for to in ("carol@partner.example", "dave@partner.example"):
                outcomes.append(self.pass_on(to))
            self.assertTrue(wait_for(lambda: self.processes() and self.process() != before))
            self.assertTrue(wait_for(lambda: self.pass_on() == "encrypted"))
        for outcome in outcomes:
            self.assertTrue(outcome == "encrypted" or self.is_put_off(outcome), outcomes)

    def test_sleep(self):
        """Nobody waits longer than for a directory that hangs, and no mail goes out in plaintext."""
        self.configure(500)
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        asleep = self.process()
        put_to_sleep(asleep)
        for to in ("carol@partner.example", "dave@partner.example", "nobody@other.example"):
            started = time.monotonic()
            self.assertTrue(self.is_put_off(self.pass_on(to)))
            self.assertLess(time.monotonic() - started, 30)       # a busy machine; limits.deadline_s is 60
        self.reload()               # whose successor does not wait for it
        self.assertTrue(wait_for(lambda: self.pass_on() == "encrypted"))
        os.kill(asleep, signal.SIGCONT)
        self.process()              # the old one ends

    def test_directory_that_hangs(self):
        self.configure(500)
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        self.relay.mute = True
        for to in ("dave@partner.example", "nobody@other.example"):
            self.assertTrue(self.is_put_off(self.pass_on(to)))
        self.assertEqual(self.pass_on(), "encrypted")       # is remembered
        self.relay.mute = False
        self.assertTrue(wait_for(lambda: self.pass_on("dave@partner.example") == "encrypted"))

    def test_end(self):
        self.run_daemon()
        self.assertEqual(self.pass_on(), "encrypted")
        left = children(self.daemon.process.pid)
        self.assertEqual(self.daemon.stop(), 0)
        self.assertTrue(wait_for(lambda: not [p for p in left if os.path.exists("/proc/%d" % p)]))
        self.daemon.start()
        left = children(self.daemon.process.pid)
        self.daemon.signal(signal.SIGKILL)
        self.daemon.process.wait(5)
        self.assertTrue(wait_for(lambda: not [p for p in left if os.path.exists("/proc/%d" % p)]))


def daemon_dir():
    return os.path.dirname(daemon.MILTER)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        daemon.MILTER = os.path.join(os.path.abspath(sys.argv.pop(1)), "smime-milter")
    sys.exit(daemon.run())
