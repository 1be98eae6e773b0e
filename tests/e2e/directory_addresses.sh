#!/usr/bin/env bash
# directory_addresses.sh - whose certificate an address finds, with a real slapd: see directory_addresses.py. BUILDDIR has
# the programs.
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapsearch openssl python3; do
	command -v $command > /dev/null || { echo "skip - directory_addresses: $command is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/directory_addresses.py" "${BUILDDIR:-.}" "$@"
