"""Copies exactly once: an MTA that tries again, a reinjection listener that fails as it is told, and a gateway that is
killed between any two steps.

    exactly_once.py WORK TOP SMIME-MILTER-FAULTS

What a recipient has is what the listener said it had taken (or had taken without saying so) and, where the gateway's
answer was accept, the original, unless he was taken off. copies.py has the people, the rules and the judges.
"""

import os
import pwd
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import copies  # noqa: E402 - which finds tests/support
import checks  # noqa: E402
import mailcheck  # noqa: E402
import milter_client  # noqa: E402
from checks import say  # noqa: E402
from copies import ADDRESS, Mail, path  # noqa: E402

GATEWAY = sys.argv[3]
SOCKET = "unix:" + path("run", "once.sock")
FAULT = path("run", "fault")
DEADLINE_S = 3


# The listener.

class Listener(socketserver.ThreadingTCPServer):
    """Takes everything, unless told otherwise: rcpt {address: reply}, ends: for the next texts, in turn, "" or one of
    lost (taken, and not said), dropped (neither), slow, or a reply."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Session)
        self.port = self.server_address[1]
        self.lock = threading.Lock()
        self.forget()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def forget(self):
        self.taken, self.ends, self.rcpt, self.reached = [], [], {}, threading.Event()
        self.armed = lambda taken: None     # called when a text was taken, before the answer

    def close(self):
        self.shutdown()
        self.server_close()


class Session(socketserver.StreamRequestHandler):
    def say(self, text):
        self.wfile.write(text.encode() + b"\r\n")

    def handle(self):
        self.say("220 listener.test ESMTP")
        try:
            while self.command(self.rfile.readline()):
                pass
        except OSError:
            pass

    def command(self, line):
        verb = line[:4].upper()
        if not line or verb == b"QUIT":
            return False
        if verb == b"EHLO":
            self.wfile.write(b"250-listener.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n")
        elif verb == b"MAIL":
            self.sender, self.recipients = re.search(rb"<(.*?)>", line)[1].decode(), []
            self.say("250 2.1.0 Ok")
        elif verb == b"RCPT":
            address = re.search(rb"<(.*)>", line)[1].decode()
            reply = self.server.rcpt.get(address, "250 2.1.5 Ok")
            if reply.startswith("250"):
                self.recipients.append(address)
            self.say(reply)
        elif verb == b"DATA":
            self.say("354 go on")
            return self.text()
        else:
            self.say("250 2.0.0 Ok")
        return True

    def text(self):
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                return self.end(b"".join(lines))
            lines.append(line[1:] if line.startswith(b".") else line)
        return False

    def end(self, raw):
        with self.server.lock:
            how = self.server.ends.pop(0) if self.server.ends else ""
            if how in ("", "lost", "slow"):
                self.server.taken.append((self.sender, self.recipients, raw))
                self.server.armed(len(self.server.taken))
        self.server.reached.set()
        if how == "slow":
            time.sleep(DEADLINE_S + 1)
        if how in ("lost", "dropped"):
            return False
        self.say(how if how[:1].isdigit() else "250 2.0.0 Ok: queued as 4Listener")
        return True


# The gateway.

class Gateway:
    def __init__(self, listener):
        me = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        os.makedirs(path("run"), exist_ok=True)
        os.makedirs(path("state-once"), 0o700, exist_ok=True)
        copies.write_config("once", listener.port, 9, DEADLINE_S, me)
        if os.geteuid() == 0:
            who = pwd.getpwnam(me)
            for name in ("run", "state-once", "keys", "keys/alice.pem"):
                os.chown(path(name), who.pw_uid, who.pw_gid)
        self.process = None

    def start(self):
        with open(path("once.log"), "ab") as log:
            self.process = subprocess.Popen([GATEWAY, "-f", "-c", path("once.conf")], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=dict(os.environ, SMIME_MILTER_FAULT=FAULT))
        return self

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    @staticmethod
    def die_at(point):
        """The next process that comes to this point is killed there."""
        mailcheck.write(FAULT, point + "\n")
        os.chmod(FAULT, 0o666)

    @staticmethod
    def connect():
        for _ in range(100):
            try:
                return milter_client.MilterClient(SOCKET)
            except (OSError, milter_client.MilterError):
                time.sleep(0.1)
        raise SystemExit("the gateway does not answer")


# The MTA.

class Attempt:
    """A transaction. answer: accept, the reply, or "gone" where the gateway died; left: who keeps the original, as
    raw."""

    count = 0

    def __init__(self, mail):
        Attempt.count += 1
        queue_id = "4Q%05d" % Attempt.count
        # Trace fields and those of other filters differ each time.
        raw = b"Received: from client.test by mx.example.com with ESMTP id %s\r\nX-Spam-Score: %d\r\n" % (
            queue_id.encode(), Attempt.count) + mail.raw
        self.answer, self.left, self.raw = "gone", [], b""
        try:
            with Gateway.connect() as client:
                self.transact(client, mail, raw, queue_id)
        except (OSError, milter_client.MilterError):
            pass

    def transact(self, client, mail, raw, queue_id):
        client.macros("C", {"{daemon_name}": "ORIGINATING"})
        client.connect(ip="127.0.0.1")
        client.helo()
        recipients = [ADDRESS[name] for name in mail.recipients]
        result, fields, body = milter_client.send_message(client, raw, mail.sender, recipients, queue_id)
        removed = [e[2].rstrip(b"\0").decode() for e in result.edits if e[:2] == ("other", "-")]
        self.answer = "accept" if result.accepted() else result.reply or result.action
        if result.accepted():
            result.edits = [e for e in result.edits if e[0] != "other"]
            self.left = [name for name in mail.recipients if "<%s>" % ADDRESS[name] not in removed]
            self.raw = milter_client.join_message(*result.apply(fields, body, client.leading_blank))


class Story:
    """A mail, from the first attempt to the last."""

    count = 0

    def __init__(self, listener, mail):
        Story.count += 1
        self.listener, self.mail, self.attempts = listener, mail, []
        mail.write(Story.count)

    def attempt(self):
        self.attempts.append(Attempt(self.mail))
        return self.attempts[-1].answer

    def until_accepted(self, most=20):
        for _ in range(most):
            if self.attempt() == "accept":
                return True
            time.sleep(0.1)
        return False

    def arrived(self):
        """As copies.arrived."""
        found = {}

        def put(address, raw):
            own = mailcheck.field(raw, "X-Test-Id")
            key = own[0] if own else "report " + self.mail.id
            raw = re.sub(rb"^X-SMIME-Milter-Pass:.*\r\n(?:[ \t].*\r\n)*", b"", raw, flags=re.M)
            found.setdefault(address, {}).setdefault(key, []).append(raw)

        for _, recipients, raw in self.listener.taken:
            for address in recipients:
                put(address, raw)
        for attempt in self.attempts:
            for name in attempt.left:
                put(ADDRESS[name], attempt.raw)
        return found

    def judge(self):
        self.mail.answer = "250 accepted" if self.attempts[-1].answer == "accept" else self.attempts[-1].answer
        return copies.judge(self.mail, self.arrived())

    def second(self, names):
        """Who got more than one, and nobody else did."""
        found = self.arrived()
        more = [n for n in self.mail.gets if len(found.get(ADDRESS[n], {}).get(self.mail.id, [])) > 1]
        return "" if set(more) <= set(names) else "more than one: %s" % more


copies.OURS += ("x-spam-score",)


def usual(**given):
    """One who keeps the original, two copies, and one who gets none."""
    return Mail("", "p1 dn1 mn1", "p2", {"p1": "SE p1", "p2": "SE p2", "mn1": "S", "dn1": "-"}, dsn="dn1", **given)


def tell(story, what, why=None):
    why = story.judge() if why is None else why
    say(not why, what, "%s (%s)" % (why, ", ".join(a.answer[:60] for a in story.attempts)))


def counts_of(story):
    found = story.arrived()
    return {n: len(found.get(ADDRESS[n], {}).get(story.mail.id, [])) for n in story.mail.gets}


# The listener fails.

def once(listener, what, ends=(), rcpt=None, first="451 4.4.2"):
    listener.forget()
    listener.ends, listener.rcpt = list(ends), rcpt or {}
    story = Story(listener, usual())
    answer = story.attempt()
    say(answer.startswith(first), "listener %s: the first answer" % what, answer)
    listener.rcpt = {}
    if answer != "accept" and not story.until_accepted():
        say(False, "listener %s: the last answer" % what, story.attempts[-1].answer)
    return story


def listener_fails(listener):
    tell(once(listener, "works", first="accept"), "listener works: each has one")
    tell(once(listener, "dies between the copies", ["", "dropped"]), "listener dies between the copies: each has one")
    tell(once(listener, "dies before the first", ["dropped"]), "listener dies before the first: each has one")
    tell(once(listener, "dies before the report", ["", "", "dropped"]), "listener dies before the report: each has one")
    tell(once(listener, "is full", ["", "452 4.3.1 full"]), "listener is full: each has one")
    tell(once(listener, "says 5xx to a text", ["", "554 5.6.0 no"]), "listener says 5xx to a text: it is tried again")
    tell(once(listener, "says 4xx to a recipient", rcpt={ADDRESS["p2"]: "450 4.2.0 later"}),
         "listener says 4xx to a recipient: each has one")
    story = once(listener, "loses an answer", ["", "lost"])
    counts = counts_of(story)
    tell(story, "listener loses an answer: that copy alone may come again",
         "" if sorted(counts.values()) == [0, 1, 1, 2] and counts["dn1"] == 0 else str(counts))


def listener_refuses_one(listener):
    listener.forget()
    listener.rcpt = {ADDRESS["p2"]: "550 5.1.1 nobody here"}
    story = Story(listener, Mail("", "p1 mn1", "p2", {"p1": "SE p1", "mn1": "S", "p2": "-"}, dsn="p2"))
    story.attempt()
    tell(story, "listener refuses one: the others have it, and the sender is told")


def listener_is_slow(listener):
    listener.forget()
    listener.ends = ["", "slow"]
    story = Story(listener, usual())
    start = time.monotonic()
    answer = story.attempt()
    say(answer.startswith("451") and time.monotonic() - start < DEADLINE_S + 1, "listener is slow: 451 by the deadline",
        answer)
    say(story.until_accepted(), "listener is slow: the retry", story.attempts[-1].answer)
    tell(story, "listener is slow: that copy alone may come again", story.second(("p2", "mn1")))


def listener_is_down(listener):
    port = listener.port
    listener.close()
    story = Story(listener, usual())
    answer = story.attempt()
    say(answer.startswith("451 4.4.2"), "listener is down: 451", answer)
    listener = Listener(port)
    story.listener = listener
    story.until_accepted()
    tell(story, "listener is back: each has one")
    return listener


# Mails that look alike.

def without(mail, *names):
    for name in names:
        mail.raw = re.sub(name.encode() + rb": .*\r\n", b"", mail.raw)


def equal_mails(listener):
    for names in (("Message-ID",), ("Date",), ("Message-ID", "Date")):
        listener.forget()
        first = Story(listener, usual())
        without(first.mail, *names)
        for _ in range(2):
            first.attempt()
        counts = counts_of(first)
        say(counts == {"p1": 2, "p2": 2, "mn1": 2, "dn1": 0}, "two equal mails without %s both arrive" %
            " and ".join(names), str(counts))
        listener.forget()
        listener.ends = ["", "dropped"]
        again = Story(listener, usual())
        without(again.mail, *names)
        again.until_accepted()
        tell(again, "and one that is tried again arrives once")
    listener.forget()
    listener.ends = ["", "dropped"]
    story = Story(listener, usual())
    text = story.mail.raw
    for count in range(20):
        # What Postfix writes where there was none, anew each time.
        story.mail.raw = text.replace(b"Message-ID: <", b"Message-ID: <2026.4Q%05d." % (Attempt.count + 1))
        story.mail.raw = story.mail.raw.replace(b"10:00:00", b"10:00:%02d" % count)
        if story.attempt() == "accept":
            break
    counts = counts_of(story)
    say(counts == {"p1": 1, "p2": 1, "mn1": 1, "dn1": 0}, 
        "a Message-ID that the MTA made does not make a retry another mail", str(counts))


def sent_again(listener):
    """The same Message-ID, Date and body: sent once more by its author, or another program's notification."""
    listener.forget()
    story = Story(listener, usual())
    story.attempt()
    story.attempt()
    counts = counts_of(story)
    say(counts == {"p1": 2, "p2": 1, "mn1": 1, "dn1": 0}, "an accepted mail that comes again repeats no copy", str(counts))
    story.mail.raw = b"Resent-Date: Sun, 22 Nov 2026 11:00:00 +0000\r\n" + story.mail.raw
    story.attempt()
    again = counts_of(story)
    say(again["p2"] == 2 and again["mn1"] == 2, "resent by its author it arrives again", str(again))
    listener.forget()
    listener.ends = ["", "dropped"]
    one, other = Story(listener, usual()), Story(listener, usual())
    for story, subject in (one, b"red"), (other, b"green"):
        without(story.mail, "Message-ID", "Subject")
        story.mail.raw = b"Subject: " + subject + b"\r\n" + one.mail.raw.replace(b"Subject: red\r\n", b"")
    one.attempt()
    other.until_accepted()
    one.until_accepted()
    subjects = sorted((r, mailcheck.field(raw, "Subject")[0]) for _, to, raw in listener.taken for r in to
                      if r == ADDRESS["mn1"])
    say([subject for _, subject in subjects] == ["green", "red"],
        "two mails without Message-ID that differ in their subjects both arrive", str(subjects))


