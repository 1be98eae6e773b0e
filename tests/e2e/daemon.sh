#!/usr/bin/env bash
# daemon.sh - the daemon's life: start, reload, death of workers, stop, limits. See daemon.py; BUILDDIR has smime-milter.
exec python3 "$(dirname "$0")/daemon.py" "${BUILDDIR:-.}/smime-milter" "$@"
