"""The matrix of interop.sh: every format, key, padding, cipher and message shape, in every implementation at hand.

    interop.py WORK BUILDDIR TOP IMPLEMENTATION...      WORK as interop.sh filled it

An implementation that refuses a kind of message is skipped only where it refuses OpenSSL's own message of that kind
too.
"""

import base64
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

WORK, BUILD, TOP = sys.argv[1:4]
HAVE = sys.argv[4:]
sys.path.insert(0, os.path.join(TOP, "tests", "support"))
sys.dont_write_bytecode = True
import checks  # noqa: E402
import mailcheck  # noqa: E402
from checks import line, run, say  # noqa: E402
from mailcheck import read, write  # noqa: E402

PKI = os.path.join(WORK, "pki")
SMIMECTL = os.path.join(BUILD, "smimectl")
NAMES = {"openssl": "openssl cms", "gpgsm": "gpgsm", "nss": "NSS cmsutil", "bc": "Bouncy Castle"}
CIPHERS = ("aes256-cbc", "aes128-cbc", "aes256-gcm", "aes128-gcm")
TRANSPORTS = ("pkcs1", "oaep")
KEYS = ("rsa", "p256", "p384")
SIGNERS = (("rsa", "pkcs1"), ("rsa", "pss"), ("p256", "pkcs1"), ("p384", "pkcs1"))
JARS = ":".join("/usr/share/java/%s.jar" % j for j in ("bcmail", "bcpkix", "bcprov", "bcutil", "javax.mail",
                                                       "javax.activation"))
unable = {}     # (implementation, reason): what it cannot do


def path(*names):
    return os.path.join(WORK, *names)


# The gateway.

def write_config():
    rules = []
    for form in ("clear", "opaque"):
        for padding in ("pkcs1", "pss"):
            rules.append(("sign-%s-%s" % (form, padding),
                          'sign = "require"; sign_format = "%s"; sign_padding = "%s";' % (form, padding)))
    for digest in ("sha384", "sha512"):
        rules.append(("digest-" + digest, 'sign = "require"; digests = [ "%s" ];' % digest))
    for cipher in CIPHERS:
        for transport in TRANSPORTS:
            rules.append(("%s-%s" % (cipher, transport), 'encrypt = "require"; ciphers = [ "%s" ]; '
                          'key_transport = "%s";' % (cipher, transport)))
    rules.append(("both-clear", 'sign = "require"; encrypt = "require";'))
    rules.append(("both-opaque", 'sign = "require"; encrypt = "require"; sign_format = "opaque";'))
    rules.append(("triple", 'sign = "require"; encrypt = "require"; triple_wrap = true;'))
    text = "".join('  { id = "%s"; direction = "outbound"; header = { name = "X-Case"; value = "%s"; }; %s },\n'
                   % (name, name, actions) for name, actions in rules)
    write(path("site.conf"), ('socket = "local:%s/milter.sock"; state_dir = "%s"; authserv_id = "mx.example.com";\n'
                              'local_domains = [ "local.example" ];\n'
                              'collections = ( { name = "roots"; files = "%s/root.crt"; },\n'
                              '  { name = "partners"; files = [ "%s/root.crt", "%s/ca.crt" ]; } );\n'
                              'directories = ( { type = "files"; path = "%s/certs"; } );\n'
                              'keystores = ( { type = "pem"; path = "%s/keys"; } );\n'
                              'rules = (\n%s  { id = "rest"; }\n);\n'
                              % (WORK, WORK, PKI, PKI, PKI, WORK, WORK, text)).encode())


def process(case, shape, sender, recipients):
    """The original, and what the gateway made of it with CRLF lines, or None and what it said."""
    fields = ("Received: from a by b;\n\tSat, 21 Nov 2026 10:00:00 +0000\nFrom: \"A Person\"\n <%s@example.com>\n"
              "To: %s\nsubject:  %s,  with   blanks \nX-Case: %s\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n"
              "Message-ID: <%s@example.com>\n"
              % (sender, ",\n\t".join("<%s@example.com>" % r for r in recipients), shape, case, shape))
    original = mailcheck.make(shape, fields, "marker-" + shape)
    out = path("out", "%s-%s-%s-%s" % (case, shape, sender, "-".join(recipients)))
    os.makedirs(os.path.dirname(out), exist_ok=True)
    rc, _, text = run(SMIMECTL, "-c", path("site.conf"), "process", "--auth", "me", "--from",
                      sender + "@example.com", *[w for r in recipients for w in ("--rcpt", r + "@example.com")],
                      "--out", out, data=original)
    if rc != 0:
        return original, None, text
    return original, mailcheck.crlf(read(out + "/0.eml")), ""


