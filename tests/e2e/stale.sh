#!/usr/bin/env bash
# stale.sh - what a directory found before, while it is away: see stale.py. BUILDDIR has the programs.
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapdelete openssl; do
	command -v $command > /dev/null || { echo "skip - stale: $command is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/stale.py" "${BUILDDIR:-.}" "$@"
