#!/usr/bin/env bash
# directory.sh - bench_directory against slapds of 1,000 to 200,000 persons, each with a certificate: is the cost flat?
# BUILDDIR has the program. Arguments: numbers of persons.
set -eu
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
PATH=$PATH:/usr/sbin:/usr/libexec
command -v slapd > /dev/null || { echo "slapd is not installed"; exit 1; }
work=$(mktemp -d)
trap '"$support/slapd.sh" stop "$work/slapd" 2> /dev/null; rm -rf "$work"' EXIT
[ $# -gt 0 ] || set -- 1000 20000 200000

# As people's are: issued by somebody else.
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/ca.key" -out "$work/ca" -subj /CN=CA -days 365 2> /dev/null
openssl req -newkey rsa:2048 -nodes -keyout "$work/key" -out "$work/request" -subj /CN=person 2> /dev/null
openssl x509 -req -in "$work/request" -CA "$work/ca" -CAkey "$work/ca.key" -out "$work/cert" -days 365 2> /dev/null
certificate=$(openssl x509 -in "$work/cert" -outform DER | base64 -w 0)

persons() {	# N
	"$support/slapd.sh" top
	awk -v n="$1" -v certificate="$certificate" 'BEGIN {
		for (i = 0; i < n; i++) {
			printf "dn: uid=%d,ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\n", i
			printf "objectClass: extensibleObject\n"
			printf "uid: %d\ncn: person %d\nsn: person\nmail: person-%d@example.com\n", i, i, i
			printf "proxyAddresses: SMTP:person-%d@example.com\nproxyAddresses: smtp:p%d@example.com\n", i, i
			printf "userCertificate;binary:: %s\n\n", certificate
		}
	}'
}

for n in "$@"; do
	persons "$n" > "$work/ldif"
	mkdir -p "$work/slapd"
	port=$("$support/postfix.sh" port)
	"$support/slapd.sh" start "$work/slapd" "$port" "$work/ldif"
	"$build/tests/bench/bench_directory" "ldap://127.0.0.1:$port/" "$n"
	"$support/slapd.sh" stop "$work/slapd"
	rm -rf "$work/slapd" "$work/ldif"
done