# Implementations: each method gives "" or why it refused, and leaves the content in `out`.

class OpenSSL:
    def verify(self, message, out):
        rc, _, text = run("openssl", "cms", "-verify", "-in", message, "-CAfile", PKI + "/root.crt", "-purpose",
                          "smimesign", "-out", out)
        return "" if rc == 0 else text

    def decrypt(self, message, key, out):
        rc, _, text = run("openssl", "cms", "-decrypt", "-in", message, "-inkey", "%s/%s.key" % (PKI, key), "-recip",
                          "%s/%s.crt" % (PKI, key), "-out", out)
        return "" if rc == 0 else text


class Cut:
    """For implementations that read CMS objects and no MIME."""

    def pieces(self, message):
        raw = read(message)
        message += "." + type(self).__name__
        if mailcheck.field(raw, "Content-Type")[0].lower().startswith("multipart/signed"):
            content, der = mailcheck.cut_signed(raw)
            return write(message + ".content", content), write(message + ".der", der)
        return None, write(message + ".der", mailcheck.cms_object(raw))


class Gpgsm(Cut):
    def verify(self, message, out):
        content, der = self.pieces(message)
        if content:
            rc, _, text = run("gpgsm", "--verify", der, content)
            write(out, read(content))
        else:
            rc, _, text = run("gpgsm", "--assume-binary", "--yes", "--output", out, "--verify", der)
        return "" if rc == 0 and "Good signature" in text else text or "rc %d" % rc

    def decrypt(self, message, key, out):
        if key != "rsa" and not os.path.exists(path("elliptic." + key)):
            return "it could not import the elliptic key"
        rc, _, text = run("gpgsm", "--assume-binary", "--yes", "--pinentry-mode", "loopback", "--passphrase-fd", "0",
                          "--output", out, "--decrypt", self.pieces(message)[1], data=b"x\n")
        return "" if rc == 0 else text.rpartition("gpgsm: ")[2] or "rc %d" % rc


class Nss(Cut):
    def verify(self, message, out):
        content, der = self.pieces(message)
        rc, text, err = run("cmsutil", "-D", "-d", "sql:" + path("nss"), "-h", "1", "-i", der,
                            *(["-c", content] if content else []))
        good = rc == 0 and b"signer0.status=GoodSignature" in text
        if not content:
            rc = run("cmsutil", "-D", "-d", "sql:" + path("nss"), "-i", der, "-o", out)[0]
        else:
            write(out, read(content))
        return "" if good and rc == 0 else err or "rc %d %s" % (rc, text[:200].decode("latin-1"))

    def decrypt(self, message, key, out):
        rc, _, text = run("cmsutil", "-D", "-d", "sql:" + path("nss"), "-i", self.pieces(message)[1], "-o", out)
        return "" if rc == 0 else text.rpartition("problem decoding: ")[2] or "rc %d" % rc


class BouncyCastle:
    def __init__(self):
        self.process = subprocess.Popen(["java", "-cp", JARS, "-XX:TieredStopAtLevel=1",
                                         os.path.join(TOP, "tests", "support", "BcSmime.java")], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, *words):
        self.process.stdin.write(("\t".join(("job",) + words) + "\n").encode())
        self.process.stdin.flush()
        answer = self.process.stdout.readline().decode().rstrip("\n").split("\t")
        return "" if answer[1:] == ["ok"] else (answer + ["", "no answer"])[2] or "no answer"

    def verify(self, message, out):
        return self.ask("verify", message, PKI + "/root.crt", out)

    def decrypt(self, message, key, out):
        return self.ask("decrypt", message, "%s/%s.key" % (PKI, key), "%s/%s.crt" % (PKI, key), out)


MAKERS = {"openssl": OpenSSL, "gpgsm": Gpgsm, "nss": Nss, "bc": BouncyCastle}


