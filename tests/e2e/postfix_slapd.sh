#!/usr/bin/env bash
# postfix_slapd.sh - 200 mixed mails through a private real Postfix and the daemon, with certificates from a private
# real slapd: each treated as the rules say, none in plaintext while slapd is away. This part makes the world and stops
# and starts its servers; mixed_mails.py makes, sends and judges mail. SEED=n repeats a run, KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
PATH=$PATH:/usr/sbin:/usr/libexec
[ "$(id -u)" = 0 ] || { echo "skip - postfix_slapd: a private Postfix needs root"; exit 0; }
for command in postfix slapd ldapsearch python3 openssl; do
	command -v $command > /dev/null || { echo "skip - postfix_slapd: $command is not installed"; exit 0; }
done
work=$(mktemp -d) || exit 1
chmod 755 "$work"
gateway=''
seed=${SEED:-$(($(date +%s) % 100000))}
status=0

finish() {
	[ -z "$gateway" ] || kill -TERM "$gateway" 2> /dev/null
	"$support/postfix.sh" stop "$work/postfix" 2> /dev/null
	"$support/slapd.sh" stop "$work/slapd" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

mails() { python3 "$top/tests/e2e/mixed_mails.py" "$work" "$top" "$seed" "$@" || status=1; }
fail() { echo "not ok - $1"; exit 1; }

start_gateway() {
	"$build/smime-milter" -n -c "$work/site.conf" > "$work/check.log" 2>&1 || fail "$(tail -n 3 "$work/check.log")"
	"$build/smime-milter" -f -c "$work/site.conf" > "$work/gateway.log" 2>&1 < /dev/null &
	gateway=$!
	for _ in $(seq 100); do
		[ -S "$work/run/milter.sock" ] && return
		sleep 0.1
	done
	fail "the gateway starts: $(tail -n 3 "$work/gateway.log")"
}

start_world() {
	local ldap again
	echo "seed $seed"
	ldap=$("$support/postfix.sh" port)
	again=$("$support/postfix.sh" port)
	mails make "$ldap" "$again"
	[ $status = 0 ] || fail "keys, certificates and entries"
	mkdir -m 700 "$work/state" && mkdir "$work/run" "$work/slapd"
	chown -R nobody "$work/state" "$work/run" "$work/keys" "$work/ldap.secret"
	"$support/slapd.sh" start "$work/slapd" "$ldap" "$work/people.ldif" || fail "slapd starts"
	start_gateway
	out=$("$support/postfix.sh" port)
	in=$("$support/postfix.sh" port)
	"$support/postfix.sh" start "$work/postfix" "unix:$work/run/milter.sock" "$out" "$in" "$again" ||
		fail "Postfix starts"
}

same_gateway() {
	kill -0 "$gateway" 2> /dev/null && echo "ok - the gateway has run all the time" && return
	echo "not ok - the gateway died: $(tail -n 1 "$work/gateway.log")"
	status=1
}

start_world
mails mixed "$out" "$in"
"$support/slapd.sh" stop "$work/slapd"
mails away "$out" "$in"
"$support/slapd.sh" again "$work/slapd" || fail "slapd starts again"
mails back "$out" "$in"
kill -STOP "$(cat "$work/slapd/slapd.pid")"
mails hangs "$out" "$in"
kill -CONT "$(cat "$work/slapd/slapd.pid")"
same_gateway
mails end "$out" "$in"
exit $status
