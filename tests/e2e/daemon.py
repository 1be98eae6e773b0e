#!/usr/bin/env python3
"""The daemon as an administrator sees it: start, reload, death of workers, stop, limits. Needs the built smime-milter
and smimectl beside it, nothing else: the milter protocol is spoken by milter_client.py.

Usage: tests/e2e/daemon.py [SMIME-MILTER] [-k PATTERN]; default ./smime-milter. Without root some cases are skipped.
"""

import hashlib
import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from milter_client import MilterClient, MilterError, send_message  # noqa: E402

MILTER = os.path.abspath("smime-milter")
SMIMECTL = os.path.abspath("smimectl")
MESSAGE = b"From: a@x.example\nTo: b@example.com\nSubject: s\n\nhello\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def children(pid):
    """Descendants of a process."""
    found = []
    try:
        tasks = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return found
    for task in tasks:
        try:
            with open("/proc/%d/task/%s/children" % (pid, task)) as f:
                direct = [int(c) for c in f.read().split()]
        except OSError:
            continue
        for child in direct:
            found += [child] + children(child)
    return found


def named(pid, name):
    """Descendants of a process that call themselves so."""
    def is_one(p):
        try:
            with open("/proc/%d/comm" % p) as f:
                return f.read().strip() == name
        except OSError:
            return False
    return [c for c in children(pid) if is_one(c)]


def workers(pid):
    """Those that have threads: libmilter's."""
    def threads(p):
        try:
            return len(os.listdir("/proc/%d/task" % p))
        except OSError:
            return 0
    return [c for c in named(pid, "smime-milter") if threads(c) > 1]


