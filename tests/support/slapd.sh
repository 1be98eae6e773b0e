#!/bin/sh
# slapd.sh - a private LDAP server for tests: OpenLDAP's slapd on loopback, as the current user, everything below DIR.
#
#   slapd.sh start DIR PORT LDIF     loads LDIF, starts, returns when it answers; 77: no slapd on this machine
#   slapd.sh stop DIR                ends it; DIR/slapd.pid is its process id (kill -STOP: a server that hangs)
#   slapd.sh again DIR               starts it again with what it had
#   slapd.sh top                     prints the LDIF of the suffix and ou=people below it
#   slapd.sh person MAIL [ATTRIBUTE FILE]…   prints the LDIF of a person; values are read from files (DER)
#
# Suffix dc=example,dc=com, administrator cn=admin,dc=example,dc=com with the password "secret", anybody may read. An
# extensibleObject may have proxyAddresses.
# Environment for start: SLAPD_TLS_CERT, SLAPD_TLS_KEY (PEM): StartTLS, and ldaps:// on PORT + 1;
# SLAPD_ACCESS: "by …" clauses instead of "by * read"; SLAPD_SIZELIMIT: what slapd.conf(5) has after sizelimit;
# SLAPD_MORE: further lines of slapd.conf(5), for all databases; SLAPD_LDAPI: a socket to listen on, too.
# SLAPD_OVERLAY: lines behind the database.
set -eu

suffix=dc=example,dc=com
slapd=$(PATH=$PATH:/usr/sbin:/usr/libexec command -v slapd || true)

write_configuration()
{
	mkdir -p "$dir/db"
	{
		for name in core cosine inetorgperson; do
			echo "include /etc/ldap/schema/$name.schema"
		done
		# Active Directory's own; OpenLDAP's msuser.schema has it without the matching rule by which it is found.
		echo "attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch"
		echo "  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"
		echo "pidfile $dir/slapd.pid"
		echo "argsfile $dir/slapd.args"
		echo "modulepath /usr/lib/ldap"
		echo "moduleload back_mdb"
		echo "sizelimit ${SLAPD_SIZELIMIT:-500}"
		if [ -n "${SLAPD_TLS_CERT:-}" ]; then
			echo "TLSCertificateFile $SLAPD_TLS_CERT"
			echo "TLSCertificateKeyFile $SLAPD_TLS_KEY"
		fi
		[ -z "${SLAPD_MORE:-}" ] || echo "$SLAPD_MORE"
		echo "database mdb"
		echo "suffix $suffix"
		echo "rootdn cn=admin,$suffix"
		echo "rootpw secret"
		echo "directory $dir/db"
		echo "dbnosync"
		echo "maxsize 4294967296"	# it is sparse
		echo "index objectClass,mail,proxyAddresses eq"
		echo "access to attrs=userPassword by anonymous auth by * none"
		echo "access to * ${SLAPD_ACCESS:-by * read}"
		echo "${SLAPD_OVERLAY:-}"
	} > "$dir/slapd.conf"
}

run()
{
	"$slapd" -f "$dir/slapd.conf" -h "$(cat "$dir/uris")" -n "slapd-test" || return 1
	tries=0
	until ldapsearch -x -LLL -H "$(cut -d' ' -f1 "$dir/uris")" -s base -b '' 1.1 > /dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || { echo "slapd.sh: slapd does not answer" >&2; return 1; }
		sleep 0.1
	done
}

start()
{
	dir=$1 port=$2 ldif=$3
	[ -n "$slapd" ] || { echo "slapd.sh: no slapd here" >&2; exit 77; }
	write_configuration
	uris="ldap://127.0.0.1:$port/"
	[ -z "${SLAPD_TLS_CERT:-}" ] || uris="$uris ldaps://127.0.0.1:$((port + 1))/"
	[ -z "${SLAPD_LDAPI:-}" ] || uris="$uris ldapi://$(echo "$SLAPD_LDAPI" | sed 's,/,%2f,g')"
	echo "$uris" > "$dir/uris"
	"$(dirname "$slapd")/slapadd" -q -f "$dir/slapd.conf" -l "$ldif"
	run
}

stop()
{
	dir=$1
	[ -s "$dir/slapd.pid" ] || return 0
	pid=$(cat "$dir/slapd.pid")
	kill -CONT "$pid" 2> /dev/null || true
	kill "$pid" 2> /dev/null || return 0
	# It removes its file last; the process itself stays for who has to reap it.
	tries=0
	while [ -e "$dir/slapd.pid" ] && kill -0 "$pid" 2> /dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 250 ] || kill -KILL "$pid"
		sleep 0.02
	done
	rm -f "$dir/slapd.pid"
}

top()
{
	printf 'dn: %s\nobjectClass: domain\ndc: example\n\n' "$suffix"
	printf 'dn: ou=people,%s\nobjectClass: organizationalUnit\nou: people\n\n' "$suffix"
}

person()
{
	mail=$1
	shift
	printf 'dn: cn=%s,ou=people,%s\nobjectClass: inetOrgPerson\ncn: %s\nsn: %s\nmail: %s\n' \
		"$mail" "$suffix" "$mail" "$mail" "$mail"
	while [ $# -ge 2 ]; do
		printf '%s:: %s\n' "$1" "$(base64 -w 0 "$2")"
		shift 2
	done
	echo
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
start) start "$@" ;;
stop) stop "$@" ;;
again) dir=$1; run ;;
top) top ;;
person) person "$@" ;;
*) sed -n '2,16s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