def at_once(listener):
    listener.forget()
    listener.ends = ["slow"]
    story = Story(listener, usual())
    first = threading.Thread(target=story.attempt)
    first.start()
    listener.reached.wait(10)
    second = story.attempt()
    say(second.startswith("451"), "the same on two connections: the second waits", second)
    first.join()
    story.until_accepted()
    tell(story, "the same on two connections: only what was never answered comes again", story.second(("p2", "mn1")))


def regrouped(listener):
    """Between the attempts somebody's certificate goes: he moves from one group to another."""
    listener.forget()
    listener.ends = ["", "dropped"]
    story = Story(listener, Mail("", "m1 mn1 o1", "", {"m1": "SE m1", "mn1": "S", "o1": "P"}))
    story.attempt()
    has_one = [n for n in story.mail.gets if len(story.arrived().get(ADDRESS[n], {}))]
    write_back = mailcheck.read(path("certs", "m1.crt"))
    os.unlink(path("certs", "m1.crt"))
    time.sleep(2.5)
    story.until_accepted()
    counts = counts_of(story)
    say(len(has_one) == 1 and set(counts.values()) == {1}, "another grouping repeats nothing",
        "%s, then %s" % (has_one, counts))
    mailcheck.write(path("certs", "m1.crt"), write_back)
    time.sleep(2.5)