def keepers(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return [int(c) for c in f.read().split()]


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


class Daemon:
    def __init__(self, directory, text, target=None, user=None, args=("-f",)):
        self.directory = directory
        self.conf = os.path.join(directory, "milter.conf")
        self.target = target or "inet:%d@127.0.0.1" % free_port()
        self.text = text
        self.args = list(args)
        self.user = user
        self.process = None
        self.write(text)

    def write(self, text):
        me = "root" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        with open(self.conf, "w") as f:
            f.write('socket = "%s";\nstate_dir = "%s/state";\n' % (self.target, self.directory))
            f.write('authserv_id = "mx.test";\nlocal_domains = [ "example.com" ];\n')
            if "user =" not in text:
                f.write('user = "%s";\n' % me)
            f.write(text)
        os.chmod(self.conf, 0o644)

    def start(self):
        options = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if self.user else {}
        with open(os.path.join(self.directory, "log"), "a") as log:
            self.process = subprocess.Popen([MILTER, "-c", self.conf] + self.args, stderr=log, stdout=log, **options)
        if not wait_for(self.answers):
            raise AssertionError("the daemon does not answer:\n" + self.logged())
        return self

    def answers(self):
        try:
            with MilterClient(self.target):
                return True
        except (OSError, MilterError):
            return False

    def logged(self):
        with open(os.path.join(self.directory, "log")) as f:
            return f.read()

    def send(self, message=MESSAGE, **options):
        with MilterClient(self.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            return send_message(client, message, "a@x.example", ["b@example.com"], **options)[0]

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return self.process and self.process.returncode
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class Case(unittest.TestCase):
    RULES = 'rules = ( { id = "in"; direction = "inbound"; verify = "mark"; }, { id = "rest"; } );\n'

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="smime-milter-test-")
        os.chmod(self.directory, 0o755)
        os.mkdir(os.path.join(self.directory, "state"))
        os.chmod(os.path.join(self.directory, "state"), 0o700)
        self.daemon = None

    def tearDown(self):
        if self.daemon is not None:
            self.daemon.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def run_daemon(self, text="", **options):
        self.daemon = Daemon(self.directory, "workers = 2;\n" + text + self.RULES, **options).start()
        return self.daemon


class CommandLine(Case):
    def run_milter(self, *args):
        return subprocess.run([MILTER] + list(args), capture_output=True, text=True, timeout=20)

    def test_usage(self):
        self.assertEqual(self.run_milter("-x").returncode, 2)
        self.assertEqual(self.run_milter("-c").returncode, 2)
        self.assertEqual(self.run_milter("-n", "more").returncode, 2)
        done = self.run_milter("-h")
        self.assertEqual((done.returncode, done.stdout[:6]), (0, "usage:"))

    def test_version(self):
        done = self.run_milter("-V")
        self.assertEqual(done.returncode, 0)
        for word in ("smime-milter", "OpenSSL", "OpenLDAP", "libmilter", "libconfig", "jansson", "files", "pkcs12"):
            self.assertIn(word, done.stdout)

    def test_check(self):
        daemon = Daemon(self.directory, self.RULES)
        done = self.run_milter("-n", "-c", daemon.conf)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_check_names_file_and_line(self):
        daemon = Daemon(self.directory, 'sokket = "x";\n')
        done = self.run_milter("-n", "-c", daemon.conf)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"milter\.conf:\d+: .*sokket")

    def test_state_directory(self):
        daemon = Daemon(self.directory, self.RULES)
        os.rmdir(self.directory + "/state")
        self.assertEqual(self.run_milter("-n", "-c", daemon.conf).returncode, 0)    # it could be made
        with open(self.directory + "/state", "w"):
            pass
        done = self.run_milter("-n", "-c", daemon.conf)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"milter\.conf:2: .*state_dir")

    def test_audit_log(self):
        for path, why in (("/none/audit.log", "No such file"), ("/state", "not a regular file"), ("/audit.log", "")):
            daemon = Daemon(self.directory, 'audit = { path = "%s"; };\n' % (self.directory + path) + self.RULES)
            done = self.run_milter("-n", "-c", daemon.conf)
            self.assertEqual(done.returncode, 3 if why else 0, path)
            if why:
                self.assertRegex(done.stderr, r"milter\.conf:\d+: audit\.path .*" + why)

    def test_missing_file(self):
        done = self.run_milter("-n", "-c", self.directory + "/none.conf")
        self.assertEqual(done.returncode, 3)
        self.assertIn("none.conf", done.stderr)

    def test_bad_socket(self):
        for text in ("tcp:1", "inet:99999@127.0.0.1", "inet:x", "unix:relative", "inet:"):
            done = self.run_milter("-n", "-c", Daemon(self.directory, self.RULES, target=text).conf)
            self.assertEqual(done.returncode, 3, text)
            self.assertRegex(done.stderr, r"milter\.conf:1: ", text)

    @unittest.skipUnless(os.geteuid() == 0, "only root changes the user")
    def test_unknown_user(self):
        daemon = Daemon(self.directory, 'user = "no-such-user-here";\n' + self.RULES)
        done = self.run_milter("-n", "-c", daemon.conf)
        self.assertEqual(done.returncode, 3)
        self.assertRegex(done.stderr, r"milter\.conf:\d+: .*no-such-user-here")

    def test_port_in_use(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            daemon = Daemon(self.directory, self.RULES, target="inet:%d@127.0.0.1" % other.getsockname()[1])
            done = self.run_milter("-f", "-c", daemon.conf)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("in use", done.stderr)


class Background(Case):
    def test_start_and_stop(self):
        self.daemon = daemon = Daemon(self.directory, "workers = 1;\n" + self.RULES, args=())
        done = subprocess.run([MILTER, "-c", daemon.conf], timeout=20)
        self.assertEqual(done.returncode, 0)
        self.assertTrue(daemon.answers())       # at once: the parent waits for it
        pids = [int(p) for p in os.listdir("/proc") if p.isdigit() and self.is_master(int(p), daemon.conf)]
        self.assertEqual(len(pids), 1)
        os.kill(pids[0], signal.SIGTERM)
        self.assertTrue(wait_for(lambda: not os.path.exists("/proc/%d" % pids[0])))
        self.assertFalse(daemon.answers())

    @staticmethod
    def is_master(pid, conf):
        try:
            with open("/proc/%d/cmdline" % pid) as f:
                return conf in f.read() and os.getsid(pid) == pid
        except OSError:
            return False

    def test_refused(self):
        missing = 'directories = ( { type = "files"; path = "/no/such/path"; } );\n'
        conf = Daemon(self.directory, missing + self.RULES).conf
        done = subprocess.run([MILTER, "-c", conf], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 3)
        self.assertIn("/no/such/path", done.stderr)


class Session(Case):
    def test_messages(self):
        daemon = self.run_daemon()
        for message in (MESSAGE, b"From: a@x.example\n\n", b"\nonly a body\n", b"\n", b"Subject:\n\n" + b"x" * 200000):
            self.assertTrue(daemon.send(message).accepted(), message[:40])

    def test_several_on_a_connection(self):
        daemon = self.run_daemon()
        with MilterClient(daemon.target) as client:
            client.connect()
            client.helo()
            for _ in range(5):
                self.assertTrue(send_message(client, MESSAGE, "a@x.example", ["b@example.com"])[0].accepted())
            client.mail("a@x.example")
            client.rcpt("b@example.com")
            client.abort()
            self.assertTrue(send_message(client, MESSAGE, "", ["b@example.com"])[0].accepted())

    def test_broken_off(self):
        daemon = self.run_daemon()
        before = workers(daemon.process.pid)
        for steps in range(6):
            client = MilterClient(daemon.target)
            for step in (lambda: client.connect(), lambda: client.mail("a@x.example"),
                         lambda: client.rcpt("b@example.com"), lambda: client.header(b"From", b" a@x.example"),
                         lambda: client.body(b"x\r\n"))[:steps]:
                step()
            client.sock.close()
        self.assertTrue(daemon.send().accepted())
        self.assertEqual(before, workers(daemon.process.pid))

    def test_without_leading_blanks(self):
        daemon = self.run_daemon()
        with MilterClient(daemon.target, steps=0x7F) as client:
            self.assertFalse(client.leading_blank)
            client.connect(ip="192.0.2.1")
            result, headers, body = send_message(client, MESSAGE, "a@x.example", ["b@example.com"])
        self.assertTrue(result.accepted())
        self.assertFalse([e for e in result.edits if e[-1].startswith(b" ")])
        top = result.apply(headers, body, leading_blank=False)[0][0]
        self.assertEqual(top[0], b"Authentication-Results")

    def test_mta_that_cannot_change(self):
        daemon = self.run_daemon()
        with self.assertRaises(MilterError):
            MilterClient(daemon.target, actions=0x1)

    def test_weird_envelopes(self):
        daemon = self.run_daemon()
        with MilterClient(daemon.target) as client:
            client.connect_unknown()
            result = send_message(client, MESSAGE, "a@x.example", ["b@example.com"],
                                  mail_args=("SIZE=10", "BODY=8BITMIME"))[0]
            self.assertTrue(result.accepted())
            result = send_message(client, MESSAGE, "a@b@c <", ["\x01"])[0]
            self.assertFalse(result.accepted())
            self.assertTrue(result.reply.startswith("554 5.6.0 S/MIME: "), result.reply)

    def test_log_line(self):
        daemon = self.run_daemon()
        daemon.send(queue_id="4LogLine")
        line = [text for text in daemon.logged().splitlines() if "4LogLine: " in text][0]
        self.assertRegex(line, r"4LogLine: action=\S+ result=none rule=in from=<a@x\.example> "
                         r"to=<b@example\.com> nrcpt=1 .*ms=[0-9.]+$")


class Limits(Case):
    def test_size(self):
        daemon = self.run_daemon("limits = { message_mb = 1; body_in_memory_kb = 64; };\n")
        self.assertTrue(daemon.send(b"From: a@x.example\n\n" + b"0123456789\n" * 60000).accepted())
        result = daemon.send(b"From: a@x.example\n\n" + b"0123456789\n" * 200000)
        self.assertTrue(result.reply.startswith("552 5.3.4 S/MIME: "), result.reply)

    def test_memory(self):
        daemon = self.run_daemon("limits = { message_mb = 100; body_in_memory_kb = 65536; total_memory_mb = 16; };\n")
        big = b"From: a@x.example\n\n" + b"0123456789\n" * (30 << 20 >> 4)
        result = daemon.send(big)
        self.assertTrue(result.reply.startswith("451 4.3.2 S/MIME: "), result.reply)
        self.assertTrue(daemon.send().accepted())       # and what was held is free again

    def test_header(self):
        daemon = self.run_daemon()
        result = daemon.send(b"".join(b"X-%d: %s\n" % (i, b"y" * 60000) for i in range(20)) + b"\n")
        self.assertTrue(result.reply.startswith("554 5.6.0 "), result.reply)

    def test_observe(self):
        daemon = self.run_daemon('mode = "observe";\nlimits = { message_mb = 1; };\n')
        for message in (MESSAGE, b"From: a@x.example\n\n" + b"0123456789\n" * 200000):
            result = daemon.send(message)
            self.assertTrue(result.accepted())
            self.assertEqual((result.edits, result.body), ([], None))
        self.assertIn("mode=observe", daemon.logged())


class Load(threading.Thread):
    def __init__(self, daemon):
        super().__init__()
        self.daemon_ = daemon
        self.failures, self.sent = [], 0
        self.stop = False

    def run(self):
        while not self.stop:
            try:
                result = self.daemon_.send()
                if not result.accepted():
                    self.failures.append(result.reply)
            except (OSError, MilterError) as error:
                self.failures.append(repr(error))
            self.sent += 1


class Life(Case):
    def test_reload_under_load(self):
        self.reload_under_load(None)

    def test_reload_under_load_unix(self):
        self.reload_under_load("unix:%s/milter.sock" % self.directory)

    def reload_under_load(self, target):
        daemon = self.run_daemon(target=target)
        threads = [Load(daemon) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.25)
        daemon.signal(signal.SIGUSR1)
        time.sleep(0.5)
        for thread in threads:
            thread.stop = True
        for thread in threads:
            thread.join()
        self.assertEqual([f for t in threads for f in t.failures], [])
        self.assertGreater(sum(t.sent for t in threads), 50)
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))
        self.assertGreaterEqual(daemon.logged().count("serving on"), 3)

    def test_open_session_survives_reload(self):
        daemon = self.run_daemon()
        with MilterClient(daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            daemon.write("workers = 1;\n" + self.RULES)
            daemon.signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: daemon.logged().count("serving on") == 2))
            time.sleep(0.5)
            self.assertTrue(send_message(client, MESSAGE, "a@x.example", ["b@example.com"])[0].accepted())
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 1))

    def test_reload_is_in_the_audit_log(self):
        """Who changed what decides about mail, and to what; what was refused has changed nothing."""
        log = self.directory + "/state/audit.jsonl"
        text = 'audit = { path = "%s"; chain = true; };\n' % log
        daemon = self.run_daemon(text)
        configs = []
        for number, more in ((1, ""), (2, "workers = 1;\n"), (2, "no such thing;\n")):
            if more:
                daemon.write(more + text + self.RULES)
                daemon.signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: daemon.logged().count("serving on") == number))
            with open(daemon.conf, "rb") as f:
                configs.append(hashlib.sha256(f.read()).hexdigest())
        self.assertTrue(wait_for(lambda: "reload refused" in daemon.logged()))
        with open(log) as f:
            lines = [json.loads(line) for line in f]
        self.assertEqual([(line["event"], line["config"]) for line in lines],
                         [("start", configs[0]), ("reload", configs[1])])
        self.assertIn("uid %d, pid %d" % (os.getuid(), os.getpid()), lines[1]["who"])
        done = subprocess.run([MILTER.replace("smime-milter", "smimectl"), "audit", "verify", log], timeout=20)
        self.assertEqual(done.returncode, 0)

    def test_killed_worker(self):
        target = "unix:%s/milter.sock" % self.directory
        daemon = self.run_daemon(target=target)
        inode = os.stat(target[5:]).st_ino
        for _ in range(2):
            for victim in workers(daemon.process.pid):
                os.kill(victim, signal.SIGKILL)
            self.assertTrue(daemon.send().accepted())
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))
        self.assertEqual(os.stat(target[5:]).st_ino, inode)

    def test_signals_to_workers(self):
        """Whoever signals every process of the name must not cut sessions."""
        target = "unix:%s/milter.sock" % self.directory
        daemon = self.run_daemon(target=target)
        with MilterClient(daemon.target) as client:
            client.connect(ip="192.0.2.1")
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                for victim in children(daemon.process.pid):
                    os.kill(victim, number)
            time.sleep(0.5)
            self.assertTrue(send_message(client, MESSAGE, "a@x.example", ["b@example.com"])[0].accepted())
        self.assertTrue(os.path.exists(target[5:]))
        self.assertTrue(daemon.send().accepted())

    def test_killed_keeper(self):
        daemon = self.run_daemon()
        with MilterClient(daemon.target) as client:
            client.connect(ip="192.0.2.1")
            os.kill(keepers(daemon.process.pid)[0], signal.SIGKILL)
            self.assertTrue(daemon.send().accepted())
            self.assertTrue(wait_for(lambda: daemon.logged().count("serving on") == 2))
            self.assertTrue(send_message(client, MESSAGE, "a@x.example", ["b@example.com"])[0].accepted())
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))

    def test_broken_configuration(self):
        daemon = self.run_daemon()
        for text in ("nonsense = 1;\n", "((((", 'directories = ( { type = "files"; path = "/no/such/path"; } );\n'):
            daemon.write(text + self.RULES)
            refusals = daemon.logged().count("old configuration goes on")
            daemon.signal(signal.SIGHUP)
            self.assertTrue(wait_for(lambda: daemon.logged().count("old configuration goes on") == refusals + 1), text)
            self.assertTrue(daemon.send().accepted())
        os.kill(workers(daemon.process.pid)[0], signal.SIGKILL)
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))
        self.assertTrue(daemon.send().accepted())
        os.kill(keepers(daemon.process.pid)[0], signal.SIGKILL)
        self.assertTrue(wait_for(lambda: "cannot be loaded" in daemon.logged()))
        self.assertTrue(daemon.send().accepted())
        self.assertRegex(daemon.logged(), r"milter\.conf:\d+: .*nonsense")
        daemon.write("workers = 1;\n" + self.RULES)
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 1))

    def test_stop_waits_for_the_message(self):
        daemon = self.run_daemon()
        client = MilterClient(daemon.target)
        client.connect(ip="192.0.2.1")
        client.mail("a@x.example")
        client.rcpt("b@example.com")
        client.header(b"From", b" a@x.example")
        daemon.signal(signal.SIGTERM)
        time.sleep(0.5)
        self.assertFalse(daemon.answers())
        client.eoh()
        client.body(b"hello\r\n")
        self.assertTrue(client.end().accepted())
        client.close()
        self.assertEqual(daemon.process.wait(10), 0)

    def test_stop_at_once_when_idle(self):
        target = "unix:%s/milter.sock" % self.directory
        daemon = self.run_daemon(target=target)
        started = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - started, 3)
        self.assertFalse(os.path.exists(target[5:]))

    def test_workers_end_with_the_master(self):
        daemon = self.run_daemon()
        left = children(daemon.process.pid)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait(5)
        self.assertTrue(wait_for(lambda: not [p for p in left if os.path.exists("/proc/%d" % p)]))


