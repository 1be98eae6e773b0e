#!/usr/bin/env bash
# directory_values.sh - every form in which directories keep people's certificates, and the choice among them, in a
# private real slapd and in a private Samba domain controller (or Active Directory's attributes in slapd, where Samba
# cannot run): see directory_values.py. BUILDDIR has smimectl; KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapadd python3 openssl; do
	command -v $command > /dev/null || { echo "skip - directory_values: $command is not installed"; exit 0; }
done
work=$(mktemp -d /tmp/values.XXXXXX) || exit 1
status=0

finish() {
	sh "$support/samba.sh" stop "$work/ad" 2> /dev/null
	sh "$support/slapd.sh" stop "$work/slapd" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

values() { python3 "$top/tests/e2e/directory_values.py" "$work" "$build" "$@" || status=1; }
fail() { echo "not ok - directory_values: $1"; exit 1; }

mkdir "$work/slapd"
sh "$support/samba.sh" start "$work/ad" 2> "$work/samba.why" & samba=$!
values make
port=$("$support/postfix.sh" port)
sh "$support/slapd.sh" start "$work/slapd" "$port" "$work/slapd.ldif" || fail "slapd starts"
values slapd "ldap://127.0.0.1:$port/"
if wait $samba; then
	echo "# Active Directory: $(samba --version | sed s,Version,Samba,)"
	values samba "$(cat "$work/ad/uri")"
else
	echo "# Active Directory: its attributes in slapd, since Samba cannot run: $(tail -n 1 "$work/samba.why")"
	values adschema "ldap://127.0.0.1:$port/"
fi
exit $status
