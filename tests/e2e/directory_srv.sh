#!/usr/bin/env bash
# directory_srv.sh - LDAP servers that the DNS names: see directory_srv.py, which runs in a network and a mount namespace
# of its own, with its own resolv.conf and name server. BUILDDIR has the programs.
for command in slapd ldapsearch openssl python3 unshare mount; do
	PATH=$PATH:/usr/sbin:/usr/libexec command -v $command > /dev/null ||
		{ echo "skip - directory_srv: $command is not installed"; exit 0; }
done
unshare -m -n true 2> /dev/null || { echo "skip - directory_srv: namespaces need root"; exit 0; }
exec unshare -m -n python3 "$(dirname "$0")/directory_srv.py" "${BUILDDIR:-.}" "$@"