class Metrics(Case):
    def scrape(self, port, path="/metrics", method="GET"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" %
                           (method.encode(), path.encode()))
            text = b""
            while chunk := client.recv(65536):
                text += chunk
        head, _, body = text.decode().partition("\r\n\r\n")
        return head, body

    def value(self, port, name):
        found = re.findall(r"^%s (\S+)$" % re.escape(name), self.scrape(port)[1], re.M)
        return float(found[0]) if found else None

    def test_metrics(self):
        """Counted by all workers, and on over a reload; a killed worker's sessions are not open any more."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        text = 'metrics = { listen = "inet:%d@127.0.0.1"; };\n' % port
        daemon = self.run_daemon(text)
        head, body = self.scrape(port)
        if "200 OK" not in head:
            self.fail(head)
        self.assertIn("application/openmetrics-text; version=1.0.0", head)
        self.assertTrue(body.endswith("# EOF\n"))
        version = subprocess.run([MILTER, "-V"], capture_output=True, text=True, timeout=20).stdout.split()[1]
        self.assertEqual(self.value(port, 'smime_milter_build_info{version="%s"}' % version), 1)
        self.assertTrue(self.scrape(port, "/other")[0].startswith("HTTP/1.1 404"))
        self.assertTrue(self.scrape(port, method="POST")[0].startswith("HTTP/1.1 405"))
        for _ in range(6):
            self.assertTrue(daemon.send().accepted())
        counted = [line for line in self.scrape(port)[1].splitlines() if line.startswith("smime_milter_messages_total")]
        self.assertEqual(sum(float(line.split()[-1]) for line in counted), 6, counted)
        self.assertEqual(self.value(port, "smime_milter_seconds_count{}"), 6)
        with MilterClient(daemon.target) as client:
            client.connect(ip="192.0.2.1")
            self.assertTrue(wait_for(lambda: self.value(port, "smime_milter_sessions") == 1))
            for victim in workers(daemon.process.pid):
                os.kill(victim, signal.SIGKILL)
            self.assertTrue(wait_for(lambda: self.value(port, "smime_milter_sessions") == 0))
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))
        daemon.signal(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: daemon.logged().count("serving on") == 2))
        self.assertTrue(daemon.send().accepted())
        self.assertEqual(self.value(port, "smime_milter_seconds_count{}"), 7)
        daemon.write("workers = 2;\n" + self.RULES)
        daemon.signal(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: daemon.logged().count("serving on") == 3))

        def refused():
            try:
                self.scrape(port)
            except OSError:
                return True
            return False
        self.assertTrue(wait_for(refused))

    def test_refused(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            for listen, why in (("unix:/tmp/x", "PORT@HOST"), ("inet:99999@127.0.0.1", "expected inet"),
                                ("inet:%d@127.0.0.1" % other.getsockname()[1], "in use")):
                daemon = Daemon(self.directory, 'metrics = { listen = "%s"; };\n' % listen + self.RULES)
                done = subprocess.run([MILTER, "-f", "-c", daemon.conf], capture_output=True, text=True, timeout=20)
                self.assertNotEqual(done.returncode, 0)
                self.assertRegex(done.stderr, r"milter\.conf:\d+: metrics\.listen: .*" + why)


class Replies(Case):
    """reply = "encrypted": what came or went encrypted is remembered."""
    RULES = """internal_hosts = [ "192.0.2.7" ];
