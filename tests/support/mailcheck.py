"""What whole-process tests ask of messages: messages of odd shapes, and whether two say the same.

Reading and writing files is here too. Only Python's standard library. Nothing here comes from the gateway: MIME is read
by Python's email package or cut by hand.
"""

import base64
import email
import os
import re

ALICE_PNG = bytes(range(256)) * 6

# name: (Content-* and MIME-Version lines, body); bodies have LF lines.
SHAPES = {
    "ascii": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n", b"Hello,\n\n@@\n\nRegards\n"),
    "no-mime": ("", b"No MIME field at all.\n@@\n"),
    "no-mime-version": ("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n",
                        b"<p>Gr=C3=BC=C3=9Fe, a soft=\n line @@</p>\n"),
    "utf8-8bit": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n",
                  "Grüße aus Köln, ÿ € 漢字\n@@\n\ttab\n".encode()),
    "utf8-undeclared": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n",
                        "Straße ohne CTE @@\n".encode()),
    "flowed": ('MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii;\n\tformat=flowed; delsp="yes"\n',
               b"A paragraph that goes \non and on \nto the end @@.\n-- \nSignature \t \n   \n"),
    "from-line": ("MIME-Version: 1.0\nContent-Type: text/plain\n",
                  b"From the start.\n\nFrom here on\n>From there\n.\n..\n--\n@@\n"),
    "long-line": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7bit\n",
                  b"long " + b"x" * 4990 + b" end\nshort @@\n"),
    "empty": ("MIME-Version: 1.0\nContent-Type: text/plain\n", b""),
    "no-final-newline": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n",
                         b"The end @@ has no newline"),
    "folded-fields": ("Mime-Version: (made) 1.0 (by hand)\ncontent-type: TEXT/plain;\n   (a comment)\n\t"
                      'charset="us-ascii" ; x-note="a; b=\\"c\\""\nContent-Description: a\n  folded   description\n'
                      "CONTENT-ID: <id@example.com>\n", b"@@ fields of odd looks\n"),
    "attachments": (
        'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="outer b"\n',
        b"A preamble @@pre\n--outer b\nContent-Type: multipart/alternative; boundary=inner\n\n--inner\n"
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" +
        "Schöne Grüße @@\n".encode() +
        b"\n--inner\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n"
        b"<p>Gr\xfc\xdfe</p> \n--inner--\n\n--outer b\nContent-Type: application/octet-stream; name=data.bin\n"
        b"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=data.bin\n\n" +
        base64.encodebytes(ALICE_PNG) + b"--outer b\nContent-Type: text/csv; charset=windows-1252\n"
        b"Content-Disposition: attachment;\n filename*=utf-8''%e2%82%ac.csv\nContent-Transfer-Encoding: 8bit\n\n"
        b"a;b;\x80\n--outer b--\nAn epilogue @@epi\n"),
    "forwarded": (
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=fwd\n",
        b"--fwd\nContent-Type: text/plain\n\nSee below.\n--fwd\nContent-Type: message/rfc822\n"
        b"Content-Transfer-Encoding: 8bit\n\nFrom: <mallory@else.example>\nTo: <x@else.example>\n"
        b"Subject: inside\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        b"Content-Transfer-Encoding: 8bit\n\n" + "Drinnen: ä @@ \n".encode() + b"\n--fwd--\n"),
    "rfc822": ("MIME-Version: 1.0\nContent-Type: message/rfc822\n",
               b"From: <mallory@else.example>\nSubject: a whole message\n\nIts text @@\n"),
    "large": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n",
              "".join("Zeile %d: größer als ein Stück @@\n" % i for i in range(4000)).encode()),
    "binary-bytes": ("MIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-15\n"
                     "Content-Transfer-Encoding: 8bit\n", b"bare\rcr, \x0c, \x7f, \xa4 and \x1b[1m @@\n"),
}

STRICT = [name for name in SHAPES if name not in ("empty", "no-final-newline")]


def read(name):
    with open(name, "rb") as file:
        return file.read()


def write(name, data):
    """Bytes, or text as UTF-8; makes the folders on the way."""
    os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return name


def make(shape, fields, marker="marker"):
    """A message with LF lines; fields: text of whole header lines."""
    mime, body = SHAPES[shape]
    return fields.encode() + mime.encode() + b"\n" + body.replace(b"@@", marker.encode())


def crlf(data):
    return re.sub(rb"\r?\n", b"\r\n", data)