# The gateway dies.

POINTS = ("copies-ready", "copy-send", "copy-sent", "copy-kept", "report-sent", "before-end", "before-answer",
          "recorder-commit", "recorder-answer")


# The one window: the listener has taken it, and it is not on disk.
WINDOW = ("copy-sent", "report-sent", "recorder-commit")


def killed(listener, point, nth):
    """At the nth copy or report: until then the listener took one less."""
    listener.forget()
    story = Story(listener, usual())
    if nth == 1:
        Gateway.die_at(point)
    else:
        listener.armed = lambda taken: Gateway.die_at(point) if taken == nth - 1 else None
    story.until_accepted(100)
    what = "killed at %s, %d" % (point, nth)
    say(not os.path.exists(FAULT), what + ": it was")
    if point not in WINDOW:
        return tell(story, what + ": each has one")
    counts = counts_of(story)
    more = [n for n, count in counts.items() if count == 2]
    bad = counts.pop("dn1") != 0 or not set(counts.values()) <= {1, 2} or len(more) > 1
    tell(story, what + ": one copy at most came again", str(counts) if bad else "")


def gateway_dies(listener):
    for point in POINTS:
        killed(listener, point, 1)
    for point in ("copy-send", "copy-sent", "copy-kept"):
        killed(listener, point, 2)
    for point in ("recorder-commit", "recorder-answer"):
        killed(listener, point, 2)
        killed(listener, point, 3)


