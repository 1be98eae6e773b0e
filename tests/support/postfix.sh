#!/usr/bin/env bash
# postfix.sh - a private real Postfix: own configuration, queue and data directories, loopback ports, folders
# DIR/mail/DOMAIN/USER as the world's mailboxes. The machine's own Postfix is neither read nor touched.
#
#   postfix.sh start DIR MILTER OUT_PORT IN_PORT [AGAIN_PORT [MILTER]]
#                                                   submission listener (daemon name ORIGINATING), MX listener, and one
#                                                   for copies that come back, as smime-milter.conf(5) has it; the
#                                                   milter there is for trying loops
#   postfix.sh stop DIR
#   postfix.sh send PORT FROM FILE RCPT…            speaks SMTP; prints the server's answers, exit 0 if accepted
#   postfix.sh wait DIR ADDRESS N [SECONDS]         until ADDRESS has N messages; prints their files
#   postfix.sh port                                 a free loopback port
# MILTER in Postfix's words: unix:/path or inet:127.0.0.1:1234. Needs root.
set -eu

die() { echo "postfix.sh: $*" >&2; exit 1; }

free_port() {
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 20000))
		(: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
	die "no free port"
}

write_main() {
	cat > "$1/postfix/main.cf" <<-CF
	compatibility_level = 3.6
	config_directory = $1/postfix
	queue_directory = $1/queue
	data_directory = $1/data
	maillog_file = $1/maillog
	maillog_file_prefixes = $1
	myhostname = mx.example.com
	mydestination =
	inet_interfaces = loopback-only
	inet_protocols = ipv4
	mynetworks = 127.0.0.0/8
	smtpd_recipient_restrictions = permit_mynetworks, permit_auth_destination, reject
	smtpd_relay_restrictions = permit_mynetworks, permit_auth_destination, reject
	smtpd_authorized_xclient_hosts = 127.0.0.0/8
	smtpd_peername_lookup = no
	smtp_dns_support_level = disabled
	relay_domains = static:ALL
	relay_transport = sink
	sink_destination_recipient_limit = 1
	alias_maps =
	alias_database =
	message_size_limit = 104857600
	mailbox_size_limit = 0
	default_process_limit = 20
	bounce_queue_lifetime = 10m
	milter_default_action = tempfail
	milter_protocol = 6
	smtpd_milters = $2
	non_smtpd_milters =
	CF
	cat > "$1/deliver" <<-'SH'
	#!/bin/sh
	# deliver BASE RECIPIENT - the world's mailboxes: a file a message
	mailbox=$1/${2#*@}/${2%@*}
	mkdir -p "$mailbox" && file=$(mktemp "$mailbox/.XXXXXXXX") && cat > "$file" &&
	mv "$file" "$mailbox/$(date +%s%N).eml" || exit 75
	SH
	chmod 755 "$1/deliver"
}

# Copies come back here: nothing is copied a second time, and the loop guard's field ends.
write_again() {	# PORT MILTER
	cat <<-CF
	127.0.0.1:$1 inet n - n - - smtpd
	  -o smtpd_milters=$2
	  -o milter_macro_daemon_name=ORIGINATING
	  -o cleanup_service_name=cleanup-again
	  -o receive_override_options=no_unknown_recipient_checks
	  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
	  -o smtpd_client_restrictions=
	  -o smtpd_relay_restrictions=permit_mynetworks,reject
	  -o smtpd_recipient_restrictions=
	cleanup-again unix n - n - 0 cleanup
	  -o always_bcc= -o sender_bcc_maps= -o recipient_bcc_maps=
	  -o { header_checks = regexp:{{/^X-SMIME-Milter-Pass:/ IGNORE}} }
	  -o mime_header_checks= -o nested_header_checks= -o body_checks=
	CF
}

write_master() {
	local chrootless="unix - - n - 0" service
	{
		echo "127.0.0.1:$2 inet n - n - - smtpd"
		echo "  -o milter_macro_daemon_name=ORIGINATING"
		echo "127.0.0.1:$3 inet n - n - - smtpd"
		echo "  -o milter_macro_daemon_name=MX"
		[ -z "$4" ] || write_again "$4" "$5"
		echo "pickup unix n - n 60 1 pickup"
		echo "cleanup unix n - n - 0 cleanup"
		echo "qmgr unix n - n 300 1 qmgr"
		echo "rewrite unix - - n - - trivial-rewrite"
		echo "tlsmgr unix - - n 1000? 1 tlsmgr"
		for service in bounce defer trace; do echo "$service $chrootless bounce"; done
		echo "verify unix - - n - 1 verify"
		echo "flush unix n - n 1000? 0 flush"
		echo "proxymap unix - - n - - proxymap"
		echo "smtp unix - - n - - smtp"
		echo "error unix - - n - - error"
		echo "retry unix - - n - - error"
		echo "discard unix - - n - - discard"
		echo "sink unix - n n - 10 pipe flags=q user=nobody null_sender= argv=$1/deliver $1/mail \${recipient}"
		echo "anvil unix - - n - 1 anvil"
		echo "scache unix - - n - 1 scache"
		echo "postlog unix-dgram n - n - 1 postlogd"
	} > "$1/postfix/master.cf"
}

wait_port() {
	for _ in $(seq 100); do
		(: < "/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.1
	done
	die "nothing listens on port $1"
}

start() {
	local dir
	mkdir -p "$1"
	dir=$(cd "$1" && pwd)
	mkdir -p "$dir/postfix" "$dir/queue" "$dir/data" "$dir/mail"
	chown postfix "$dir/data"
	chown 65534:65534 "$dir/mail"
	chmod 755 "$dir" "$dir/queue" "$dir/mail"
	write_main "$dir" "$2"
	write_master "$dir" "$3" "$4" "${5:-}" "${6:-}"
	postfix -c "$dir/postfix" start > "$dir/postfix.out" 2>&1 || { cat "$dir/postfix.out" >&2; die "does not start"; }
	wait_port "$3"
	wait_port "$4"
	[ -z "${5:-}" ] || wait_port "$5"
}

stop() {
	[ -f "$1/postfix/main.cf" ] || return 0
	postfix -c "$(cd "$1" && pwd)/postfix" stop >/dev/null 2>&1 || true
}

answer() {	# reads one SMTP reply from descriptor 3
	local line
	while IFS= read -r -t 60 line <&3; do
		line=${line%$'\r'}
		echo "$line"
		[ "${line:3:1}" = - ] || { [ "${line:0:1}" -lt 4 ]; return; }
	done
	return 1
}

say() { printf '%s\r\n' "$1" >&3; answer; }

send() {
	local port=$1 from=$2 file=$3 rcpt rc=0
	shift 3
	exec 3<> "/dev/tcp/127.0.0.1/$port"
	answer > /dev/null
	say "EHLO client.test" > /dev/null
	[ -z "${XCLIENT:-}" ] || { say "XCLIENT $XCLIENT" >/dev/null; say "EHLO client.test" > /dev/null; }
	say "MAIL FROM:<$from> BODY=8BITMIME" > /dev/null || rc=1
	for rcpt in "$@"; do say "RCPT TO:<$rcpt>" || rc=1; done | grep -v '^250 ' || true
	say DATA > /dev/null || rc=1
	sed -e 's/\r$//' -e 's/^\./../' -e 's/$/\r/' "$file" >&3
	say . || rc=1
	say QUIT > /dev/null || true
	exec 3>&-
	return $rc
}

wait_mail() {
	local dir=$1/mail/${2#*@}/${2%@*} seconds=${4:-30} i
	for i in $(seq $((seconds * 10))); do
		[ "$(find "$dir" -name "*.eml" 2>/dev/null | wc -l)" -ge "$3" ] && { find "$dir" -name "*.eml" | sort; return 0; }
		sleep 0.1
	done
	echo "postfix.sh: $2 has not got $3 messages in $seconds s" >&2
	return 1
}

command=${1:-}
shift || die "usage: start | stop | send | wait | port"
case $command in
start) start "$@" ;;
stop) stop "$@" ;;
send) send "$@" ;;
wait) wait_mail "$@" ;;
port) free_port ;;
*) die "unknown command $command" ;;
esac