# Messages of OpenSSL's command, to find out what an implementation can do at all.

PLAIN = b"Content-Type: text/plain; charset=us-ascii\r\n\r\nA control, by OpenSSL.\r\n"


def openssl_sign(key, padding, digest, form, out, content=PLAIN):
    entity = write(out + ".entity", content)
    rc, message, text = run(
        "openssl", "cms", "-sign", "-binary", "-crlfeol", "-in", entity, "-signer", "%s/%s.crt" % (PKI, key), "-inkey",
        "%s/%s.key" % (PKI, key), "-certfile", PKI + "/ca.crt", "-md", digest,
        *(["-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:digest"] if padding == "pss" else []),
        *(["-nodetach"] if form == "opaque" else []), "-from", key + "@example.com", "-to", "bob@local.example")
    if rc != 0:
        raise SystemExit("openssl cms -sign: " + text)
    return write(out, mailcheck.crlf(message))


def openssl_encrypt(keys, cipher, transport, out):
    entity = write(out + ".entity", PLAIN)
    options = []
    for key in keys:
        options += ["-recip", "%s/%s.crt" % (PKI, key), "-keyopt"]
        options += ["ecdh_kdf_md:sha256"] if key != "rsa" else ["rsa_padding_mode:" + transport]
    rc, message, text = run("openssl", "cms", "-encrypt", "-binary", "-in", entity,
                            "-" + cipher[:3] + "-" + cipher[3:], "-stream", *options)
    if rc != 0:
        raise SystemExit("openssl cms -encrypt: " + text)
    return write(out, mailcheck.crlf(message))


def report(name, what, bad, total, control):
    """bad: [(shape, why)]."""
    text = "%s: %s" % (NAMES[name], what)
    if total == 0:
        return          # the gateway made none, and has been blamed for it
    if not bad:
        say(True, "%s (%d messages)" % (text, total))
        return
    why = control() if len(bad) == total and name != "openssl" else ""
    if why:
        unable.setdefault((NAMES[name], why), []).append(what)
    else:
        say(False, text, "; ".join("%s: %s" % b for b in bad[:4])[:600])


def check_form(original, message, form):
    """What anybody sees from outside: fields kept, the right types."""
    if mailcheck.others(original) != mailcheck.others(message):
        return "a field has changed"
    if any(b > 127 for b in message):
        return "not 7-bit"
    kind = mailcheck.field(message, "Content-Type")
    wanted = "multipart/signed" if form == "clear" else "application/pkcs7-mime"
    if len(kind) != 1 or not kind[0].lower().startswith(wanted):
        return "Content-Type: %s" % kind
    if len(mailcheck.field(message, "MIME-Version")) != 1:
        return "MIME-Version is not there exactly once"
    return ""


# What the gateway signs.

def make_signed(key, padding, form):
    made, bad = {}, []
    for shape in mailcheck.SHAPES:
        original, message, why = process("sign-%s-%s" % (form, padding), shape, key, ["stranger"])
        why = why or check_form(original, message, form)
        if why:
            bad.append((shape, why))
        else:
            made[shape] = original, write(path("signed", "%s-%s-%s-%s.eml" % (key, padding, form, shape)), message)
    say(not bad, "gateway signs %s %s %s (%d shapes)" % (key, padding, form, len(made)), "; ".join(map(str, bad)))
    return made


def judge_content(shape, original, content, clear):
    wrong = mailcheck.is_canonical(content, clear)
    return wrong or mailcheck.same(original, content, shape in mailcheck.STRICT)


def verify_signed(name, implementation, signed):
    for (key, padding, form), made in signed.items():
        bad = []
        for shape, (original, message) in made.items():
            out = "%s.%s" % (message, name)
            why = implementation.verify(message, out)
            if not why and name == "nss":
                write(out, mailcheck.crlf(read(out)))
            why = why or judge_content(shape, original, read(out), form == "clear")
            if why:
                bad.append((shape, why))

        def control(key=key, padding=padding, form=form):
            digest = "sha384" if key == "p384" else "sha256"
            out = path("control", "%s-%s-%s-%s" % (name, key, padding, form))
            message = openssl_sign(key, padding, digest, form, out)
            return implementation.verify(message, message + ".out")
        report(name, "verifies %s %s %s" % (key, padding, form), bad, len(made), control)
    verify_forged(name, implementation)