# Loops.

def come_back(raw, name):
    """What the gateway makes of a copy that comes to it: its body."""
    back = Mail("", name, "", {name: "P"})
    back.raw = raw
    attempt = Attempt(back)
    say(attempt.answer == "accept" and b"X-SMIME-Milter-Pass" not in attempt.raw,
        "a copy that comes back loses the field", attempt.answer)
    return mailcheck.split(attempt.raw)[1]


def replayed(listener):
    listener.forget()
    Story(listener, Mail("", "w1", "w2", {"w1": "SE w1", "w2": "SE w2"})).attempt()
    raw, body = listener.taken[0][2], mailcheck.split(listener.taken[0][2])[1]
    names = ["w2", "w1"] if listener.taken[0][1] == [ADDRESS["w2"]] else ["w1", "w2"]
    say(come_back(raw, names[1]) != body, "with another recipient it is a mail like any other")
    other = raw[:-20] + raw[-16:]
    say(come_back(other, names[0]) != mailcheck.split(other)[1], "so it is with another body")
    say(come_back(raw, names[0]) == body, "it passes untouched")
    say(come_back(raw, names[0]) != body, "but once")


def main():
    copies.make_people([name for name, (_, known) in copies.PEOPLE.items() if known])
    listener = Listener()
    gateway = Gateway(listener).start()
    try:
        Gateway.connect().close()
        listener_fails(listener)
        listener_refuses_one(listener)
        listener_is_slow(listener)
        equal_mails(listener)
        sent_again(listener)
        at_once(listener)
        regrouped(listener)
        replayed(listener)
        gateway_dies(listener)
        listener = listener_is_down(listener)
    finally:
        status = gateway.stop()
    say(status == 0, "the gateway ends well", str(status))
    say(b"secret" not in mailcheck.read(path("once.log")), "no content in the log")
    listener.close()
    return 1 if checks.failures else 0


if __name__ == "__main__":
    sys.exit(main())
