#!/usr/bin/env python3
"""CRLs and OCSP answers that the daemon fetches, from a small web server on the loopback interface. Certificates, CRLs,
OCSP answers and signatures are made by openssl; none of it comes from the gateway.

Usage: tests/e2e/revocation.py [BUILDDIR] [-k PATTERN]; default ".".
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
import daemon  # noqa: E402
from daemon import Case, Daemon, children, named, wait_for  # noqa: E402
from milter_client import MilterClient, send_message  # noqa: E402
from tcp_server import TcpServer  # noqa: E402

BUILDDIR = "."
OK = b"HTTP/1.0 200 OK\r\n"


def openssl(*args, data=None):
    done = subprocess.run(["openssl"] + list(args), input=data, capture_output=True)
    if done.returncode != 0:
        raise AssertionError("openssl %s: %s" % (" ".join(args), done.stderr.decode()))
    return done.stdout


class Server(TcpServer):
    """Answers GET and POST by path: bytes, or a function of socket and request body. Counts everything."""

    def __init__(self):
        self.answers = {}
        self.asked = []             # paths
        super().__init__()

    @staticmethod
    def request(client):
        data = b""
        while b"\r\n\r\n" not in data:
            more = client.recv(65536)
            if not more:
                raise OSError("no request")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length.group(1)):
            body += client.recv(65536)
        return head.split()[1].decode(), body

    def serve(self, client):
        with client:
            try:
                path, body = self.request(client)
                self.asked.append(path)
                answer = self.answers.get(path, b"HTTP/1.0 404 Not Found\r\n\r\n")
                if callable(answer):
                    answer(client, body)
                else:
                    client.sendall(answer)
            except OSError:
                pass

    def put(self, path, content):
        self.answers[path] = OK + b"Content-Length: %d\r\n\r\n" % len(content) + content

    def silent(self, client, _):
        """Never answers."""
        self.ended.wait(60)

    def slow(self, client, _):
        client.sendall(OK + b"\r\n\x30\x84\x00\xff\xff\xff")
        while not self.ended.wait(0.05):
            client.sendall(b"\x30")

    def endless(self, client, _):
        client.sendall(OK + b"\r\n")
        while not self.ended.is_set():
            client.sendall(b"\x30" * 65536)

    def url(self, path, host="127.0.0.1"):
        return "http://%s:%d%s" % (host, self.port, path)


class Authority:
    """A CA in a directory of its own, its own database included."""

    def __init__(self, directory, name, issuer=None, extensions=()):
        self.path = os.path.join(directory, name)
        os.mkdir(self.path)
        self.serial = 100
        self.issued = {}            # serial: time of revocation or None
        self.make("ca", "/O=%s/CN=%s CA" % (name, name), issuer or self,
                  ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"] + list(extensions))

    def file(self, name):
        return os.path.join(self.path, name)

    def make(self, name, subject, issuer, extensions):
        """NAME.key and NAME.crt; returns the path of the certificate."""
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.file(name + ".key"))
        issuer.serial += 1
        issuer.issued[issuer.serial] = None
        arguments = ["req", "-x509", "-new", "-key", self.file(name + ".key"), "-subj", subject, "-days", "30",
                     "-set_serial", str(issuer.serial), "-out", self.file(name + ".crt")]
        if issuer is not self or name != "ca":
            arguments += ["-CA", issuer.file("ca.crt"), "-CAkey", issuer.file("ca.key")]
        for extension in extensions:
            arguments += ["-addext", extension]
        openssl(*arguments)
        return self.file(name + ".crt")

    def person(self, name, *extensions):
        self.make(name, "/O=Test/CN=" + name, self, [
            "basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=emailProtection",
            "subjectAltName=email:a@x.example"] + list(extensions))
        return self.serial

    def responder(self, name):
        self.make(name, "/O=Test/CN=" + name, self, [
            "basicConstraints=CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=OCSPSigning",
            "noCheck=ignored"])

    def revoke(self, serial):
        self.issued[serial] = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() - 60))

    def write_database(self):
        with open(self.file("index"), "w") as f:
            for serial, revoked in self.issued.items():
                f.write("%s\t400101000000Z\t%s\t%X\tunknown\t/CN=%d\n" %
                        ("R" if revoked else "V", revoked or "", serial, serial))
        with open(self.file("crlnumber"), "w") as f:
            f.write("%08X\n" % (int(time.time()) & 0x7fffffff))
        with open(self.file("ca.cnf"), "w") as f:
            f.write("[ca]\ndefault_ca = this\n[this]\ndatabase = %s\ncrlnumber = %s\ndefault_md = sha256\n"
                    "crl_extensions = crl\n[crl]\nauthorityKeyIdentifier = keyid\n" %
                    (self.file("index"), self.file("crlnumber")))

    def crl(self, seconds=86400, age=0):
        """Made age seconds ago, valid for so many seconds from now."""
        def at(offset):
            return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + offset))

        self.write_database()
        openssl("ca", "-config", self.file("ca.cnf"), "-gencrl", "-crl_lastupdate", at(-age),
                "-crl_nextupdate", at(seconds), "-cert", self.file("ca.crt"),
                "-keyfile", self.file("ca.key"), "-out", self.file("crl.pem"))
        return openssl("crl", "-in", self.file("crl.pem"), "-outform", "DER")

    def ocsp(self, request, signer=None, key=None):
        self.write_database()
        with open(self.file("request"), "wb") as f:
            f.write(request)
        openssl("ocsp", "-index", self.file("index"), "-CA", self.file("ca.crt"),
                "-rsigner", signer or self.file("ca.crt"), "-rkey", key or self.file("ca.key"),
                "-reqin", self.file("request"), "-respout", self.file("response"), "-nmin", "60")
        with open(self.file("response"), "rb") as f:
            return f.read()

    def mail(self, name, *chain):
        arguments = ["cms", "-sign", "-signer", self.file(name + ".crt"), "-inkey", self.file(name + ".key"), "-md",
                     "sha256"]
        for path in chain:
            arguments += ["-certfile", path]
        return b"From: a@x.example\nTo: b@example.com\nSubject: s\n" + openssl(
            *arguments, data=b"Content-Type: text/plain\n\nhello\n")


def crl_at(url):
    return "crlDistributionPoints=URI:" + url


def ocsp_at(url):
    return "authorityInfoAccess=OCSP;URI:" + url


class Fetching(Case):
    def setUp(self):
        super().setUp()
        self.server = Server()
        self.authority = Authority(self.directory, "Root")

    def tearDown(self):
        self.server.close()
        super().tearDown()

    def run_fetching(self, revocation="soft", hosts=None, total_ms=5000, **options):
        hosts = hosts or ["127.0.0.1:%d" % self.server.port]
        text = ('workers = 2;\ncollections = ( { name = "partners"; files = "%s"; revocation = "%s"; '
                'fetch_hosts = [ %s ]; connect_ms = 1000; total_ms = %d; } );\n' %
                (self.authority.file("ca.crt"), revocation, ", ".join('"%s"' % h for h in hosts), total_ms))
        self.daemon = Daemon(self.directory, text + self.RULES, **options).start()
        return self.daemon

    def fields(self, message):
        """Of the mail as it is delivered: {"result": …, "revocation": …} from the first X-SMIME-Layer."""
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result, headers, body = send_message(client, message, "a@x.example", ["b@example.com"])
            self.assertTrue(result.accepted(), result.reply)
            headers = result.apply(headers, body)[0]
        layer = [value for name, value in headers if name == b"X-SMIME-Layer"][0].decode()
        return dict(part.strip().split("=", 1) for part in layer.split(";")[1:])

    def verdict(self, message):
        fields = self.fields(message)
        return fields["result"], fields["revocation"]

    def expect(self, message, result, revocation):
        if not wait_for(lambda: self.verdict(message) == (result, revocation)):
            self.fail("%s instead of %s\n%s" % (self.verdict(message), (result, revocation), self.daemon.logged()))

    def stored(self):
        try:
            return sorted(n for n in os.listdir(self.directory + "/state/revocation") if n != "wanted")
        except OSError:
            return []

    def logged(self, pattern):
        return len(re.findall(pattern, self.daemon.logged()))

    def fetcher(self):
        return next(iter(named(self.daemon.process.pid, "smime-fetch")), None)


def fresh(authority, seconds):
    """A CRL made when it is asked for: valid as long however slow the machine is."""
    return lambda client, _: client.sendall(OK + b"\r\n" + authority.crl(seconds))


class Crl(Fetching):
    def test_life(self):
        """Unknown, good, revoked; through a restart and a reload, without the server."""
        sub = Authority(self.directory, "Sub", self.authority, [crl_at(self.server.url("/root.crl"))])
        serial = sub.person("alice", crl_at(self.server.url("/sub.crl?x=1")))
        self.server.put("/root.crl", self.authority.crl())
        self.server.answers["/sub.crl?x=1"] = fresh(sub, 6)
        mail = sub.mail("alice", sub.file("ca.crt"))
        self.run_fetching()
        self.assertEqual(self.verdict(mail), ("pass", "unknown"))
        self.expect(mail, "pass", "good")
        self.assertEqual(sorted(self.server.asked), ["/root.crl", "/sub.crl?x=1"])
        self.assertEqual(self.logged(r"fetch=crl collection=partners host=127\.0\.0\.1:%d path=/\S+ bytes=\d+ ms=\d+ "
                                     r"result=stored\n" % self.server.port), 2)
        sub.revoke(serial)
        # made when it is asked for: one made before could be older than the last that was fetched
        self.server.answers["/sub.crl?x=1"] = fresh(sub, 86400)
        self.expect(mail, "fail", "revoked")
        self.assertEqual(len(self.stored()), 2)
        for name in self.stored():
            self.assertEqual(os.stat(self.directory + "/state/revocation/" + name).st_mode & 0o7777, 0o600)
        self.assertEqual(os.stat(self.directory + "/state/revocation").st_mode & 0o7777, 0o700)
        asked = self.server.connections
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.start()
        self.assertEqual(self.verdict(mail), ("fail", "revoked"))
        self.daemon.signal(signal.SIGHUP)
        self.assertTrue(wait_for(lambda: self.logged("reloaded, version")))
        self.assertEqual(self.verdict(mail), ("fail", "revoked"))
        self.assertEqual(self.server.connections, asked)
        self.assertEqual(len(self.stored()), 2)

    def test_older(self):
        """What came later stays, though an older one lasts longer."""
        serial = self.authority.person("alice", crl_at(self.server.url("/crl")))
        mail = self.authority.mail("alice")
        older = self.authority.crl(age=3600)
        self.authority.revoke(serial)
        self.server.answers["/crl"] = fresh(self.authority, 4)
        self.run_fetching()
        self.verdict(mail)
        self.expect(mail, "fail", "revoked")
        self.server.put("/crl", older)
        self.assertTrue(wait_for(lambda: self.logged("path=/crl .* result=failed reason=.older than the answer")),
                        self.daemon.logged())
        self.assertEqual(self.verdict(mail), ("fail", "revoked"))

    def test_others_stay_out(self):
        """Each of these urls is asked; nothing of what they answer is kept."""
        other = Authority(self.directory, "Other")
        imposter = Authority(os.path.join(self.directory, "Other"), "Root")
        expired = self.authority.crl(1)
        bad = {
            "/other": (other.crl(), "another issuer"),
            "/imposter": (imposter.crl(), "not signed"),
            "/garbage": (b"\x00\xffgarbage", ""),
            "/empty": (b"", ""),
            "/tail": (self.authority.crl() + b"x", ""),
            "/expired": (expired, "not valid now"),
        }
        for path, (content, _) in bad.items():
            self.server.put(path, content)
        self.authority.person("alice", "crlDistributionPoints=" + ",".join(
            "URI:" + self.server.url(path) for path in list(bad)[:4]))
        self.authority.person("bob", "crlDistributionPoints=" + ",".join(
            "URI:" + self.server.url(path) for path in list(bad)[4:]))
        time.sleep(1.1)                 # until it is expired
        self.run_fetching()
        for name in ("alice", "bob"):
            self.assertEqual(self.verdict(self.authority.mail(name)), ("pass", "unknown"))
        for path, (_, reason) in bad.items():
            self.assertTrue(wait_for(lambda: self.logged(r'path=%s bytes=\d+ ms=\d+ result=failed reason="[^"]*%s' %
                                                         (path, reason))), self.daemon.logged())
        self.assertEqual(self.stored(), [])
        self.assertEqual(self.verdict(self.authority.mail("alice")), ("pass", "unknown"))
        time.sleep(1)
        self.assertEqual(sorted(self.server.asked), sorted(bad))    # once each: not again for a minute


class Ocsp(Fetching):
    def test_answers(self):
        foreign = Authority(self.directory, "Foreign")
        self.authority.responder("responder")
        foreign.responder("responder")
        lock = threading.Lock()

        def answer(signer=None, key=None, change=lambda response: response):
            def say(client, request):
                with lock:
                    response = self.authority.ocsp(request, signer, key)
                response = change(response)
                client.sendall(OK + b"\r\n" + response)
            return say

        def damaged(response):
            """Another second of producedAt than was signed."""
            at = response.index(b"\x18\x0f20") + 15
            return response[:at] + bytes([response[at] ^ 1]) + response[at + 1:]

        responder = (self.authority.file("responder.crt"), self.authority.file("responder.key"))
        foreign_responder = (foreign.file("responder.crt"), foreign.file("responder.key"))
        cases = {
            "good": (answer(), "pass", "good", "stored"),
            "revoked": (answer(), "fail", "revoked", "stored"),
            "delegated": (answer(*responder), "pass", "good", "stored"),
            "foreign": (answer(*foreign_responder), "pass", "unknown", "failed"),
            "damaged": (answer(change=damaged), "pass", "unknown", "failed"),
            "unsigned": (OK + b"\r\n\x30\x03\x0a\x01\x06", "pass", "unknown", "failed"),
        }
        mails = {}
        for name, (say, *_) in cases.items():
            self.server.answers["/" + name] = say
            serial = self.authority.person(name, ocsp_at(self.server.url("/" + name)))
            mails[name] = self.authority.mail(name)
            if name == "revoked":
                self.authority.revoke(serial)
        self.run_fetching()
        for mail in mails.values():
            self.assertEqual(self.verdict(mail), ("pass", "unknown"))
        for name, (_, result, revocation, word) in cases.items():
            self.assertTrue(wait_for(lambda: self.logged(r"fetch=ocsp .* path=/%s bytes=\d+ ms=\d+ result=%s" %
                                                         (name, word))), self.daemon.logged())
            self.expect(mails[name], result, revocation)
        self.assertEqual(len(self.stored()), 3)
        self.assertEqual(len(self.server.asked), len(cases))


class Refused(Fetching):
    def ask(self, mail, reason, **options):
        """One mail; its url fails for that reason, and nothing is kept."""
        self.run_fetching(**options)
        self.assertEqual(self.verdict(mail), ("pass", "unknown"))
        self.assertTrue(wait_for(lambda: self.logged(reason)), self.daemon.logged())
        self.assertEqual(self.stored(), [])

    def test_servers(self):
        self.server.put("/crl", self.authority.crl())
        self.server.answers.update({
            "/redirect": b"HTTP/1.0 302 Found\r\nLocation: %s\r\n\r\n" % self.server.url("/crl").encode(),
            "/slow": self.server.slow, "/silent": self.server.silent,
            "/huge": OK + b"Content-Length: 99999999999\r\n\r\n",
        })
        for path in ("/redirect", "/slow", "/huge", "/none"):
            self.authority.person(path[1:], crl_at(self.server.url(path)))
        self.authority.person("ocsp", ocsp_at(self.server.url("/endless")))
        self.server.answers["/endless"] = self.server.endless
        self.run_fetching(total_ms=1000)
        for name in ("redirect", "slow", "huge", "none", "ocsp"):
            self.assertEqual(self.verdict(self.authority.mail(name)), ("pass", "unknown"))
        for reason in ("path=/redirect .*a redirect .302., not followed", "path=/slow .*not done within 1000 ms",
                       "path=/huge .*99999999999 bytes", "path=/none .*status 404",
                       "path=/endless .*more than 65536 bytes"):
            self.assertTrue(wait_for(lambda: self.logged(reason)), reason + "\n" + self.daemon.logged())
        self.assertEqual(self.stored(), [])
        self.assertNotIn("/crl", self.server.asked)

    def test_host_not_listed(self):
        elsewhere = Server()
        self.authority.person("alice", crl_at(elsewhere.url("/crl")))
        self.ask(self.authority.mail("alice"), "certificates name 127.0.0.1 port %d, which is not in fetch_hosts" %
                 elsewhere.port)
        self.assertEqual(elsewhere.connections, 0)
        elsewhere.close()

    def test_private_address_not_listed(self):
        self.authority.person("alice", crl_at(self.server.url("/crl", "localhost")))
        self.ask(self.authority.mail("alice"), "its address is not public", hosts=["localhost:%d" % self.server.port])
        self.assertEqual(self.server.connections, 0)

    def test_private_address_listed(self):
        self.server.put("/crl", self.authority.crl())
        self.authority.person("alice", crl_at(self.server.url("/crl", "localhost")))
        mail = self.authority.mail("alice")
        self.run_fetching(hosts=["localhost:%d" % self.server.port, "127.0.0.1"])
        self.verdict(mail)
        self.expect(mail, "pass", "good")

    def test_untrusted_signer(self):
        other = Authority(self.directory, "Other")
        other.person("mallory", crl_at(self.server.url("/crl")), ocsp_at(self.server.url("/ocsp")))
        self.server.put("/crl", self.authority.crl())
        self.authority.person("alice", crl_at(self.server.url("/crl")))
        self.run_fetching()
        self.assertEqual(self.verdict(other.mail("mallory", other.file("ca.crt")))[0], "fail")
        # a certificate with forbidden urls that lies beside a good one
        mail = self.authority.mail("alice", other.file("mallory.crt"))
        self.verdict(mail)
        self.expect(mail, "pass", "good")
        self.assertEqual(self.server.asked, ["/crl"])

    def test_configuration(self):
        self.run_fetching()
        before = self.daemon.text
        for host in ("http://crl.example.net", "crl.example.net/x", "*.example.net", "127.1"):
            self.daemon.write(re.sub(r"fetch_hosts = \[.*?\]", 'fetch_hosts = [ "%s" ]' % host, before))
            done = subprocess.run([daemon.MILTER, "-n", "-c", self.daemon.conf], capture_output=True, text=True)
            self.assertEqual(done.returncode, 3, host)
            self.assertRegex(done.stderr, r"milter\.conf:\d+: fetch_hosts: ")


class Mail(Fetching):
    def silent_authority(self):
        self.server.answers["/crl"] = self.server.silent
        self.authority.person("alice", crl_at(self.server.url("/crl")))
        return self.authority.mail("alice")

    def test_never_waits(self):
        """A server that takes the connection and says nothing: mails go their normal way, and so does the end."""
        mail = self.silent_authority()
        self.run_fetching(total_ms=60000)
        self.assertEqual(self.verdict(mail), ("pass", "unknown"))
        self.assertTrue(wait_for(lambda: self.server.asked == ["/crl"]))
        for _ in range(20):
            self.assertEqual(self.verdict(mail), ("pass", "unknown"))
        started = time.monotonic()
        self.assertEqual(self.daemon.stop(), 0)     # in 20 s or it fails; the exchange would take 60
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(self.logged("result="), self.logged("action="))

    def test_hard(self):
        mail = self.silent_authority()
        self.run_fetching("hard", total_ms=60000)
        self.assertEqual(self.verdict(mail), ("temperror", "unknown"))
        self.assertTrue(wait_for(lambda: self.server.asked == ["/crl"]))
        self.assertEqual(self.verdict(mail), ("temperror", "unknown"))

    def test_evidence_is_kept(self):
        """What an audit line names by digest is there, by that name, as it was when the mail came."""
        crl = self.authority.crl()
        self.server.put("/crl", crl)
        self.authority.person("alice", crl_at(self.server.url("/crl")))
        log = self.directory + "/state/audit.jsonl"
        self.RULES = self.RULES + 'audit = { path = "%s"; };\n' % log
        self.run_fetching()
        self.expect(self.authority.mail("alice"), "pass", "good")
        with open(log) as f:
            evidence = json.loads(f.readlines()[-1])["evidence"]
        self.assertEqual([e["kind"] for e in evidence], ["certificate", "certificate", "crl", "collection"])
        kept = {}
        for item in evidence:
            with open(os.path.join(self.directory, "state/evidence", item["sha256"]), "rb") as f:
                kept.setdefault(item["kind"], []).append(f.read())
            self.assertEqual(hashlib.sha256(kept[item["kind"]][-1]).hexdigest(), item["sha256"])
        self.assertEqual(kept["crl"], [crl])
        with open(self.authority.file("ca.crt"), "rb") as f:
            self.assertEqual(kept["collection"], [f.read()])
        self.assertEqual(len(os.listdir(self.directory + "/state/evidence")), 4)

    def test_evidence_that_cannot_be_kept(self):
        """No proof, no acceptance."""
        self.authority.person("alice", crl_at(self.server.url("/crl")))
        self.RULES = self.RULES + 'audit = { path = "%s/state/audit.jsonl"; };\n' % self.directory
        self.run_fetching()
        with open(self.directory + "/state/evidence", "w"):
            pass
        with MilterClient(self.daemon.target) as client:
            client.connect(ip="192.0.2.1")
            client.helo()
            result = send_message(client, self.authority.mail("alice"), "a@x.example", ["b@example.com"])[0]
        self.assertTrue(result.reply.startswith("451 4.7.5"), result.reply)

    def test_fetcher_is_replaced(self):
        mail = self.silent_authority()
        self.run_fetching(total_ms=60000)
        self.verdict(mail)
        self.assertTrue(wait_for(lambda: self.server.asked == ["/crl"]))
        first = self.fetcher()
        jobs = children(first)
        self.server.put("/crl", self.authority.crl())
        os.kill(first, signal.SIGKILL)
        self.assertTrue(wait_for(lambda: self.fetcher() not in (None, first)))
        self.assertIn("fetch process %d killed by signal 9, replaced" % first, self.daemon.logged())
        self.expect(mail, "pass", "good")               # it knows what was wanted
        self.assertTrue(wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in jobs)))

    def test_none_without_hosts(self):
        self.run_daemon()
        self.assertIsNone(self.fetcher())
        self.assertFalse(os.path.exists(self.directory + "/state/revocation"))

    def test_only_the_daemon_asks(self):
        mail = self.silent_authority()
        self.daemon = Daemon(self.directory, "")
        self.run_fetching()
        subprocess.run([daemon.MILTER, "-n", "-c", self.daemon.conf], check=True, capture_output=True)
        for command in (["verify"], ["check"]):
            subprocess.run([os.path.join(BUILDDIR, "smimectl"), "-c", self.daemon.conf] + command, input=mail,
                           capture_output=True, timeout=20)
        self.assertEqual(self.server.connections, 0)


if __name__ == "__main__":
    if len(sys.argv) > 1 and not sys.argv[1].startswith("-"):
        BUILDDIR = os.path.abspath(sys.argv.pop(1))
    daemon.MILTER = os.path.join(BUILDDIR, "smime-milter")
    sys.exit(daemon.run())
