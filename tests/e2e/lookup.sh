#!/usr/bin/env bash
# lookup.sh - the process that asks directories for all workers: see lookup.py. BUILDDIR has the programs.
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapsearch; do
	command -v $command > /dev/null || { echo "skip - lookup: $command is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/lookup.py" "${BUILDDIR:-.}" "$@"
