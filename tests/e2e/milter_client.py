#!/usr/bin/env python3
"""A small MTA's side of the milter protocol (version 6), to talk to a milter without an MTA.

As a library: MilterClient speaks the commands one by one; send_message does a whole transaction and returns a Result,
whose apply() gives the message as an MTA would pass it on. As a program: the message on stdin, the result as JSON on
stdout. Only the standard library is needed.
"""

import argparse
import json
import socket
import struct
import sys

# Steps that a filter may ask to be spared, by command letter (SMFIP_NO*), and those it does not answer (SMFIP_NR_*).
SKIP = {"C": 0x01, "H": 0x02, "M": 0x04, "R": 0x08, "B": 0x10, "L": 0x20, "N": 0x40, "U": 0x100, "T": 0x200}
NO_REPLY = {"L": 0x80, "C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "U": 0x20000, "N": 0x40000,
            "B": 0x80000}
LEADING_BLANK = 0x100000
ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF
CHUNK = 65535


class MilterError(Exception):
    """The filter closed the connection or broke the protocol."""


def parse_socket(text):
    """(family, address) of unix:PATH, local:PATH, PATH, inet:PORT@HOST or inet:HOST:PORT."""
    kind, _, rest = text.partition(":")
    if text.startswith("/"):
        return socket.AF_UNIX, text
    if kind in ("unix", "local"):
        return socket.AF_UNIX, rest
    if kind not in ("inet", "inet6"):
        raise ValueError("socket %r: expected unix:PATH or inet:PORT@HOST" % text)
    port, at, host = rest.partition("@")
    if not at:
        host, _, port = rest.rpartition(":")
    host = (host or "127.0.0.1").strip("[]")
    return (socket.AF_INET6 if ":" in host or kind == "inet6" else socket.AF_INET), (host, int(port))


class Result:
    """What the filter answered at the end of a message."""

    def __init__(self):
        self.action = ""        # accept, continue, reject, tempfail, discard, skip, reply
        self.reply = ""         # "550 5.7.5 ..." where action is "reply", reject or tempfail with a text
        self.edits = []         # ("delete"|"change"|"insert"|"add", ...) in the order in which they came
        self.body = None        # bytes of a new body, None: unchanged
        self.progress = 0

    def accepted(self):
        return self.action in ("accept", "continue")

    def as_dict(self):
        edits = [[part.decode("latin-1") if isinstance(part, bytes) else part for part in edit] for edit in self.edits]
        return {"action": self.action, "reply": self.reply, "edits": edits, "progress": self.progress,
                "body_bytes": None if self.body is None else len(self.body)}

    def apply(self, headers, body, leading_blank=True):
        """headers: [(name, value)] with leading blanks and LF folds. Returns (headers, body) after the edits."""
        fields = list(headers)
        for edit in self.edits:
            kind = edit[0]
            if kind == "insert":
                fields.insert(edit[1], (edit[2], edit[3] if leading_blank else b" " + edit[3]))
            elif kind == "add":
                fields.append((edit[1], edit[2] if leading_blank else b" " + edit[2]))
            else:
                places = [i for i, field in enumerate(fields) if field[0].lower() == edit[2].lower()]
                if edit[1] <= len(places):
                    place = places[max(edit[1], 1) - 1]
                    if kind == "delete":
                        del fields[place]
                    else:
                        fields[place] = (edit[2], edit[3])
        return fields, body if self.body is None else self.body


