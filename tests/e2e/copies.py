"""Who gets which copy of a mail: a table of mails and of what must become of each, written by hand.

    copies.py WORK TOP make AGAINPORT LOOPPORT DEADPORT | table OUT IN AGAIN | loop OUT AGAIN | lock OUT AGAIN

The gateway is not asked what it wants to do. Signatures and envelopes are judged by openssl, MIME by Python's email
package. exactly_once.py takes the people and the judges from here.
"""

import glob
import os
import re
import smtplib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

WORK, TOP = sys.argv[1], sys.argv[2]
sys.path.insert(0, os.path.join(TOP, "tests", "support"))
sys.dont_write_bytecode = True
import checks  # noqa: E402
import mailcheck  # noqa: E402
from checks import run, say  # noqa: E402
from mailcheck import read, write  # noqa: E402


def path(*names):
    return os.path.join(WORK, *names)


# Who there is: a short name, an address, and whether there is a certificate. The domain says which rule it is.

PEOPLE = {}


def people(domain, known, unknown=""):
    for name in known.split() + unknown.split():
        PEOPLE[name] = ("%s@%s" % (name, domain), name in known.split())


people("partner.example", "p1 p2 p3 p4 p5 p6 p7 p8", "pn")
people("drop.example", "d1 d2", "dn1 dn2")
people("later.example", "l1", "ln")
people("maybe.example", "m1 m2", "mn1 mn2")
people("together.example", "t1 t2 t3")
people("forked.example", "f1 f2 f3")
people("escrow.example", "e1 e2")
people("gcm.example", "g1 g2")
people("hub.example", "gate", "h1 h2")
people("dom.example", "c2", "c1")
people("keyid.example", "k1 k2")
people("signed.example", "s1", "s2")
people("plain.example", "", "o1 o2")
people("down.example", "", "x1")
people("downmaybe.example", "", "y1")
people("downdrop.example", "", "z1")
people("locked.example", "v1")
people("wrapped.example", "w1 w2")
people("example.com", "alice esc", "bob carl nokey")
PEOPLE["authority"] = ("domain-confidentiality-authority@dom.example", True)
PEOPLE["quoted"] = ('"q u"@plain.example', False)
PEOPLE["joerg"] = ("j\u00f6rg@plain.example", False)
# Spelt as the client spells it; they are who they are.
for name, spelling in (("P1", "p1@Partner.EXAMPLE"), ("P2", "P2@partner.example"), ("P3", '"p3"@PARTNER.example'),
                       ("O1", "o1@PLAIN.example"), ("O2", "O2@plain.example")):
    PEOPLE[name] = (spelling, False)
PEOPLE["idn"] = ("o1@b\u00fccher.example", False)
ADDRESS = {name: address for name, (address, _) in PEOPLE.items()}


def person(name, suffix):
    return path("pki", "ca", name + suffix)


def shell(function, *arguments):
    rc, _, text = run("bash", "-c", '. "$0"; "$@"', os.path.join(TOP, "tests", "support", "people.sh"), function,
                      *arguments)
    if rc != 0:
        raise SystemExit("%s %s: %s" % (function, " ".join(arguments), text))


def make_people(names):
    shell("new_ca", path("pki", "ca"), "example")
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(lambda name: shell("new_person", path("pki", "ca"), name, ADDRESS[name],
                                         "rsa" if name in ("p1", "gate") else "p256"), names))
    for name in names:
        write(path("certs", name + ".crt"), read(person(name, ".crt")))
    os.makedirs(path("keys"), 0o700)
    write(path("keys", "alice.pem"), read(person("alice", ".pem")))
    os.chmod(path("keys", "alice.pem"), 0o600)