def verify_forged(name, implementation):
    """That an implementation says yes means something only where it can say no."""
    message = openssl_sign("rsa", "pkcs1", "sha256", "clear", path("control", name + "-forged"))
    write(message, read(message).replace(b"A control", b"A forgery"))
    say(implementation.verify(message, message + ".out") != "", NAMES[name] + ": refuses a forged message")


def test_digests():
    for key in ("rsa", "p256"):
        for digest in ("sha384", "sha512"):
            _, message, why = process("digest-" + digest, "ascii", key, ["stranger"])
            if message:
                file = write(path("signed", "%s-%s.eml" % (key, digest)), message)
                micalg = "micalg=%s" % digest.replace("sha", "sha-")
                why = OpenSSL().verify(file, file + ".out") or ("" if micalg.encode() in message else "no " + micalg)
            say(not why, "gateway signs with %s, %s" % (key, digest), why)


# What the gateway encrypts.

def envelopes():
    """((cipher, transport, recipients), shapes): every shape where the cipher is a default, else a few."""
    few = ("ascii", "utf8-8bit", "attachments", "large")
    for cipher in CIPHERS:
        for transport in TRANSPORTS:
            for recipients in (("rsa",), ("p256",), ("p384",), KEYS):
                if transport == "oaep" and "rsa" not in recipients:
                    continue
                every = cipher.startswith("aes256") and transport == "pkcs1" and recipients in (("rsa",), KEYS)
                yield (cipher, transport, recipients), (tuple(mailcheck.SHAPES) if every else few)


def make_encrypted(case, shapes):
    cipher, transport, recipients = case
    made, bad = {}, []
    for shape in shapes:
        original, message, why = process("%s-%s" % (cipher, transport), shape, "rsa", recipients)
        why = why or check_form(original, message, "opaque")
        kind = "authEnveloped-data" if cipher.endswith("gcm") else "enveloped-data"
        if not why and "smime-type=%s" % kind not in mailcheck.field(message, "Content-Type")[0]:
            why = "not smime-type=%s" % kind
        if why:
            bad.append((shape, why))
        else:
            name = "%s-%s-%s-%s.eml" % (cipher, transport, "+".join(recipients), shape)
            made[shape] = original, write(path("encrypted", name), message)
    say(not bad, "gateway encrypts %s %s to %s" % (cipher, transport, "+".join(recipients)), "; ".join(map(str, bad)))
    return made


def entity_of(shape, signed):
    """The canonical entity: what the gateway signs opaquely, as OpenSSL gives it back."""
    return read(signed["rsa", "pkcs1", "opaque"][shape][1] + ".openssl")


def decrypt_encrypted(name, implementation, encrypted, signed):
    for (cipher, transport, recipients), made in encrypted.items():
        for key in recipients:
            bad = []
            for shape, (original, message) in made.items():
                out = "%s.%s.%s" % (message, name, key)
                why = implementation.decrypt(message, key, out)
                if not why and read(out) != entity_of(shape, signed):
                    why = "another entity than the canonical one"
                if why:
                    bad.append((shape, why))

            def control(cipher=cipher, transport=transport, recipients=recipients, key=key):
                out = path("control", "%s-%s-%s-%s" % (name, cipher, transport, "+".join(recipients)))
                message = openssl_encrypt(recipients, cipher, transport, out)
                return implementation.decrypt(message, key, message + ".out")
            crowd = " among mixed recipients" if len(recipients) > 1 else ""
            what = "decrypts %s %s with key %s" % (cipher, (transport if "rsa" in recipients else "ecdh") + crowd, key)
            report(name, what, bad, len(made), control)


def test_both(implementations):
    """Signed, then encrypted; and signed once more."""
    for case, key in (("both-clear", "rsa"), ("both-opaque", "p256"), ("triple", "rsa")):
        for shape in ("attachments", "utf8-8bit"):
            original, message, why = process(case, shape, key, ["rsa"])
            if why:
                say(False, "gateway does %s" % case, why)
                continue
            file = write(path("both", "%s-%s.eml" % (case, shape)), message)
            for name, implementation in implementations.items():
                if key == "p256" and name == "nss":
                    continue
                say_layers(name, implementation, case, shape, original, file)


