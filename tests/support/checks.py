"""What whole-process tests say and run: a line a check in the words of tests/summary, and other programs.

Only Python's standard library. Several threads may talk at once.
"""

import subprocess
import sys

failures = 0


def line(text):
    """One write, so that lines do not mix."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(good, text, reason=""):
    global failures
    failures += not good
    line(("ok - " if good else "not ok - ") + text + (": " + reason if reason and not good else ""))


def run(*command, data=b""):
    """Status, output, and what it said on stderr, on one line."""
    done = subprocess.run(command, input=data, capture_output=True)
    return done.returncode, done.stdout, done.stderr.decode("latin-1").replace("\n", " ").strip()


def must(*command, data=b""):
    rc, out, text = run(*command, data=data)
    if rc != 0:
        raise SystemExit("%s: %s" % (" ".join(command[:3]), text))
    return out
