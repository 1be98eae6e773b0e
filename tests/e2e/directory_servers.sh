#!/usr/bin/env bash
# directory_servers.sh - LDAP servers that are slow, dead, wrong or not allowed: see directory_servers.py. BUILDDIR has
# the programs.
for command in slapd ldapsearch openssl python3; do
	PATH=$PATH:/usr/sbin:/usr/libexec command -v $command > /dev/null ||
		{ echo "skip - directory_servers: $command is not installed"; exit 0; }
done
exec python3 "$(dirname "$0")/directory_servers.py" "${BUILDDIR:-.}" "$@"
