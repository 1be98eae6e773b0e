#!/usr/bin/env bash
# smimea.sh - certificates from the DNS, proven by DNSSEC: see smimea.py. BUILDDIR has the programs.
exec python3 "$(dirname "$0")/smimea.py" "${BUILDDIR:-.}" "$@"