def say_layers(name, implementation, case, shape, original, file):
    why, now = "", file
    for i, layer in enumerate(("verify",) * (case == "triple") + ("decrypt", "verify")):
        out = "%s.%s.%d" % (file, name, i)
        why = why or (implementation.verify(now, out) if layer == "verify" else implementation.decrypt(now, "rsa", out))
        now = out
    why = why or mailcheck.same(original, read(now))
    say(not why, "%s: reads %s, %s" % (NAMES[name], case, shape), why)


# What others sign.

ENTITY = ("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
          "Signed elsewhere, gr=C3=BC=C3=9Fe.\r\n").encode()
HTML = b"Content-Type: text/html; charset=us-ascii\r\n\r\n<p>Signed elsewhere</p>\r\n"
FILE = (b'Content-Type: application/pdf; name="a.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        b'Content-Disposition: attachment;\r\n\tfilename="a.pdf"\r\n\r\n'
        + base64.encodebytes(bytes(range(256)) * 20).replace(b"\n", b"\r\n"))
MESSAGE = b"Content-Type: message/rfc822\r\n\r\nFrom: <x@else.example>\r\nSubject: forwarded\r\n\r\nIts text\r\n"


def multipart(kind, *parts):
    return (b'Content-Type: multipart/%s; boundary="=_%s"\r\n\r\nOf old.\r\n' % (kind, kind) +
            b"".join(b"--=_%s\r\n%s\r\n" % (kind, part) for part in parts) + b"--=_%s--\r\n" % kind)


# What is signed in the clear and opaquely by each implementation, with its RSA key and SHA-256.
CONTENTS = {
    "alternative": multipart(b"alternative", ENTITY, HTML),
    "attachment": multipart(b"mixed", ENTITY, FILE),
    "attachments in parts": multipart(
        b"mixed", multipart(b"alternative", ENTITY, multipart(b"related", HTML, FILE)), FILE),
    "forwarded message": multipart(b"mixed", ENTITY, MESSAGE),
    "blank lines": b"Content-Type: text/plain\r\n\r\nSigned elsewhere\r\n\r\n \t\r\n\r\n",
    "no newline at the end": b"Content-Type: text/plain\r\n\r\nSigned elsewhere\r\n-- \r\nX",
    "no header": b"\r\nSigned elsewhere\r\n.\r\nFrom me\r\n",
}