RULES = """
  { id = "internal"; direction = "internal"; },
  { id = "drop"; recipient = "*@drop.example"; sign = "if-key"; encrypt = "require";
    no_certificate = "drop-recipient"; },
  { id = "later"; recipient = "*@later.example"; sign = "if-key"; encrypt = "require"; no_certificate = "tempfail"; },
  { id = "maybe"; recipient = [ "*@maybe.example", "*@downmaybe.example" ]; sign = "if-key"; encrypt = "if-possible"; },
  { id = "together"; recipient = "*@together.example"; sign = "if-key"; encrypt = "require"; bcc = "together"; },
  { id = "forked"; recipient = "*@forked.example"; sign = "if-key"; encrypt = "require"; bcc = "fork-together"; },
  { id = "escrow"; recipient = "*@escrow.example"; sign = "if-key"; encrypt = "require";
    additional_recipients = [ "esc@example.com", "sender" ]; },
  { id = "gcm"; recipient = "*@gcm.example"; sign = "if-key"; encrypt = "require"; ciphers = [ "aes256-gcm" ]; },
  { id = "hub"; recipient = "*@hub.example"; sign = "if-key"; encrypt = "require";
    encrypt_to = [ "gate@hub.example" ]; },
  { id = "domain"; recipient = "*@dom.example"; sign = "if-key"; encrypt = "require";
    encrypt_to = [ "recipient", "domain" ]; },
  { id = "keyid"; recipient = "*@keyid.example"; sign = "if-key"; encrypt = "require";
    recipient_identifier = "key-id"; },
  { id = "signed"; recipient = "*@signed.example"; sign = "require"; },
  { id = "plain"; recipient = [ "*@plain.example", "*@b\u00fccher.example" ]; },
  { id = "wrapped"; recipient = "*@wrapped.example"; sign = "if-key"; encrypt = "require"; wrap_protected = true; },
  { id = "downdrop"; recipient = "*@downdrop.example"; encrypt = "require"; no_certificate = "drop-recipient"; },
  { id = "partner"; sign = "if-key"; encrypt = "require"; }
"""

CONFIG = """
socket = "local:%(work)s/run/%(name)s.sock"; socket_mode = "0666"; user = "%(user)s";
state_dir = "%(work)s/state-%(name)s"; workers = 2; authserv_id = "mx.example.com"; local_domains = [ "example.com" ];
originating = [ "ORIGINATING" ];
limits = { body_in_memory_kb = 2; copies = 6; deadline_s = %(deadline)s; };
collections = ( { name = "all"; files = [ "%(work)s/pki/ca/root.crt", "%(work)s/pki/ca/ca.crt" ]; } );
directories = ( { type = "files"; path = "%(work)s/certs"; },
  { type = "ldap"; uri = "ldap://127.0.0.1:%(dead)s/"; base = "dc=example,dc=com"; filter = "(mail=%%{address})";
    domains = [ "down.example", "downmaybe.example", "downdrop.example" ]; timeout_ms = 2000; } );
keystores = ( { type = "pem"; path = "%(work)s/keys"; } );
reinject = { to = "inet:127.0.0.1:%(again)s"; };
triggers = { header = "X-SMIME-Encrypt"; subject_tag = "[encrypt]"; };
rules = ( %(rules)s );
"""


def write_config(name, again, dead, deadline=60, user="nobody"):
    write(path(name + ".conf"), CONFIG % {"work": WORK, "name": name, "again": again, "dead": dead, "rules": RULES,
                                          "deadline": deadline, "user": user})


# What is sent, and what has to become of it.

class Mail:
    """gets: {"names": how they get it}: P plain, S signed, E encrypted, SE both, each followed by the names of those
    whose certificates the envelope shows and nobody else's; "-" nothing. A reply's beginning in place of it: refused,
    and nobody gets anything. dsn: those whom the one report to the sender names."""

    def __init__(self, what, to, hidden, gets, **given):
        self.what = what
        self.to = to.split()
        self.recipients = given.pop("order", to + " " + hidden).split()
        self.refused = gets if isinstance(gets, str) else None
        self.gets = {} if self.refused else {name: how for names, how in gets.items() for name in names.split()}
        self.dsn = given.pop("dsn", "").split()
        self.names = given.pop("names", "").split()             # whom the refusal names
        self.shape = given.pop("shape", "ascii")
        self.sender = given.pop("sender", ADDRESS["alice"])
        self.writer = given.pop("writer", ADDRESS["alice"])     # From
        self.fields = given.pop("fields", "")
        self.field = given.pop("field", "To")                   # where those of `to` stand
        self.tag = given.pop("tag", "")
        self.gone = given.pop("gone", "")                       # must not arrive
        self.route = given.pop("route", "out")
        self.mail_args = given.pop("mail_args", [])
        self.rcpt_args = given.pop("rcpt_args", {})
        self.success = given.pop("success", "").split()         # of whom Postfix tells that they have it
        self.same = given.pop("same", "").split()               # who share one transaction
        self.cipher = given.pop("cipher", {})
        assert not given, given
        assert self.refused or sorted(self.gets) == sorted(set(self.recipients)), what
        self.id = self.answer = ""
        self.raw = b""

    def write(self, number):
        self.id = "copy-%02d" % number
        visible = ",\r\n ".join("<%s>" % ADDRESS[name] for name in self.to) or "undisclosed-recipients:;"
        fields = ("X-Test-Id: %s\nFrom: \"Sender, a\" <%s>\n%s: %s\nSubject: %ssecretsubject %s\n"
                  "Date: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-ID: <%s@example.com>\n%s"
                  % (self.id, self.writer, self.field, visible, self.tag, self.id, self.id, self.fields))
        self.raw = mailcheck.crlf(mailcheck.make(self.shape, fields, "secretmarker"))


