#!/usr/bin/env bash
# harvest.sh - certificates learned from signed mail: see harvest.py. BUILDDIR has the programs.
exec python3 "$(dirname "$0")/harvest.py" "${BUILDDIR:-.}" "$@"