def wrap(form, digest, entity, der, sender):
    head = "From: <%s@example.com>\r\nTo: <bob@local.example>\r\nSubject: x\r\nMIME-Version: 1.0\r\n" % sender
    text = base64.encodebytes(der).replace(b"\n", b"\r\n")
    if form == "opaque":
        return (head + "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
                "Content-Transfer-Encoding: base64\r\n\r\n").encode() + text
    return (head + 'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=%s;\r\n'
            ' boundary="b 1"\r\n\r\nNot for MIME readers.\r\n--b 1\r\n' % digest.replace("sha", "sha-")).encode() + (
            entity + b"\r\n--b 1\r\nContent-Type: application/pkcs7-signature\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + text + b"--b 1--\r\n")


def sign_gpgsm(key, padding, digest, form, out, content):
    entity = write(path("others", "gpgsm.entity"), content)
    rc, der, text = run("gpgsm", "--pinentry-mode", "loopback", "--passphrase-fd", "0", "-u", "<%s@example.com>" % key,
                        "--digest-algo", digest.upper(), "--include-certs", "-1", "--sign",
                        *(["--detach-sign"] if form == "clear" else []), entity, data=b"x\n")
    return (text, None) if rc != 0 else ("", write(out, wrap(form, digest, content, der, key)))


def sign_nss(key, padding, digest, form, out, content):
    entity = write(path("others", "nss.entity"), content)
    rc, der, text = run("cmsutil", "-S", "-d", "sql:" + path("nss"), "-N", key, "-H", digest.upper(), "-G", "-i",
                        entity, *(["-T"] if form == "clear" else []))
    return (text, None) if rc != 0 else ("", write(out, wrap(form, digest, content, der, key)))


def sign_openssl(key, padding, digest, form, out, content):
    return "", openssl_sign(key, padding, digest, form, out, content)


def sign_others(implementations):
    def sign_bc(key, padding, digest, form, out, content):
        entity = write(path("others", "bc.entity"), content)
        why = implementations["bc"].ask("sign", form, digest, padding, "%s/%s.key" % (PKI, key),
                                        "%s/%s.crt" % (PKI, key), PKI + "/ca.crt", entity, out, key + "@example.com")
        return why, out

    signers = {"openssl": (sign_openssl, SIGNERS), "gpgsm": (sign_gpgsm, (("rsa", "pkcs1"),)),
               "nss": (sign_nss, (("rsa", "pkcs1"), ("p256", "pkcs1"), ("p384", "pkcs1"))), "bc": (sign_bc, SIGNERS)}
    total = 0
    for name in implementations:
        sign, keys = signers[name]
        for form in ("clear", "opaque"):
            for key, padding in keys:
                what = [(digest, digest, ENTITY) for digest in ("sha256", "sha384", "sha512")]
                total += judge_signer(name, sign, key, padding, form, "each digest", what)
            what = [(content, "sha256", CONTENTS[content]) for content in CONTENTS]
            total += judge_signer(name, sign, "rsa", "pkcs1", form, "each content", what)
    say(total >= 40 or len(implementations) < len(NAMES), "smimectl: %d shapes that others signed pass" % total,
        "at least 40 should")


def judge_signer(name, sign, key, padding, form, each, what):
    """How many of what, (name, digest, content), pass as they should."""
    bad = []
    for shape, digest, content in what:
        out = path("others", "%s-%s-%s-%s-%s.eml" % (name, key, padding, form, shape.replace(" ", "-")))
        why, message = sign(key, padding, digest, form, out, content)
        if not why:
            why = judge_verdict(read(message), digest)
        if why:
            bad.append((shape, why))
    say(not bad, "smimectl: verifies %s, %s %s %s, %s" % (NAMES[name], key, padding, form, each),
        "; ".join(map(str, bad)))
    return len(what) - len(bad)


def judge_verdict(message, digest):
    rc, text, err = run(SMIMECTL, "-c", path("site.conf"), "verify", "--collection", "roots", "--json", data=message)
    try:
        verdict = json.loads(text)
    except ValueError:
        return "rc %d %s" % (rc, err)
    if rc != 0 or verdict["result"] != "pass" or verdict["layers"][0]["digest"] != digest:
        return "rc %d %s %s" % (rc, verdict["result"], verdict.get("reason"))
    if b"multipart/signed" in message:
        tampered = message.replace(b"Signed elsewhere", b"Signed nowhere! ")
        rc, text, _ = run(SMIMECTL, "-c", path("site.conf"), "verify", "--collection", "roots", "--json", data=tampered)
        if rc != 1 or json.loads(text)["result"] != "fail" or json.loads(text)["layers"][0]["integrity"] != "bad":
            return "tampered, rc %d: %s" % (rc, text[:200])
    return ""


def main():
    write_config()
    implementations = {name: MAKERS[name]() for name in HAVE}
    cases = [(key, padding, form) for key, padding in SIGNERS for form in ("clear", "opaque")]
    with ThreadPoolExecutor(max_workers=2) as pool:
        signed = dict(zip(cases, pool.map(lambda case: make_signed(*case), cases)))
        wanted = list(envelopes())
        encrypted = dict(zip([w[0] for w in wanted], pool.map(lambda w: make_encrypted(*w), wanted)))
    test_digests()
    verify_signed("openssl", implementations["openssl"], signed)
    with ThreadPoolExecutor(max_workers=3) as pool:
        jobs = [pool.submit(verify_signed, name, implementations[name], signed) for name in HAVE if name != "openssl"]
        jobs.append(pool.submit(decrypt_encrypted, "openssl", implementations["openssl"], encrypted, signed))
        for job in jobs:
            job.result()
        jobs = [pool.submit(decrypt_encrypted, name, implementations[name], encrypted, signed)
                for name in HAVE if name != "openssl"]
        for job in jobs:
            job.result()
    test_both(implementations)
    sign_others(implementations)
    for (name, why), what in unable.items():
        text = what[0] + (" and %d kinds more" % (len(what) - 1) if len(what) > 1 else "")
        line("skip - %s: %s: refuses OpenSSL's own messages of this kind too: %s" % (name, text, why))
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
