#!/usr/bin/env bash
# directory_kerberos.sh - GSSAPI binds with a private KDC: see directory_kerberos.py. BUILDDIR has the programs.
for command in slapd ldapsearch openssl python3 krb5kdc kdb5_util kadmin.local; do
	PATH=$PATH:/usr/sbin:/usr/libexec command -v $command > /dev/null ||
		{ echo "skip - directory_kerberos: $command is not installed"; exit 0; }
done
for plugin in /usr/lib*/sasl2/libgssapiv2.so /usr/lib/*/sasl2/libgssapiv2.so; do
	[ ! -e "$plugin" ] || exec python3 "$(dirname "$0")/directory_kerberos.py" "${BUILDDIR:-.}" "$@"
done
echo "skip - directory_kerberos: libsasl2-modules-gssapi-mit is not installed"
