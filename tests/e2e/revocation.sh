#!/usr/bin/env bash
# revocation.sh - CRLs and OCSP answers that the daemon fetches: see revocation.py. BUILDDIR has the programs.
exec python3 "$(dirname "$0")/revocation.py" "${BUILDDIR:-.}" "$@"
