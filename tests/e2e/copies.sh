#!/usr/bin/env bash
# copies.sh - a private real Postfix with the gateway before it and a reinjection listener behind: who gets which copy.
# This part makes the world; copies.py has the table of what must become of each mail. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
PATH=$PATH:/usr/sbin:/usr/libexec
[ "$(id -u)" = 0 ] || { echo "skip - copies: a private Postfix needs root"; exit 0; }
for command in postfix python3 openssl; do
	command -v $command > /dev/null || { echo "skip - copies: $command is not installed"; exit 0; }
done
work=$(mktemp -d) || exit 1
chmod 755 "$work"
gateways=()
status=0

finish() {
	local gateway
	for gateway in ${gateways[@]+"${gateways[@]}"}; do kill -TERM "$gateway" 2> /dev/null; done
	"$support/postfix.sh" stop "$work/postfix" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

copies() { python3 "$top/tests/e2e/copies.py" "$work" "$top" "$@" || status=1; }
fail() { echo "not ok - $1"; exit 1; }
port() { "$support/postfix.sh" port; }

start_gateway() {	# NAME
	"$build/smime-milter" -n -c "$work/$1.conf" > "$work/$1.check" 2>&1 || fail "$1: $(tail -n 3 "$work/$1.check")"
	"$build/smime-milter" -f -c "$work/$1.conf" > "$work/$1.log" 2>&1 < /dev/null &
	gateways+=($!)
	for _ in $(seq 100); do
		[ -S "$work/run/$1.sock" ] && return
		sleep 0.1
	done
	fail "the gateway $1 starts: $(tail -n 3 "$work/$1.log")"
}

# The second gateway's copies come back to itself; the second lock is the one that is shipped.
more_services() {
	local lock=$top/etc/postfix-second-lock.example
	{
		echo "127.0.0.1:$loop_out inet n - n - - smtpd"
		echo "  -o smtpd_milters=unix:$work/run/loop.sock"
		echo "  -o milter_macro_daemon_name=ORIGINATING"
		echo "127.0.0.1:$loop_again inet n - n - - smtpd"
		echo "  -o smtpd_milters=unix:$work/run/loop.sock"
		echo "  -o milter_macro_daemon_name=ORIGINATING"
		sed -n '/^# master.cf/,$p' "$lock" | sed "s/10027/$locked/; s/FILTER smtp:/FILTER sink:/"
	} >> "$work/postfix/postfix/master.cf"
	sed '/^# master.cf/,$d' "$lock" | sed "s/10027/$locked/; s/FILTER smtp:/FILTER sink:/
		s/partner.example/locked.example/" >> "$work/postfix/postfix/main.cf"
	postfix -c "$work/postfix/postfix" reload > /dev/null 2>&1 || fail "Postfix reloads"
	for _ in $(seq 100); do
		(: < "/dev/tcp/127.0.0.1/$locked") 2> /dev/null && return
		sleep 0.1
	done
	fail "nothing listens for the second lock: $(tail -n 3 "$work/postfix/maillog")"
}

out=$(port) in=$(port) again=$(port) loop_out=$(port) loop_again=$(port) locked=$(port)
mkdir -m 700 "$work/state-copies" "$work/state-loop" && mkdir "$work/run"
copies make "$again" "$loop_again" "$(port)"
[ $status = 0 ] || fail "keys and certificates"
chown -R nobody "$work/state-copies" "$work/state-loop" "$work/run" "$work/keys"
start_gateway copies
start_gateway loop
"$support/postfix.sh" start "$work/postfix" "unix:$work/run/copies.sock" "$out" "$in" "$again" || fail "Postfix starts"
more_services
copies table "$out" "$in" "$again"
copies loop "$loop_out" "$loop_again"
copies lock "$out" "$again"
exit $status