collections = ( { name = "demo"; files = "DIR/demo/roots.sst"; } );
directories = ( { type = "files"; path = "DIR/demo/certs"; } );
rules = (
  { id = "answer"; direction = "inbound"; reply = "encrypted"; require_protection = "encrypted"; },
  { id = "in"; direction = "inbound"; },
  { id = "partner"; direction = "outbound"; recipient = "*@partner.example"; encrypt = "require"; },
  { id = "rest"; } );
"""

    def setUp(self):
        super().setUp()
        subprocess.run([SMIMECTL, "demo-ca", self.directory + "/demo"], check=True, capture_output=True)
        self.RULES = self.RULES.replace("DIR", self.directory)

    def pass_on(self, fields, body="hello", ours=False):
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.7" if ours else "192.0.2.1")
            client.helo()
            sender, to = "alice@example.com", "carol@partner.example"
            if not ours:
                sender, to = to, sender
            message = "From: %s\nTo: %s\n%s\n%s\n" % (sender, to, fields, body)
            return send_message(client, message.encode(), sender, [to])

    def went(self, message_id):
        """Out, encrypted. Returns it as it arrived, under another Message-ID."""
        result, headers, body = self.pass_on("Message-ID: <%s>\n" % message_id, ours=True)
        self.assertTrue(result.accepted(), result.reply)
        headers, body = result.apply(headers, body)
        kind = [v for n, v in headers if n.lower() == b"content-type"][0]
        self.assertIn(b"enveloped-data", kind)
        rest = "".join("%s:%s\n" % (n.decode(), v.decode()) for n, v in headers if n.lower().startswith(b"content-"))
        return "MIME-Version: 1.0\n" + rest, body.decode().replace("\r\n", "\n")

    def judge(self, answered, refused):
        reply = self.pass_on("Message-ID: <answer@x>\nIn-Reply-To: <%s>\n" % answered)[0]
        if refused:
            self.assertTrue(reply.reply and reply.reply.startswith("550 5.7.1 "), reply.reply)
        else:
            self.assertTrue(reply.accepted(), reply.reply)

    def recorder(self):
        found = named(self.daemon.process.pid, "smime-recorder")
        self.assertEqual(len(found), 1)
        return found[0]

    def explain(self, answered):
        fields = "From: carol@partner.example\nReferences: <x@y>\n <%s>\n\nhello\n" % answered
        command = [SMIMECTL, "-c", self.daemon.conf, "explain", "--from", "carol@partner.example", "--rcpt",
                   "alice@example.com", "--client", "192.0.2.1"]
        return subprocess.run(command, input=fields, capture_output=True, text=True).stdout

    def test_what_is_answered(self):
        self.run_daemon()
        self.judge("went@example.com", False)
        fields, body = self.went("went@example.com")
        self.judge("went@example.com", True)
        self.judge("other@example.com", False)
        self.judge("came@partner.example", False)
        self.assertTrue(self.pass_on("Message-ID: <came@partner.example>\n" + fields, body)[0].accepted())
        self.judge("came@partner.example", True)
        # encrypted, as it shall be
        fields += "In-Reply-To: <went@example.com>\nMessage-ID: <2@partner.example>\n"
        self.assertTrue(self.pass_on(fields, body)[0].accepted())
        self.judge("2@partner.example", True)

    def test_restart(self):
        self.run_daemon()
        self.went("went@example.com")
        self.assertIn('rule "answer"', self.explain("went@example.com"))
        self.daemon.stop()
        self.daemon.start()
        self.judge("went@example.com", True)
        self.judge("other@example.com", False)
        self.assertIn('rule "answer"', self.explain("went@example.com"))
        self.assertIn('rule "in"', self.explain("other@example.com"))

    def test_smimectl_makes_no_journal(self):
        self.daemon = Daemon(self.directory, self.RULES)
        self.assertIn('rule "in"', self.explain("went@example.com"))
        self.assertEqual(os.listdir(self.directory + "/state"), [])
        with open(self.directory + "/state/journal.sqlite", "w") as f:
            f.write("damaged")
        self.assertIn("451 4.7.5", self.explain("went@example.com"))

    def test_recorder_that_dies_or_sleeps(self):
        self.run_daemon()
        fields, body = self.went("went@example.com")
        os.kill(self.recorder(), signal.SIGKILL)
        self.judge("went@example.com", True)
        self.assertTrue(wait_for(lambda: named(self.daemon.process.pid, "smime-recorder")))
        asleep = self.recorder()
        os.kill(asleep, signal.SIGSTOP)
        try:
            threads = [threading.Thread(target=self.is_postponed, args=arguments) for arguments in (
                ("In-Reply-To: <other@example.com>\n",), ("Message-ID: <came@x>\n" + fields, body))]
            for thread in threads:
                thread.start()
            self.assertTrue(self.pass_on("Message-ID: <no-answer@x>\n")[0].accepted())
            for thread in threads:
                thread.join()
        finally:
            os.kill(asleep, signal.SIGCONT)
        self.assertEqual(self.postponed, 2)
        self.judge("went@example.com", True)

    postponed = 0

    def is_postponed(self, *message):
        reply = self.pass_on(*message)[0].reply
        if reply and reply.startswith("451 4.7.5 "):
            self.postponed += 1


class Socket(Case):
    def test_mode_and_stale_path(self):
        target = "local:%s/milter.sock" % self.directory
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(target[6:])
        self.run_daemon('socket_mode = "0600";\n', target=target)
        self.assertEqual(stat.S_IMODE(os.stat(target[6:]).st_mode), 0o600)

    def test_second_instance(self):
        target = "local:%s/milter.sock" % self.directory
        daemon = self.run_daemon(target=target)
        done = subprocess.run([MILTER, "-f", "-c", daemon.conf], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another process", done.stderr)
        self.assertTrue(daemon.send().accepted())

    def test_spellings(self):
        port = free_port()
        self.daemon = Daemon(self.directory, "workers = 1;\n" + self.RULES, target="inet:127.0.0.1:%d" % port).start()
        self.assertTrue(self.daemon.send().accepted())

    def test_ready(self):
        path = self.directory + "/notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(10)
            os.environ["NOTIFY_SOCKET"] = path
            try:
                daemon = self.run_daemon()
            finally:
                del os.environ["NOTIFY_SOCKET"]
            self.assertIn(b"READY=1", notify.recv(1000))
            daemon.signal(signal.SIGHUP)
            self.assertIn(b"RELOADING=1\nMONOTONIC_USEC=", notify.recv(1000))
            self.assertIn(b"READY=1", notify.recv(1000))
            daemon.stop()
            self.assertIn(b"STOPPING=1", notify.recv(1000))


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class Users(Case):
    def test_ordinary_user(self):
        os.chown(self.directory, pwd.getpwnam("nobody").pw_uid, -1)
        os.chown(self.directory + "/state", pwd.getpwnam("nobody").pw_uid, -1)
        daemon = self.run_daemon('user = "somebody-else";\n', user="nobody",
                                 target="local:%s/milter.sock" % self.directory)
        self.assertTrue(daemon.send(b"From: a@x.example\n\n" + b"0123456789\n" * 200000).accepted())
        self.assertEqual(daemon.stop(), 0)

    def test_gives_up_root(self):
        os.chown(self.directory + "/state", pwd.getpwnam("nobody").pw_uid, -1)
        daemon = self.run_daemon('user = "nobody";\n', target="local:%s/milter.sock" % self.directory)
        self.assertTrue(daemon.send(b"From: a@x.example\n\n" + b"0123456789\n" * 200000).accepted())
        uid = pwd.getpwnam("nobody").pw_uid
        for pid in children(daemon.process.pid):
            with open("/proc/%d/status" % pid) as f:
                self.assertIn("Uid:\t%d\t%d\t%d\t%d" % (uid, uid, uid, uid), f.read())
        for victim in workers(daemon.process.pid):
            os.kill(victim, signal.SIGKILL)
        self.assertTrue(wait_for(lambda: len(workers(daemon.process.pid)) == 2))
        self.assertTrue(daemon.send().accepted())


class Lines(unittest.TestResult):
    """One line a case, as tests/run reads them."""

    def addSuccess(self, test):
        print("ok - " + test.id().partition(".")[2], flush=True)

    def addSkip(self, test, reason):
        print("skip - %s: %s" % (test.id().partition(".")[2], reason), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        print("not ok - %s\n%s" % (test.id().partition(".")[2], self.failures[-1][1]), flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        print("not ok - %s\n%s" % (test.id(), self.errors[-1][1]), flush=True)


def run():
    loader = unittest.TestLoader()
    if "-k" in sys.argv:
        loader.testNamePatterns = ["*%s*" % sys.argv[sys.argv.index("-k") + 1]]
    result = Lines()
    loader.loadTestsFromModule(sys.modules["__main__"]).run(result)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        MILTER = os.path.abspath(sys.argv.pop(1))
        SMIMECTL = os.path.join(os.path.dirname(MILTER), "smimectl")
    sys.exit(run())