class MilterClient:
    def __init__(self, target, actions=ALL_ACTIONS, steps=ALL_STEPS, timeout=60):
        family, address = parse_socket(target)
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        try:
            self.sock.connect(address)
            self._negotiate(actions, steps)
        except (OSError, MilterError):
            self.sock.close()
            raise

    def _negotiate(self, actions, steps):
        self._send("O", struct.pack("!III", 6, actions, steps))
        command, data = self._receive()
        if command != "O":
            raise MilterError("negotiation answered with %r" % command)
        self.version, self.actions, self.steps = struct.unpack("!III", data[:12])

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.close()

    @property
    def leading_blank(self):
        return bool(self.steps & LEADING_BLANK)

    def _send(self, command, data=b""):
        self.sock.sendall(struct.pack("!I", len(data) + 1) + command.encode() + data)

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise MilterError("the filter closed the connection")
            data += more
        return data

    def _receive(self):
        n = struct.unpack("!I", self._exactly(4))[0]
        data = self._exactly(n)
        return chr(data[0]), data[1:]

    def _command(self, command, data=b""):
        """Sends and waits for the answer, unless the filter asked not to be told or does not answer."""
        if self.steps & SKIP.get(command, 0):
            return "continue", ""
        self._send(command, data)
        if self.steps & NO_REPLY.get(command, 0):
            return "continue", ""
        return self._answer()

    def _answer(self, result=None):
        names = {"c": "continue", "a": "accept", "r": "reject", "t": "tempfail", "d": "discard", "s": "skip",
                 "f": "connection-failed"}
        while True:
            command, data = self._receive()
            if command in names:
                return names[command], ""
            if command == "y":
                return "reply", data.rstrip(b"\0").decode("latin-1")
            if command == "p" or result is None:
                if command != "p":
                    raise MilterError("answer %r before the end of the message" % command)
                if result is not None:
                    result.progress += 1
                continue
            self._edit(result, command, data)

    @staticmethod
    def _edit(result, command, data):
        if command == "b":
            result.body = (result.body or b"") + data
        elif command == "h":
            name, value = data.split(b"\0")[:2]
            result.edits.append(("add", name, value))
        elif command in "mi":
            index = struct.unpack("!I", data[:4])[0]
            name, value = data[4:].split(b"\0")[:2]
            kind = "insert" if command == "i" else "change" if value else "delete"
            result.edits.append((kind, index, name, value))
        else:
            result.edits.append(("other", command, data))

    def macros(self, command, values):
        """values: {"i": "4Xk", "{auth_authen}": "alice"}; sent before the command they belong to."""
        data = b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in values.items())
        self._send("D", command.encode() + data)

    def connect(self, name="localhost", ip="127.0.0.1", port=12345):
        kind = b"6" if ":" in ip else b"4"
        return self._command("C", name.encode() + b"\0" + kind + struct.pack("!H", port) + ip.encode() + b"\0")

    def connect_unknown(self, name="localhost"):
        return self._command("C", name.encode() + b"\0U")

    def helo(self, name="client.example"):
        return self._command("H", name.encode() + b"\0")

    def mail(self, address, *arguments):
        return self._command("M", b"".join(a.encode() + b"\0" for a in ("<%s>" % address,) + arguments))

    def rcpt(self, address, *arguments):
        return self._command("R", b"".join(a.encode() + b"\0" for a in ("<%s>" % address,) + arguments))

    def data(self):
        return self._command("T")

    def header(self, name, value):
        """value: bytes behind the colon, folds as LF."""
        if not self.leading_blank and value.startswith(b" "):
            value = value[1:]
        return self._command("L", name + b"\0" + value + b"\0")

    def eoh(self):
        return self._command("N")

    def body(self, data):
        answer = ("continue", "")
        for start in range(0, len(data), CHUNK):
            answer = self._command("B", data[start:start + CHUNK])
            if answer[0] != "continue":
                break
        return answer

    def end(self):
        result = Result()
        self._send("E")
        result.action, result.reply = self._answer(result)
        return result

    def abort(self):
        self._send("A")

    def close(self):
        try:
            self._send("Q")
        except OSError:
            pass
        self.sock.close()


def split_message(raw):
    """([(name, value)], body) of a message with LF or CRLF lines; the body gets CRLF lines."""
    text = raw.replace(b"\r\n", b"\n")
    head, _, body = text.partition(b"\n\n") if not text.startswith(b"\n") else (b"", b"", text[1:])
    fields = []
    for line in head.rstrip(b"\n").split(b"\n") if head else []:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] = (fields[-1][0], fields[-1][1] + b"\n" + line)
        else:
            name, _, value = line.partition(b":")
            fields.append((name, value))
    return fields, body.replace(b"\n", b"\r\n")


def join_message(headers, body):
    """CRLF lines throughout."""
    head = b"".join(name + b":" + value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"
                    for name, value in headers)
    return head + b"\r\n" + body


def send_message(client, raw, sender, recipients, queue_id="4TestQueue", auth=None, mail_args=()):
    """A transaction on a connected client. Returns (Result, headers, body): what was sent, for Result.apply."""
    headers, body = split_message(raw)
    macros = {"{mail_addr}": sender}
    if auth:
        macros["{auth_authen}"] = auth
    client.macros("M", macros)
    answers = [client.mail(sender, *mail_args)]
    for recipient in recipients:
        client.macros("R", {"{rcpt_addr}": recipient})
        answers.append(client.rcpt(recipient))
    answers.append(client.data())
    answers += [client.header(name, value) for name, value in headers]
    answers.append(client.eoh())
    answers.append(client.body(body))
    bad = [a for a in answers if a[0] not in ("continue", "skip")]
    if bad:
        result = Result()
        result.action, result.reply = bad[0]
        return result, headers, body
    client.macros("E", {"i": queue_id})
    return client.end(), headers, body


def main():
    parser = argparse.ArgumentParser(description="Hands a message (stdin) to a milter and prints what it answers.")
    parser.add_argument("--socket", required=True, help="unix:PATH or inet:PORT@HOST")
    parser.add_argument("--from", dest="sender", default="", help="envelope sender; default: the null sender")
    parser.add_argument("--rcpt", action="append", required=True)
    parser.add_argument("--client", default="127.0.0.1", help="IP address of the SMTP client")
    parser.add_argument("--auth", help="SASL login")
    parser.add_argument("--daemon", default="smtpd", help="{daemon_name}")
    parser.add_argument("--queue-id", default="4TestQueue")
    parser.add_argument("--out", help="file for the message as it would go on")
    args = parser.parse_args()
    with MilterClient(args.socket) as client:
        client.macros("C", {"{daemon_name}": args.daemon})
        client.connect(ip=args.client)
        client.helo()
        result, headers, body = send_message(client, sys.stdin.buffer.read(), args.sender, args.rcpt, args.queue_id,
                                             args.auth)
        leading_blank = client.leading_blank
    json.dump(result.as_dict(), sys.stdout, indent=1)
    print()
    if args.out and result.accepted():
        with open(args.out, "wb") as out:
            out.write(join_message(*result.apply(headers, body, leading_blank)))
    return 0 if result.accepted() else 1


if __name__ == "__main__":
    sys.exit(main())
