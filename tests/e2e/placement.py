"""The mails of placement.sh: what etc/HOWTO-placement says, with the configuration that stands there.

    placement.py WORK TOP BUILD

S/MIME is judged by openssl, DKIM by dkimpy and by OpenDKIM. Sockets, ports and paths of the page are replaced by
private ones; lines that are added are the test's own world (domains, aliases, listeners for what the page warns of).
"""

import email.utils
import glob
import os
import re
import smtplib
import socket
import subprocess
import sys
import time

import dkim

WORK, TOP, BUILD = sys.argv[1:4]
sys.dont_write_bytecode = True
SUPPORT = os.path.join(TOP, "tests", "support")
PAGE = open(os.path.join(TOP, "etc", "HOWTO-placement"), encoding="utf-8").read()
STRANGER = "192.0.2.7"
failures = 0


def path(*names):
    return os.path.join(WORK, *names)


def read(name):
    with open(name, "rb") as file:
        return file.read()


def write(name, text):
    with open(name, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return name


def say(good, text, reason=""):
    global failures
    failures += not good
    print(("ok - " if good else "not ok - ") + text + (": %s" % (reason,) if reason and not good else ""), flush=True)


def run(*command, data=b""):
    done = subprocess.run(command, input=data, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode("latin-1").strip()


def must(*command, data=b""):
    rc, out, text = run(*command, data=data)
    if rc != 0:
        raise SystemExit("not ok - %s: %s" % (" ".join(command[:3]), text))
    return out


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    return condition()


# The page

def block(title):
    """The indented block that begins with "# TITLE", with this test's ports and paths."""
    found = re.search(r"^    # " + re.escape(title) + r"\n((?:    .*\n)+)", PAGE, re.M)
    if not found:
        raise SystemExit("not ok - the page has no block %s" % title)
    text = re.sub(r"^    ", "", found.group(1), flags=re.M)
    for old, new in PLACES.items():
        text = text.replace(old, new)
    return text


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


NAMES = ["base_out", "base_in", "mx", "submission", "copies", "dkim", "second", "spare_out", "spare_in", "wrong_out",
         "wrong_in", "bare", "checked", "unmapped", "small"]
PORTS = dict(zip(NAMES, free_ports(len(NAMES))))
PLACES = {
    "smtp inet": "127.0.0.1:%(mx)d inet" % PORTS,
    "submission inet": "127.0.0.1:%(submission)d inet" % PORTS,
    "127.0.0.1:10026": "127.0.0.1:%(copies)d" % PORTS,
    "127.0.0.1:10028": "127.0.0.1:%(second)d" % PORTS,
    "[127.0.0.1]:10028": "[127.0.0.1]:%(second)d" % PORTS,
    "127.0.0.1:8891": "127.0.0.1:%(dkim)d" % PORTS,
    "/run/smime-milter/milter.sock": path("run", "front.sock"),
    "/run/smime-milter/behind.sock": path("run", "behind.sock"),
}


# The world

PEOPLE = {"ours": ["alice", "bob", "archive"], "theirs": ["carol", "dave", "gone", "erin"]}
DOMAINS = {"erin": "after.example"}
ADDRESS = {name: "%s@%s" % (name, DOMAINS.get(name, "example.com" if side == "ours" else "partner.example"))
           for side, names in PEOPLE.items() for name in names}


def make_people():
    script = '. "$0/people.sh"; new_ca "$1/ca" Test'
    for name, address in ADDRESS.items():
        script += '; new_person "$1/ca" %s %s p256' % (name, address)
    must("bash", "-c", script, SUPPORT, WORK)
    os.makedirs(path("keys"), 0o700)
    os.makedirs(path("certs"))
    for name in ADDRESS:
        write(path("certs", name + ".crt"), read(path("ca", name + ".crt")))
    for name in ("alice", "bob"):
        write(path("keys", name + ".pem"), read(path("ca", name + ".pem")))
        os.chmod(path("keys", name + ".pem"), 0o600)
    must("openssl", "genrsa", "-traditional", "-out", path("dkim.key"), "2048")


def gateway_config(name, rules):
    common = """socket = "unix:%s/%s.sock"; socket_mode = "0666"; user = "nobody"; state_dir = "%s";
authserv_id = "mx.example.com"; collections = ( { name = "all"; files = [ "%s", "%s" ]; } );
directories = ( { type = "files"; path = "%s"; } ); keystores = ( { type = "pem"; path = "%s"; } );
""" % (path("run"), name, path("state-" + name), path("ca", "root.crt"), path("ca", "ca.crt"), path("certs"),
       path("keys"))
    return write(path(name + ".conf"), common + rules)


FRONT_RULES = """local_domains = [ "example.com" ];
rules = (
  { id = "opened"; direction = "inbound"; recipient = "bob@example.com"; remove_signature = true; },
  { id = "wiped"; direction = "inbound"; recipient = "frank@example.com"; remove_results = "all"; },
  { id = "inbound"; direction = "inbound"; },
  { id = "internal"; direction = "internal"; },
  { id = "archived"; direction = "outbound"; sender = "bob@example.com"; encrypt = "require"; %s },
  { id = "partner"; direction = "outbound"; recipient = [ "*@partner.example", "*@after.example" ];
    sign = "if-key"; encrypt = "require"; },
  { id = "default"; direction = "outbound"; sign = "if-key"; } );
"""


def start(name, *command):
    log = open(path(name + ".log"), "ab")
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    write(path(name + ".pid"), str(process.pid))
    return process


def start_gateway(name):
    process = start(name, os.path.join(BUILD, "smime-milter"), "-f", "-c", path(name + ".conf"))
    if not until(lambda: os.path.exists(path("run", name + ".sock"))):
        raise SystemExit("not ok - the gateway starts: %s" % read(path(name + ".log")).decode()[-500:])
    return process


def stop_gateway(name, process):
    process.terminate()
    process.wait()
    os.remove(path(name + ".pid"))


def public_key():
    out = must("openssl", "rsa", "-in", path("dkim.key"), "-pubout", "-outform", "DER")
    return must("openssl", "base64", "-A", data=out).decode()


def start_opendkim():
    # Both domains with one key: who verifies looks it up under either name.
    write(path("keytable"), "ours example.com:s1:%s\n" % path("dkim.key"))
    write(path("signing"), "*@example.com ours\n")
    write(path("public"), "".join("s1._domainkey.%s v=DKIM1; k=rsa; p=%s\n" % (domain, public_key())
                                  for domain in ("example.com", "partner.example")))
    write(path("opendkim.conf"), block("opendkim.conf") + """Socket inet:%d@127.0.0.1
KeyTable %s
SigningTable refile:%s
TestPublicKeys %s
RequireSafeKeys no
Background no
Syslog no
""" % (PORTS["dkim"], path("keytable"), path("signing"), path("public")))
    start("opendkim", "opendkim", "-f", "-x", path("opendkim.conf"))
    if not until(lambda: listens(PORTS["dkim"])):
        raise SystemExit("not ok - opendkim starts: %s" % read(path("opendkim.log")).decode()[-500:])


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def postfix(*command):
    """Into a file: the daemons keep what they are given."""
    with open(path("postfix.log"), "ab") as log:
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode != 0:
            raise SystemExit("not ok - Postfix: %s" % read(path("postfix.log")).decode()[-500:])


def replace_settings(old, new):
    """A setting that stood twice would be a warning of each process, and postlogd chokes on its own."""
    for name in re.findall(r"^(\w+) *=", new, re.M):
        old = re.sub(r"^%s *=.*\n(?:[ \t].*\n)*" % name, "", old, flags=re.M)
    return old + new


def change_settings(name, new):
    settings = path(name, "postfix", "main.cf")
    write(settings, replace_settings(read(settings).decode(), new))
    postfix("postfix", "-c", path(name, "postfix"), "reload")


def flush():
    postfix("postqueue", "-c", path("postfix", "postfix"), "-f")
    time.sleep(0.3)


def start_instance(name, gateway, listeners, main, master):
    postfix(os.path.join(SUPPORT, "postfix.sh"), "start", path(name), gateway,
            *(str(PORTS[one]) for one in listeners))
    with open(path(name, "postfix", "master.cf"), "a") as file:
        file.write(master)
    change_settings(name, main)


MAIN = """
mydestination = lists.example.com
local_recipient_maps =
local_transport = local:
alias_maps = inline:{ crew=erin@after.example }
virtual_alias_maps = inline:{ team@example.com=carol@partner.example, staff@example.com=bob@example.com,
  outside@example.com=erin@after.example }
transport_maps = inline:{ { gone@partner.example = nouser: }, { gone@example.com = nouser: } }
sender_bcc_maps = inline:{ bob@example.com=archive@example.com }
relay_domains = !after.example, !hop.example, !lists.example.com, static:ALL
"""

# What the page warns of, each on a listener of its own.
MASTER = """
127.0.0.1:%(wrong_out)d inet n - n - - smtpd
  -o milter_macro_daemon_name=ORIGINATING
  -o smtpd_milters=inet:127.0.0.1:%(dkim)d,unix:%(front)s
127.0.0.1:%(wrong_in)d inet n - n - - smtpd
  -o smtpd_milters=unix:%(front)s,inet:127.0.0.1:%(dkim)d
127.0.0.1:%(bare)d inet n - n - - smtpd
  -o smtpd_milters=
127.0.0.1:%(unmapped)d inet n - n - - smtpd
  -o smtpd_milters=
  -o receive_override_options=no_address_mappings
127.0.0.1:%(small)d inet n - n - - smtpd
  -o milter_macro_daemon_name=ORIGINATING
  -o cleanup_service_name=cleanup-small
cleanup-small unix n - n - 0 cleanup
  -o message_size_limit=1000000
127.0.0.1:%(checked)d inet n - n - - smtpd
  -o cleanup_service_name=cleanup-checked
cleanup-checked unix n - n - 0 cleanup
  -o { milter_header_checks = regexp:{{/^X-SMIME-Layer:/ IGNORE}} }
local unix - n n - - local
nouser unix - n n - - pipe user=nobody argv=%(nouser)s
"""


def start_postfix():
    gateway = "unix:%s" % path("run", "front.sock")
    os.chmod(write(path("nouser"), "#!/bin/sh\nexit 67\n"), 0o755)
    start_instance("postfix", gateway, ("base_out", "base_in"),
                   block("main.cf") + block("main.cf, first instance") + MAIN,
                   block("master.cf") + MASTER % dict(PORTS, front=path("run", "front.sock"), nouser=path("nouser")))
    start_instance("second", "", ("spare_out", "spare_in"), "", block("master.cf, second instance"))
    for name in ("mx", "submission", "copies", "second", "checked"):
        if not until(lambda: listens(PORTS[name])):
            raise SystemExit("not ok - Postfix listens (%s)" % name)


def start_world():
    make_people()
    for name in ("run", "state-front", "state-behind"):
        os.makedirs(path(name), 0o755 if name == "run" else 0o700)
    front = block("smime-milter.conf")
    without = re.sub(r"signing_hosts.*\n", "", front)
    gateway_config("front", without + FRONT_RULES % "")
    gateway_config("behind", block("behind.conf"))
    must("chown", "-R", "nobody", path("run"), path("state-front"), path("state-behind"), path("keys"))
    start_opendkim()
    gateway = start_gateway("front")
    start_gateway("behind")
    start_postfix()
    return gateway, front + FRONT_RULES


# Mail

class Mail:
    count = 0

    def __init__(self, sender, to, body="Hello, this is secret.\r\n", fields=""):
        Mail.count += 1
        self.id = "<%d.%d@example.com>" % (Mail.count, os.getpid())
        self.sender = sender
        self.raw = ("From: <%s>\r\nTo: %s\r\nSubject: mail %d\r\nDate: %s\r\nMessage-ID: %s\r\n%sMIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s"
                    % (sender, to, Mail.count, email.utils.formatdate(), self.id, fields, body)).encode()


def send(port, mail, *recipients, client=None, options=(), sender=None):
    """None, or the code and text with which it was refused."""
    with smtplib.SMTP("127.0.0.1", PORTS[port], timeout=60) as server:
        server.ehlo()
        if client:
            server.docmd("XCLIENT", "ADDR=%s NAME=[UNAVAILABLE]" % client)
            server.ehlo()
        try:
            server.sendmail(mail.sender if sender is None else sender, recipients, mail.raw,
                            ["BODY=8BITMIME", *options])
        except smtplib.SMTPDataError as error:
            return error.smtp_code, error.smtp_error.decode()
        except smtplib.SMTPRecipientsRefused as error:
            return next(iter(error.recipients.values()))
        except smtplib.SMTPSenderRefused as error:
            return error.smtp_code, error.smtp_error.decode()
    return None


def box(address, base="postfix"):
    user, domain = address.split("@")
    return sorted(glob.glob(path(base, "mail", domain, user, "*.eml")))


def wanted(address, mark, base="postfix"):
    return [raw for raw in map(read, box(address, base)) if mark.encode() in raw]


def arrived(address, mark, base="postfix", n=1, seconds=5):
    found = until(lambda: (lambda all: all if len(all) >= n else None)(wanted(address, mark, base)), seconds) or []
    return found[0] if len(found) == n == 1 else (found if n > 1 else b"")


def header(raw):
    return re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0].decode("latin-1")


def fields(raw, name):
    unfolded = re.sub(r"\r?\n[ \t]+", " ", header(raw))
    return [line.split(":", 1)[1].strip() for line in unfolded.splitlines()
            if line.lower().startswith(name.lower() + ":")]


def dkim_of(raw):
    """None: no signature; else whether the first holds."""
    if not fields(raw, "DKIM-Signature"):
        return None
    return dkim.verify(raw, dnsfunc=lambda name, timeout=5: b"v=DKIM1; k=rsa; p=" + public_key().encode())


def signed(raw):
    return run("openssl", "cms", "-verify", "-CAfile", path("ca", "root.crt"), "-out", "/dev/null", data=raw)[0] == 0


def encrypted(raw):
    return "application/pkcs7-mime" in "".join(fields(raw, "Content-Type")) and b"secret" not in raw


def opened(raw, name):
    rc, out, _ = run("openssl", "cms", "-decrypt", "-recip", path("ca", name + ".crt"), "-inkey",
                     path("ca", name + ".key"),
                     data=raw)
    return out if rc == 0 else b""


# The sections of the page

def test_dkim_out():
    mail = Mail("alice@example.com", "carol@partner.example, x@public.example")
    refused = send("submission", mail, "carol@partner.example", "x@public.example")
    carol, public = arrived("carol@partner.example", mail.id), arrived("x@public.example", mail.id)
    say(refused is None and encrypted(carol) and b"secret" in opened(carol, "carol"), "encrypted for the partner",
        refused)
    say(signed(public), "and signed for the public")
    say(dkim_of(carol) and dkim_of(public), "gateway, then opendkim: DKIM verifies, of the original and of the copy")
    say(not fields(carol, "X-SMIME-Milter-Pass") and not fields(public, "X-SMIME-Milter-Pass"),
        "the loop guard's field is gone")
    mail = Mail("alice@example.com", "x@public.example")
    send("wrong_out", mail, "x@public.example")
    public = arrived("x@public.example", mail.id)
    say(signed(public) and dkim_of(public) is False, "opendkim, then gateway: S/MIME holds, DKIM is void")


def partner_mail(to):
    """Signed by Carol, and by her domain."""
    mail = Mail("carol@partner.example", to)
    out = must("openssl", "cms", "-sign", "-signer", path("ca", "carol.crt"), "-inkey", path("ca", "carol.key"),
               "-certfile", path("ca", "ca.crt"), data=b"Content-Type: text/plain\r\n\r\nWe accept.\r\n")
    raw = ("From: <carol@partner.example>\r\nTo: <%s>\r\nSubject: offer\r\nDate: %s\r\nMessage-ID: %s\r\n"
           % (to, email.utils.formatdate(), mail.id)).encode() + re.sub(rb"\r?\n", b"\r\n", out)
    mail.raw = dkim.sign(raw, b"s1", b"partner.example", read(path("dkim.key")),
                         canonicalize=(b"relaxed", b"simple")) + raw
    return mail


def results(raw):
    return [value for value in fields(raw, "Authentication-Results") if value.startswith("mx.example.com")]


def test_dkim_in():
    mail = partner_mail("bob@example.com")
    send("mx", mail, "bob@example.com", client=STRANGER)
    bob = arrived("bob@example.com", mail.id)
    found = results(bob)
    say(len(found) == 2 and "smime=pass" in found[0] and "dkim=pass" in found[1],
        "inbound: opendkim's result is kept, ours stands above it", found)
    say(dkim_of(bob) is False and not signed(bob),
        "the gateway took the signature off: whoever verifies behind it finds DKIM void")
    mail = partner_mail("frank@example.com")
    send("mx", mail, "frank@example.com", client=STRANGER)
    found = results(arrived("frank@example.com", mail.id))
    say(len(found) == 1 and "smime=pass" in found[0], "remove_results = all takes opendkim's result away", found)
    mail = partner_mail("bob@example.com")
    send("wrong_in", mail, "bob@example.com", client=STRANGER)
    found = results(arrived("bob@example.com", mail.id))
    say(any("dkim=fail" in value for value in found) and not any("dkim=pass" in value for value in found),
        "gateway, then opendkim: it fails", found)
    mail = Mail("alice@example.com", "bob@example.com, eve@example.com")
    send("mx", mail, "bob@example.com", "eve@example.com", client=STRANGER)
    got = [dkim_of(arrived(address, mail.id)) for address in ("bob@example.com", "eve@example.com")]
    say(sorted(map(str, got)) == ["None", "True"],
        "a stranger's mail with our From: its copy is signed, as the page warns", got)


def sendmail_t(sender, raw):
    return run("/usr/sbin/sendmail", "-C", path("postfix", "postfix"), "-f", sender, "-t",
               data=raw.replace(b"\r\n", b"\n"))


def test_sendmail():
    mail = Mail("alice@example.com", "carol@partner.example", fields="Bcc: dave@partner.example\r\n")
    rc, _, text = sendmail_t("alice@example.com", mail.raw)
    carol, dave = arrived("carol@partner.example", mail.id), arrived("dave@partner.example", mail.id)
    say(rc == 0 and encrypted(carol) and encrypted(dave), "sendmail -t: encrypted", text)
    say(opened(carol, "carol") and not opened(carol, "dave") and opened(dave, "dave") and not opened(dave, "carol"),
        "its Bcc recipient has a copy of his own")
    say(not fields(carol, "Bcc") and not fields(dave, "Bcc"), "without a Bcc field")
    say(b"multipart/signed" not in opened(carol, "carol"), "not signed: signing_hosts is empty")
    mail = Mail("alice@example.com", "nobody@partner.example")
    rc = sendmail_t("alice@example.com", mail.raw)[0]
    bounce = arrived("alice@example.com", mail.id)
    say(rc == 0 and b"5.7.5" in bounce and not box("nobody@partner.example"),
        "refused mail of sendmail(1): exit status 0, and a bounce", bounce[:600])


def maildrop():
    return [name for name in os.listdir(path("postfix", "queue", "maildrop"))]


def test_away(gateway, config):
    """Leaves the gateway with the page's signing_hosts."""
    stop_gateway("front", gateway)
    mail = Mail("alice@example.com", "x@public.example")
    for port in ("submission", "mx"):
        refused = send(port, mail, "x@public.example")
        say(refused is not None and refused[0] == 451 and "4.7.1" in str(refused[1]), "gateway away (%s): 451 4.7.1"
            % port, refused)
    mail = Mail("alice@example.com", "x@public.example")
    sendmail_t("alice@example.com", mail.raw)
    time.sleep(1)
    say(len(maildrop()) == 1 and not wanted("x@public.example", mail.id), "mail of sendmail(1) stays in maildrop",
        maildrop())
    gateway_config("front", config % block("smime-milter.conf, rule"))
    gateway = start_gateway("front")
    must("postkick", "-c", path("postfix", "postfix"), "public", "pickup", "W")
    say(signed(arrived("x@public.example", mail.id)),
        "and leaves when it is back, signed: signing_hosts has 127.0.0.1")
    return gateway


def test_bounces():
    mail = Mail("alice@example.com", "gone@partner.example")
    send("submission", mail, "gone@partner.example")
    bounce = arrived("alice@example.com", mail.id)
    say(b"message/delivery-status" in bounce and b"pkcs7-mime" in bounce and b"secret" not in bounce,
        "a bounce of encrypted mail quotes ciphertext")
    mail = Mail("carol@partner.example", "gone@example.com")
    send("mx", mail, "gone@example.com", client=STRANGER)
    bounce = (until(lambda: [raw for raw in map(read, box("carol@partner.example")) if b"MAILER-DAEMON" in raw])
              or [b""])[0]
    say(encrypted(bounce) and b"secret" in opened(bounce, "carol"),
        "a bounce of inbound mail is encrypted for the partner")
    mail = Mail("nobody@partner.example", "gone@example.com")
    send("mx", mail, "gone@example.com", client=STRANGER, options=["RET=HDRS"])
    bounce = arrived("nobody@partner.example", mail.id)
    say(b"rfc822-headers" in bounce and b"secret" not in bounce,
        "one that quotes a header only goes on without a certificate")
    before = read(path("postfix", "maillog"))
    send("mx", Mail("nobody@partner.example", "gone@example.com"), "gone@example.com", client=STRANGER)
    refused = until(lambda: b"5.7.5" in read(path("postfix", "maillog"))[len(before):])
    say(refused and len(box("nobody@partner.example")) == 1, "one that quotes content is refused")
    say(until(lambda: b"bounce failed" in read(path("postfix", "maillog"))[len(before):]),
        "the mail stays in the queue")
    change_settings("postfix", block("main.cf, bounces without content"))
    say(until(lambda: flush() or len(box("nobody@partner.example")) == 2),
        "bounce_size_limit = 1 lets it bounce without content")


def test_aliases():
    mail = Mail("alice@example.com", "team@example.com")
    send("submission", mail, "team@example.com")
    say(b"secret" in arrived("carol@partner.example", mail.id), "an alias that leads to a partner escapes his rule")
    mails = {"outside@example.com": "virtual_alias_maps", "crew@lists.example.com": "aliases(5)"}
    for alias, what in mails.items():
        mail = Mail("alice@example.com", alias)
        send("submission", mail, alias)
        erin = arrived("erin@after.example", mail.id, "second")
        say(encrypted(erin) and b"secret" in opened(erin, "erin"), "%s: not past a second instance" % what)
    mail = Mail("alice@example.com", "erin@after.example")
    send("submission", mail, "erin@after.example")
    erin = arrived("erin@after.example", mail.id, "second")
    inner = opened(erin, "erin")
    say(b"multipart/signed" in inner and b"pkcs7-mime" not in inner and dkim_of(erin),
        "what was encrypted before passes it as it is, DKIM too")
    mail = Mail("alice@example.com", "carol@partner.example, staff@example.com")
    send("submission", mail, "carol@partner.example", "staff@example.com")
    say(arrived("bob@example.com", mail.id) and encrypted(arrived("carol@partner.example", mail.id)),
        "aliases of copies are expanded")
    mail = Mail("alice@example.com", "staff@example.com")
    send("unmapped", mail, "staff@example.com")
    say(arrived("staff@example.com", mail.id) and not wanted("bob@example.com", mail.id),
        "no_address_mappings: they would not be")


def test_archive():
    mail = Mail("bob@example.com", "carol@partner.example, dave@partner.example")
    send("submission", mail, "carol@partner.example", "dave@partner.example")
    archive = arrived("archive@example.com", mail.id)
    say(encrypted(archive) and b"secret" in opened(archive, "archive") and opened(archive, "carol"),
        "auto-Bcc: the archive gets what the partner gets, and reads it by additional_recipients")
    mail = Mail("bob@example.com", "erin@after.example")
    send("bare", mail, "erin@after.example")
    say(b"secret" in arrived("archive@example.com", mail.id)
        and encrypted(arrived("erin@after.example", mail.id, "second")),
        "an archive before the gateway has plaintext")


def test_size():
    line = "x" * 74 + "\r\n"
    cyrillic = "\u0436" * 37 + "\r\n"
    for what, text, limit in (("7-bit", line, 1.4), ("8-bit", cyrillic, 4.3)):
        mail = Mail("alice@example.com", "carol@partner.example", body=text * (2000000 // len(text.encode())))
        send("submission", mail, "carol@partner.example")
        grown = len(arrived("carol@partner.example", mail.id).replace(b"\n", b"\r\n")) / len(mail.raw)
        say(1.3 < grown < limit, "%s text grows %.2f times, signed and encrypted" % (what, grown))
    mail = Mail("alice@example.com", "carol@partner.example", body=line * (800000 // len(line)))
    refused = send("small", mail, "carol@partner.example")
    say(refused is not None, "beyond message_size_limit by the new body only: %s" % (refused,))


def test_hop():
    mail = Mail("alice@example.com", "x@hop.example", body="\u00e4" * 3000 + "\r\n")
    send("submission", mail, "x@hop.example")
    say(signed(arrived("x@hop.example", mail.id, "second")),
        "8 bits and long lines: what the gateway signs passes smtp(8)")


def test_checks():
    mail = partner_mail("eve@example.com")
    send("checked", mail, "eve@example.com", client=STRANGER)
    eve = arrived("eve@example.com", mail.id)
    say(eve and not fields(eve, "X-SMIME-Layer") and len(results(eve)) == 2, "milter_header_checks drop our fields")


def main():
    gateway, config = start_world()
    test_dkim_out()
    test_dkim_in()
    test_sendmail()
    test_away(gateway, config)
    test_bounces()
    test_aliases()
    test_archive()
    test_size()
    test_checks()
    test_hop()
    return failures != 0


sys.exit(main())