NEVER, BOTH = ["NOTIFY=NEVER"], ["NOTIFY=SUCCESS,FAILURE"]
MANY = "".join("X-Many-%d: x\n" % i for i in range(30))

TABLE = [
    # Groups.
    Mail("one", "p1", "", {"p1": "SE p1"}),
    Mail("two with equal decisions share", "p1 p2", "", {"p1 p2": "SE p1 p2"}, same="p1 p2"),
    Mail("a certificate and none, if-possible", "m1 mn1", "", {"m1": "SE m1", "mn1": "S"}),
    Mail("the plaintext one comes first", "mn1 m1", "", {"m1": "SE m1", "mn1": "S"}),
    Mail("two and two", "m1 mn1 m2 mn2", "", {"m1 m2": "SE m1 m2", "mn1 mn2": "S"}, same="mn1 mn2"),
    Mail("encrypted and plain", "p1 o1", "", {"p1": "SE p1", "o1": "P"}),
    Mail("plain and encrypted", "o1 p1", "", {"p1": "SE p1", "o1": "P"}),
    Mail("signed and plain", "s1 o1", "", {"s1": "S", "o1": "P"}),
    Mail("signed, plain, encrypted", "s1 o1 p1", "", {"s1": "S", "o1": "P", "p1": "SE p1"}),
    Mail("inside and outside", "bob p1", "", {"bob": "P", "p1": "SE p1"}),
    Mail("outside and two inside", "p1 bob carl", "", {"bob carl": "P", "p1": "SE p1"}, same="bob carl"),
    Mail("other ciphers are another group", "g1 p1", "", {"g1": "SE g1", "p1": "SE p1"},
         cipher={"g1": "aes-256-gcm", "p1": "aes-256-cbc"}),
    Mail("the same ciphers", "g1 g2", "", {"g1 g2": "SE g1 g2"}, cipher={"g1": "aes-256-gcm"}),
    Mail("a writer without key", "p1 o1", "", {"p1": "E p1", "o1": "P"}, sender=ADDRESS["nokey"],
         writer=ADDRESS["nokey"]),
    Mail("a path in quotes", "p1 quoted", "", {"p1": "SE p1", "quoted": "P"}),
    Mail("a path in quotes has the copy", "quoted p1", "", {"p1": "SE p1", "quoted": "P"}, order="p1 quoted"),
    Mail("an address beyond ASCII", "p1 joerg", "", {"p1": "SE p1", "joerg": "P"}, mail_args=["SMTPUTF8"]),
    Mail("an address beyond ASCII keeps the original", "joerg p1", "", {"p1": "SE p1", "joerg": "P"},
         mail_args=["SMTPUTF8"]),
    Mail("a domain in capitals has the copy", "p1", "O1", {"p1": "SE p1", "O1": "P"}),
    Mail("a local part in capitals has the copy", "p1", "O2", {"p1": "SE p1", "O2": "P"}),
    Mail("capitals, hidden", "o1", "P1 P2", {"P1": "SE p1", "P2": "SE p2", "o1": "P"}),
    Mail("quotes without need", "o1", "P3", {"P3": "SE p3", "o1": "P"}),
    Mail("a domain beyond ASCII has the copy", "p1", "idn", {"p1": "SE p1", "idn": "P"}, mail_args=["SMTPUTF8"]),
    # Bcc.
    Mail("Bcc: one", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"}),
    Mail("Bcc: each his own", "p1", "p2 p3", {"p1": "SE p1", "p2": "SE p2", "p3": "SE p3"}),
    Mail("Bcc: nobody is visible", "", "p1 p2", {"p1": "SE p1", "p2": "SE p2"}),
    Mail("Bcc: the hidden one comes first", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"}, order="p2 p1"),
    Mail("Cc is visible", "p1 p2", "p3", {"p1 p2": "SE p1 p2", "p3": "SE p3"}, field="Cc"),
    Mail("Resent-To is visible", "p1 p2", "", {"p1 p2": "SE p1 p2"}, field="Resent-To"),
    Mail("Resent-Cc is visible", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"}, field="Resent-Cc"),
    Mail("Reply-To is not", "p1", "", {"p1": "SE p1", "p2": "SE p2"}, order="p1 p2",
         fields="Reply-To: p2@partner.example\n"),
    Mail("members of a group are visible", "p1", "", {"p1": "SE p1 p2", "p2": "SE p1 p2"}, order="p1 p2",
         fields="Cc: Friends: <p2@partner.example>;\n"),
    Mail("Bcc: all hidden ones together", "f1", "f2 f3", {"f1": "SE f1", "f2 f3": "SE f2 f3"}, same="f2 f3"),
    Mail("Bcc: nobody is visible, together", "", "f1 f2", {"f1 f2": "SE f1 f2"}, same="f1 f2"),
    Mail("Bcc: no difference", "t1", "t2 t3", {"t1 t2 t3": "SE t1 t2 t3"}, same="t1 t2 t3"),
    Mail("Bcc: each rule its way", "p1 f1", "p2 f2 f3",
         {"p1": "SE p1", "p2": "SE p2", "f1": "SE f1", "f2 f3": "SE f2 f3"}),
    Mail("Bcc: what is plain is not forked", "o1", "o2", {"o1 o2": "P"}, same="o1 o2"),
    Mail("Bcc: what is signed is not forked", "s1", "s2", {"s1 s2": "S"}, same="s1 s2"),
    Mail("Bcc: key ids", "k1", "k2", {"k1": "SE k1", "k2": "SE k2"}),
    Mail("Bcc: inside, and outside", "bob", "p1", {"bob": "P", "p1": "SE p1"}),
    Mail("Bcc: the same one twice", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"}, order="p1 p2 p2"),
    Mail("visible, and twice", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"}, order="p1 p1 p2"),
    Mail("as many copies as allowed", "p1", "p2 p3 p4 p5 p6 p7", {"p%d" % i: "SE p%d" % i for i in range(1, 8)}),
    Mail("too many copies", "p1", "p2 p3 p4 p5 p6 p7 p8", "550 5.7.0"),
    # No certificate, and no answer.
    Mail("reject: all are refused", "p1 pn o1", "", "550 5.7.5", names="pn"),
    Mail("drop-recipient", "d1 dn1", "", {"d1": "SE d1", "dn1": "-"}, dsn="dn1"),
    Mail("drop-recipient: two, and the others go on", "dn1 d1 o1 dn2 d2", "",
         {"d1 d2": "SE d1 d2", "o1": "P", "dn1 dn2": "-"}, dsn="dn1 dn2"),
    Mail("drop-recipient, and what goes on is plain", "dn1 o1", "", {"o1": "P", "dn1": "-"}, dsn="dn1"),
    Mail("drop-recipient: nobody is left", "dn1 dn2", "", "550 5.7.5", names="dn1 dn2"),
    Mail("drop-recipient: the null sender is not told", "d1 dn1", "", {"d1": "E d1", "dn1": "-"}, sender=""),
    Mail("drop-recipient: NOTIFY=NEVER", "d1 dn1", "", {"d1": "SE d1", "dn1": "-"}, rcpt_args={"dn1": NEVER}),
    Mail("drop-recipient: told of one, not of the other", "d1 dn1 dn2", "", {"d1": "SE d1", "dn1 dn2": "-"}, dsn="dn2",
         rcpt_args={"dn1": ["NOTIFY=SUCCESS"], 
                    "dn2": ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;first+2Bname@old.example"]},
         mail_args=["RET=FULL", "ENVID=QQ+2B314"]),
    Mail("drop-recipient, hidden", "d1", "dn1", {"d1": "SE d1", "dn1": "-"}, dsn="dn1"),
    Mail("tempfail", "l1 ln p1", "", "451 4.7.5", names="ln"),
    Mail("no directory: require", "p1 x1", "", "451 4.4.3"),
    Mail("no directory: if-possible", "m1 y1", "", "451 4.4.3"),
    Mail("no directory: nobody is dropped", "d1 z1", "", "451 4.4.3"),
    Mail("no directory comes before none", "pn x1", "", "451 4.4.3"),
    # Others who can read it.
    Mail("escrow, and the sender", "e1", "", {"e1": "SE e1 esc alice"}),
    Mail("escrow: two", "e1 e2", "", {"e1 e2": "SE e1 e2 esc alice"}),
    Mail("escrow: Bcc", "e1", "e2", {"e1": "SE e1 esc alice", "e2": "SE e2 esc alice"}),
    Mail("a gateway's certificate", "h1 p1", "", {"h1 p1": "SE gate p1"}),
    Mail("a gateway's certificate, for two", "h1 h2", "", {"h1 h2": "SE gate"}),
    Mail("escrow is the recipient", "e1", "", {"e1": "SE e1 esc alice"}, order="e1 e1"),
    Mail("a gateway's certificate, hidden", "p1", "h1", {"h1": "SE gate", "p1": "SE p1"}),
    Mail("his own, and his domain's", "c1 c2", "", {"c1 c2": "SE c2 authority"}),
    # Triggers.
    Mail("asked for by a field", "s1 p1", "", {"s1 p1": "SE p1 s1"}, fields="X-SMIME-Encrypt: yes\n",
         gone="X-SMIME-Encrypt"),
    Mail("asked for, and none", "s1 o1", "", "550 5.7.5", fields="X-SMIME-Encrypt: yes\n", names="o1"),
    Mail("asked for in the subject", "m1", "m2", {"m1": "SE m1", "m2": "SE m2"}, tag="[encrypt] ", gone="[encrypt]"),
    Mail("asked for in the subject, and none", "m1 mn1", "", "550 5.7.5", tag="[encrypt] ", names="mn1"),
    Mail("not asked for", "s1 o1", "", {"s1": "S", "o1": "P"}, fields="X-SMIME-Encrypt: no\n", gone="X-SMIME-Encrypt"),
    Mail("a stranger asks", "bob carl", "", {"bob carl": "P"}, fields="X-SMIME-Encrypt: yes\n", route="in",
         sender="x@else.example", writer="x@else.example"),
    # Content and parameters of copies.
    Mail("8-bit", "p1 o1", "", {"p1": "SE p1", "o1": "P"}, shape="utf8-8bit"),
    Mail("8-bit, undeclared", "o1 p1", "p2", {"p1": "SE p1", "p2": "SE p2", "o1": "P"}, shape="utf8-undeclared"),
    Mail("long lines", "p1 o1", "p2", {"p1": "SE p1", "p2": "SE p2", "o1": "P"}, shape="long-line"),
    Mail("dots and From", "p1 o1", "p2", {"p1": "SE p1", "p2": "SE p2", "o1": "P"}, shape="from-line"),
    Mail("dots and From, in the copy", "o1 p1", "", {"p1": "SE p1", "o1": "P"}, shape="from-line"),
    Mail("attachments", "p1 o1", "p2", {"p1": "SE p1", "p2": "SE p2", "o1": "P"}, shape="attachments"),
    Mail("large", "p1 o1", "p2", {"p1": "SE p1", "p2": "SE p2", "o1": "P"}, shape="large"),
    Mail("an empty body", "p1 o1", "", {"p1": "SE p1", "o1": "P"}, shape="empty"),
    Mail("no end of line", "p1 o1", "", {"p1": "SE p1", "o1": "P"}, shape="no-final-newline"),
    Mail("many fields", "p1 o1", "", {"p1": "SE p1", "o1": "P"}, fields=MANY),
    Mail("parameters: of each copy", "p1", "p2", {"p1": "SE p1", "p2": "SE p2"},
         mail_args=["RET=HDRS", "ENVID=QQ+2B314"],
         rcpt_args={n: BOTH + ["ORCPT=rfc822;first+2Bname@old.example"] for n in ("p1", "p2")}, success="p1 p2"),
    Mail("parameters: of one copy", "p1 o1", "", {"p1": "SE p1", "o1": "P"}, mail_args=["RET=HDRS", "ENVID=QQ+2B314"],
         rcpt_args={"o1": BOTH + ["ORCPT=rfc822;first+2Bname@old.example"], "p1": NEVER}, success="o1"),
    Mail("the null sender", "p1", "p2", {"p1": "E p1", "p2": "E p2"}, sender=""),
]


# Sending.

XCLIENT = {"out": "", "in": "NAME=client.else.example ADDR=198.51.100.7"}


def send(mail, port):
    """The answer to the text, or to what was refused before."""
    with smtplib.SMTP("127.0.0.1", port, "client.test", timeout=60) as smtp:
        smtp.ehlo()
        if XCLIENT[mail.route]:
            smtp.docmd("XCLIENT", XCLIENT[mail.route])
            smtp.ehlo()
        if "SMTPUTF8" in mail.mail_args:
            smtp.command_encoding = "utf-8"
        steps = ["MAIL FROM:<%s> BODY=8BITMIME %s" % (mail.sender, " ".join(mail.mail_args))]
        steps += ["RCPT TO:<%s> %s" % (ADDRESS[r], " ".join(mail.rcpt_args.get(r, []))) for r in mail.recipients]
        for step in steps:
            code, text = smtp.docmd(step.strip())
            if code != 250:
                return "%s: %d %s" % (step, code, text.decode())
        code, text = smtp.data(mail.raw)
        return "%d %s" % (code, text.decode())


def arrived():
    """{address, in small letters: {test id: [raw]}}, with reports under "report " and the id."""
    found = {}
    for name in glob.glob(path("postfix", "mail", "*", "*", "*.eml")):
        domain, user = name.split(os.sep)[-3:-1]
        raw = mailcheck.crlf(read(name))
        own = mailcheck.field(raw, "X-Test-Id")
        about = re.search(rb"Message-I[dD]: <([^@>]*)@example.com>", raw)
        key = own[0] if own else "report " + (about[1].decode() if about else "?")
        found.setdefault((user + "@" + domain).lower(), {}).setdefault(key, []).append(raw)
    return found


def log_lines():
    return read(path("copies.log")).decode().splitlines()


def queue_is_empty():
    rc, out, _ = run("postqueue", "-c", path("postfix", "postfix"), "-j")
    return rc == 0 and not out.strip()


def settle():
    """When Postfix has nothing more to do, twice in a row: a report may come of what was done last."""
    quiet = 0
    for _ in range(300):
        quiet = quiet + 1 if queue_is_empty() else 0
        if quiet == 3:
            break
        time.sleep(0.1)
    return arrived()


# Judging.

SERIALS = {}


def name_readers(raw):
    """The names of those whose certificates an envelope shows; a number or key id of nobody's as it stands there."""
    if not SERIALS:
        for name, (_, known) in PEOPLE.items():
            if known and os.path.exists(person(name, ".crt")):
                out = run("openssl", "x509", "-noout", "-serial", "-ext", "subjectKeyIdentifier", "-in",
                          person(name, ".crt"))[1]
                SERIALS[re.search(rb"serial=(\S+)", out)[1].decode().lstrip("0")] = name
                SERIALS[re.search(rb"\n\s+([0-9A-F:]{59})", out)[1].decode().replace(":", "")] = name
    text = run("openssl", "cms", "-cmsout", "-print", "-noout", data=raw)[1].decode("latin-1")
    text = text[:text.find("encryptedContentInfo")]
    found = [re.sub(r"^0x0*", "", n).upper() for n in re.findall(r"serialNumber: (\S+)", text)]
    for dump in re.findall(r"(?:subjectKeyIdentifier|rKeyId):\s*\n((?:\s+[0-9a-f]{4} - .*\n)+)", text):
        octets = re.findall(r" - ((?:[0-9a-f]{2}[ -])+)", dump)
        found.append("".join(octets).replace(" ", "").replace("-", "").upper())
    return [SERIALS.get(n, n) for n in found]


def open_envelope(name, readers, raw):
    """(the entity, "") or (None, what is wrong)"""
    kind = (mailcheck.field(raw, "Content-Type") or [""])[0]
    if "application/pkcs7-mime" not in kind or "nveloped-data" not in kind:
        return None, "not encrypted: " + kind
    shown = name_readers(raw)
    if sorted(shown) != sorted(readers):
        return None, "shows certificates of %s" % shown
    if b"secretmarker" in raw:
        return None, "plaintext"
    key = name.lower() if name.lower() in readers else [r for r in readers if r in ("gate", "authority")][0]
    rc, out, text = run("openssl", "cms", "-decrypt", "-inkey", person(key, ".key"), "-recip", person(key, ".crt"),
                        data=raw)
    return (out, "") if rc == 0 else (None, "does not decrypt: " + text)


def open_signature(entity):
    kind = (mailcheck.field(entity, "Content-Type") or [""])[0]
    if not kind.startswith("multipart/signed"):
        return None, "not signed: " + kind
    rc, out, text = run("openssl", "cms", "-verify", "-CAfile", path("pki", "ca", "root.crt"), "-purpose", "smimesign",
                        data=entity)
    return (out, "") if rc == 0 else (None, "signature: " + text)


# Postfix completes Resent-To.
OURS = ("received", "authentication-results", "x-smime-layer", "subject", "x-smime-encrypt", "resent-from",
        "resent-date", "resent-message-id", "to")


def judge_plain(mail, raw):
    mime = [[f for f in mailcheck.split(m)[0] if mailcheck.is_mime(f)] for m in (mail.raw, raw)]
    bodies = [mailcheck.split(m)[1] for m in (mail.raw, raw)]
    if mail.shape == "no-final-newline":
        bodies[0] += b"\r\n"
    return "" if mime[0] == mime[1] and bodies[0] == bodies[1] else "it has changed"


def judge_one(mail, name, how, raw):
    kind, readers = how.split()[0], how.split()[1:]
    if mailcheck.others(mail.raw, OURS) != mailcheck.others(raw, OURS):
        return "other fields than before"
    if mail.gone and mail.gone.encode() in raw:
        return mail.gone + " is there"
    if "secretsubject" not in mailcheck.field(raw, "Subject")[0]:
        return "another subject"
    if mailcheck.field(raw, "X-SMIME-Milter-Pass"):
        return "the loop guard's field is there"
    if kind == "P":
        return judge_plain(mail, raw)
    entity, why = open_envelope(name, readers, raw) if "E" in kind else (raw, "")
    if entity is not None and "S" in kind:
        entity, why = open_signature(entity)
    return why or mailcheck.same(mail.raw, entity, mail.shape in mailcheck.STRICT)


def queue_id(raw):
    """Of the passage through the gateway's Postfix, or through the listener for copies."""
    return re.search(r"with E?SMTP\S* id (\S+)", mailcheck.field(raw, "Received")[0])[1].rstrip(";")


def judge_report(mail, found):
    reports = found.get(mail.sender, {}).get("report " + mail.id, [])
    failed = [r for r in reports if b"\r\nAction: failed" in r]
    done = [r for r in reports if b"\r\nAction: failed" not in r]
    if len(failed) != (1 if mail.dsn else 0):
        return "%d reports of failure" % len(failed)
    for raw in failed:
        told = re.findall(rb"Final-Recipient: rfc822; (\S+)", raw)
        if sorted(told) != sorted(ADDRESS[n].encode() for n in mail.dsn):
            return "told of %s" % told
        if b"secret" in raw:
            return "a report that quotes"
    told = sorted(t.decode() for r in done for t in re.findall(rb"Final-Recipient: rfc822; (\S+)", r))
    if told != sorted(ADDRESS[n] for n in mail.success):
        return "told that %s have it" % told
    for raw in reports:
        if mail.mail_args and (b"Original-Envelope-Id: QQ+314" not in raw or
                               not re.search(rb"Original-Recipient: rfc822; ?first\+name@old\.example\r\n", raw)):
            return "ENVID or ORCPT are lost"
        if "RET=HDRS" in mail.mail_args and b"text/rfc822-headers" not in raw:
            return "RET is lost"
    return ""


def judge_cipher(mail, name, raw):
    text = run("openssl", "cms", "-cmsout", "-print", "-noout", data=raw)[1]
    return "" if b"algorithm: " + mail.cipher[name].encode() + b" " in text else "another cipher"


def mailbox(name):
    """Where the mail of a recipient is, however his address is spelt. A copy goes to a domain's ASCII form."""
    if name == "idn":
        return "o1@xn--bcher-kva.example"
    address = ADDRESS[name].lower()
    return address.replace('"', "") if " " not in address else address


def answered(mail):
    """What was answered, and what the gateway's log says of answers of that kind."""
    code = "reply=" + "/".join(mail.answer.split()[:2])
    why = re.findall(r'(reason=".*?") ms=', "\n".join(l for l in log_lines() if code in l))
    return "answered %s (log: %s)" % (mail.answer, "; ".join(sorted(set(why))[:3]))


def judge(mail, found):
    """'' or what is wrong with what became of a mail."""
    got = {name: found.get(mailbox(name), {}).get(mail.id, []) for name in mail.recipients}
    if mail.refused:
        if not mail.answer.startswith(mail.refused) or any("<%s>" % ADDRESS[n] not in mail.answer for n in mail.names):
            return answered(mail)
        return "refused, but arrived" if any(got.values()) else ""
    if not mail.answer.startswith("250"):
        return answered(mail)
    for name, how in mail.gets.items():
        if len(got[name]) != (0 if how == "-" else 1):
            return "%s: %d mails" % (name, len(got[name]))
        why = judge_one(mail, name, how, got[name][0]) if how != "-" else ""
        why = why or (judge_cipher(mail, name, got[name][0]) if name in mail.cipher else "")
        if why:
            return "%s: %s" % (name, why)
    if len({queue_id(got[name][0]) for name in mail.same}) > 1:
        return "not one transaction"
    return judge_report(mail, found)


def try_again(mails, out):
    """The listener for copies is a busy Postfix: one "try later" of its own is no failure, as long as the next try is none.
    """
    if len(mails) != 1 or mails[0].route == "in":
        return
    print("# %s: %s" % (mails[0].what, answered(mails[0])))
    mails[0].answer = send(mails[0], out)


def table(out, inward, _):
    for number, mail in enumerate(TABLE):
        mail.write(number)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for mail, answer in zip(TABLE, pool.map(lambda m: send(m, inward if m.route == "in" else out), TABLE)):
            mail.answer = answer
    try_again([m for m in TABLE if not m.refused and m.answer.startswith("451 4.4.2")], out)
    found = settle()
    with ThreadPoolExecutor(max_workers=2) as pool:
        for mail, why in zip(TABLE, pool.map(lambda m: judge(m, found), TABLE)):
            say(not why, mail.what, why)
    known = {mail.id for mail in TABLE}
    strange = [(address, key) for address, keys in found.items() for key in keys
               if key.replace("report ", "") not in known]
    say(not strange, "nothing else was delivered", str(strange[:3]))
    say(queue_is_empty(), "Postfix's queue is empty")
    log = read(path("copies.log"))
    say(b"secret" not in log, "no content in the log")
    kept = [n for n in glob.glob(path("state-copies", "**"), recursive=True)
            if os.path.isfile(n) and b"secret" in read(n)]
    say(not kept, "no content in what the gateway keeps", " ".join(kept))


FORGED = "X-SMIME-Milter-Pass: v1; id=%s;\n\texpires=4102444800;\n\tmac=%s\n" % ("1" * 32, "2" * 64)

# Of this gateway copies come back to itself; wrapped.example's rule would wrap what is wrapped already.
LOOPS = [
    Mail("a copy that comes back passes", "w1", "w2", {"w1": "SE w1", "w2": "SE w2"}),
    Mail("several copies, and one is plain", "w1 o1", "w2", {"w1": "SE w1", "w2": "SE w2", "o1": "P"}),
    Mail("so does a report", "d1 dn1", "", {"d1": "SE d1", "dn1": "-"}, dsn="dn1"),
    Mail("a forged field is nothing", "w1", "", {"w1": "SE w1"}, fields=FORGED, gone="X-SMIME-Milter-Pass"),
    Mail("and of no use to a plain mail", "w1", "w2", {"w1": "SE w1", "w2": "SE w2"}, fields=FORGED * 12,
         gone="X-SMIME-Milter-Pass"),
]


def loop(out, again):
    for number, mail in enumerate(LOOPS):
        mail.write(100 + number)
        mail.answer = send(mail, out if not mail.gone else again)
    found = settle()
    for mail in LOOPS:
        mail.raw = mail.raw.replace(mailcheck.crlf(FORGED.encode()), b"")
        why = judge(mail, found)
        say(not why, "loop: " + mail.what, why)


def bypass(number, mime, body):
    """A mail to locked.example that the gateway has not seen."""
    mail = Mail("", "v1", "", {"v1": "-"})
    mail.id = "copy-%03d" % number
    mail.raw = mailcheck.crlf((
        "X-Test-Id: %s\nFrom: <%s>\nTo: <%s>\nSubject: s\nMessage-ID: <%s@example.com>\n"
        % (mail.id, mail.sender, ADDRESS["v1"], mail.id)).encode() + mime + b"\n" + body)
    return mail


def lock(out, again):
    inside = b"--b\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIIB\n--b--\n"
    plain = [bypass(200, b"", b"secret\n"), bypass(201, b"Content-Type: text/plain\n", b"secret\n"),
             bypass(202, b"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n", inside),
             bypass(203, b"Content-Type: application/pkcs7-mime; smime-type=signed-data\n", b"MIIB\n"),
             bypass(204, b"Content-Type: text/plain; x=\"application/pkcs7-mime; smime-type=enveloped-data\"\n",
                    b"s\n"),
             bypass(205, b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\nContent-Type: text/plain\n",
                    b"secret\n")]
    through = Mail("", "v1", "", {"v1": "SE v1"})
    through.write(210)
    for mail in plain:
        mail.answer = send(mail, again)
    through.answer = send(through, out)
    found = settle()
    why = judge(through, found)
    say(not why, "second lock: what the gateway encrypted goes on", why)
    leaked = [m.id for m in plain if found.get(ADDRESS["v1"], {}).get(m.id)]
    say(not leaked and all(m.answer.startswith("250") for m in plain), "second lock: plaintext does not", str(leaked))
    told = [m.id for m in plain if any(b"5.7.1" in r for r in found.get(m.sender, {}).get("report " + m.id, []))]
    say(len(told) == len(plain), "second lock: the sender is told", str(told))


def main():
    command, ports = sys.argv[3], [int(a) for a in sys.argv[4:]]
    if command == "make":
        make_people([name for name, (_, known) in PEOPLE.items() if known])
        write_config("copies", ports[0], ports[2])
        write_config("loop", ports[1], ports[2])
    else:
        {"table": table, "loop": loop, "lock": lock}[command](*ports)
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