def split(raw):
    """([exact field lines with LF], body) of a message or entity with LF or CRLF lines."""
    match = re.search(rb"\r?\n\r?\n", raw) if not raw.startswith((b"\n", b"\r\n")) else re.match(rb"\r?\n", raw)
    head, body = (raw[:match.start()], raw[match.end():]) if match else (raw, b"")
    fields = re.split(rb"\n(?![ \t])", head.replace(b"\r\n", b"\n")) if head else []
    return [f for f in fields if f], body


def field(raw, name):
    """All values of a field, unfolded."""
    fields, _ = split(raw)
    found = [f.partition(b":")[2] for f in fields if f.partition(b":")[0].strip().lower() == name.lower().encode()]
    return [re.sub(rb"\n[ \t]+", b" ", v).strip().decode("latin-1") for v in found]


def is_mime(line):
    name = line.partition(b":")[0].strip().lower()
    return name.startswith(b"content-") or name == b"mime-version"


def others(raw, ignore=()):
    """Fields that no wrapping may change, in order."""
    fields, _ = split(raw)
    return [f for f in fields if not is_mime(f) and f.partition(b":")[0].lower().decode("latin-1") not in ignore]


def cut_signed(raw):
    """(exact signed bytes, CMS object) of a multipart/signed message with CRLF lines, by the letter of RFC 2046."""
    message = email.message_from_bytes(raw)
    boundary = b"--" + message.get_boundary().encode()
    body = raw[raw.index(b"\r\n\r\n") + 2:]
    first = body.index(b"\r\n" + boundary + b"\r\n") + len(boundary) + 4
    end = body.index(b"\r\n" + boundary + b"\r\n", first)
    signature = message.get_payload()[1]
    return body[first:end], signature.get_payload(decode=True)


def cms_object(raw):
    """The object of an application/pkcs7-mime message."""
    return email.message_from_bytes(raw).get_payload(decode=True)


def is_canonical(entity, clear):
    """'' or what is wrong with an entity that is signed or encrypted (RFC 8551 3.1)."""
    if re.search(rb"[\x00\x80-\xff]", entity):
        return "a byte over 127 or NUL"
    if re.search(rb"\r(?!\n)|(?<!\r)\n", entity):
        return "a bare CR or LF"
    if any(len(line) > 998 for line in entity.split(b"\r\n")):
        return "a line over 998 bytes"
    if clear and re.search(rb"\r\nFrom ", entity):
        return "a line that begins with From"
    if clear and re.search(rb"[ \t]\r\n", entity.partition(b"\r\n\r\n")[2]):
        return "blanks at the end of a line"
    return ""


def leaf(part, strict):
    data = part.get_payload(decode=True) or b""
    data = data.replace(b"\r\n", b"\n")
    return data if strict or not data.endswith(b"\n") else data[:-1]


def difference(a, b, strict=True, where="message"):
    """'' or where two parsed messages differ in what they say."""
    if a.get_content_type() != b.get_content_type():
        return "%s: %s became %s" % (where, a.get_content_type(), b.get_content_type())
    params = [sorted((re.sub(r"\(.*?\)\s*", "", k.lower()), v) for k, v in (m.get_params() or [])[1:]) for m in (a, b)]
    params = [[p for p in known if p[0] != "charset"] for known in params]
    if params[0] != params[1]:
        return "%s: parameters %s became %s" % (where, params[0], params[1])
    if (a.get_content_charset() or "us-ascii") != (b.get_content_charset() or "us-ascii"):
        return "%s: charset %s became %s" % (where, a.get_content_charset(), b.get_content_charset())
    if a.get_filename() != b.get_filename() or a.get_content_disposition() != b.get_content_disposition():
        return where + ": another name"
    if a.is_multipart() != b.is_multipart():
        return where + ": parts"
    if not a.is_multipart():
        left, right = leaf(a, strict), leaf(b, strict)
        return "" if left == right else "%s: content %r became %r" % (where, left[:200], right[:200])
    if len(a.get_payload()) != len(b.get_payload()):
        return where + ": number of parts"
    for i, (x, y) in enumerate(zip(a.get_payload(), b.get_payload())):
        if a.get_content_type() == "message/rfc822" and [
                (k, v) for k, v in x.items() if k.lower() != "content-transfer-encoding"] != [
                (k, v) for k, v in y.items() if k.lower() != "content-transfer-encoding"]:
            return "%s.%d: fields" % (where, i + 1)
        found = difference(x, y, strict, "%s.%d" % (where, i + 1))
        if found:
            return found
    return ""


def same(original, entity, strict=True):
    """'' or the first difference between a message and the entity that was made of it."""
    return difference(email.message_from_bytes(original), email.message_from_bytes(entity), strict)
