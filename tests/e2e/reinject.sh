#!/usr/bin/env bash
# reinject.sh - mails handed back to a private real Postfix: over TCP, a unix socket and TLS. What arrived is read from its
# queue: sender, parameters, XFORWARD and the very bytes. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
PATH=$PATH:/usr/sbin
[ "$(id -u)" = 0 ] || { echo "skip - reinject: a private Postfix needs root"; exit 0; }
for command in postfix postcat openssl; do
	command -v $command > /dev/null || { echo "skip - reinject: $command is not installed"; exit 0; }
done
work=$(mktemp -d) || exit 1
chmod 755 "$work"
status=0

finish() {
	"$support/postfix.sh" stop "$work/postfix" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

check() {	# NAME COMMAND…
	local name=$1
	shift
	"$@" > /dev/null 2>&1 && { echo "ok - $name"; return; }
	echo "not ok - $name: $(tail -n 2 "$work/out" 2> /dev/null | tr '\n' ' ')"
	status=1
}

# Listeners like those of a reinjection, but that what they take stays on hold, to be looked at.
start_world() {
	local port tls_port
	port=$("$support/postfix.sh" port)
	tls_port=$("$support/postfix.sh" port)
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 -subj /CN=x \
		-addext subjectAltName=IP:127.0.0.1 2> /dev/null || return 1
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$work/other.key" -out "$work/other.pem" -days 2 -subj /CN=y \
		-addext subjectAltName=IP:127.0.0.1 2> /dev/null || return 1
	"$support/postfix.sh" start "$work/postfix" "" "$("$support/postfix.sh" port)" "$("$support/postfix.sh" port)" ||
		return 1
	local common='  -o smtpd_milters=
  -o receive_override_options=no_address_mappings,no_unknown_recipient_checks,no_header_body_checks
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o smtpd_end_of_data_restrictions=$reinject_hold
  -o smtpd_recipient_restrictions=$reinject_recipients'
	{
		echo "127.0.0.1:$port inet n - n - - smtpd"
		echo "$common"
		echo "127.0.0.1:$tls_port inet n - n - - smtpd"
		echo "$common"
		echo "  -o smtpd_tls_security_level=encrypt"
		echo "  -o smtpd_tls_chain_files=$work/key.pem,$work/cert.pem"
		echo "reinject unix n - n - - smtpd"
		echo "$common"
	} >> "$work/postfix/postfix/master.cf"
	{
		echo 'reinject_hold = check_client_access static:HOLD'
		echo 'reinject_recipients = check_recipient_access inline:{no@b.example=REJECT},'
		echo '  check_recipient_access inline:{later@b.example=DEFER}, permit'
	} >> "$work/postfix/postfix/main.cf"
	postfix -c "$work/postfix/postfix" reload > /dev/null 2>&1 || return 1
	inet=inet:127.0.0.1:$port
	tls=inet:127.0.0.1:$tls_port
	for _ in $(seq 100); do
		(: < "/dev/tcp/127.0.0.1/$tls_port") 2> /dev/null && return
		sleep 0.1
	done
	return 1
}

reinject() { "$build/tests/support/reinject_once" "$@" > "$work/out" 2>&1; }
queued() { sed -n 's/^sent //p' "$work/out"; }
record() { postcat -c "$work/postfix/postfix" -q "$(queued)" > "$work/record" 2>&1; }
# The body as it stands in the queue, whose lines end with LF.
same_body() { postcat -c "$work/postfix/postfix" -bq "$(queued)" | sed 1d | cmp - <(sed '1,/^\r*$/d; s/\r$//' "$1"); }
has() { grep -aqF -- "$1" "$work/record"; }

start_world || { echo "not ok - Postfix starts"; exit 1; }
{
	printf 'Message-ID: <1@example.com>\r\nSubject:  two blanks\r\n\tfolded\r\n\r\n.\r\n..dots\r\n.x\r\n'
	printf '\xe4\xc3\xa4 8 bit\r\n\r\n%0998d\r\nlast\r\n' 7
} > "$work/mail"
{ printf 'Subject: big\r\n\r\n'; head -c 6000000 /dev/urandom | base64 -w 76 | sed 's/$/\r/; s/^/./'; } > "$work/big"

reinject "$inet" - alice@example.com "RET=HDRS ENVID=QQ+2B314 SIZE=1 BODY=7BIT" "$work/mail" \
	bob@b.example "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@b.example" carol@b.example NOTIFY=NEVER
check "Postfix takes a mail" [ -n "$(queued)" ]
record
check "ENVID" has "envelope_id=QQ+314"
check "RET" has "ret_flags=2"
check "8-bit is declared" grep -aqi 'encoding=8bit' "$work/record"
check "ORCPT" has "dsn_orig_rcpt=rfc822;Bob+x@b.example"
check "NOTIFY, for each recipient" [ "$(sed -n 's/.*notify_flags=//p' "$work/record" | tr '\n' ' ')" = "6 1 " ]
check "XFORWARD: address" has "log_client_address=192.0.2.7"
check "XFORWARD: helo, name, port and the old queue id" \
	test "$(grep -acE 'log_(helo_name=helo.example.net|client_name=client.example.net|client_port=4711|ident=4Xk2Q3)' \
	"$work/record")" = 4
check "the body's bytes" same_body "$work/mail"
check "the header's bytes" grep -aqz $'Subject:  two blanks\n\tfolded\n' <(postcat -c "$work/postfix/postfix" -hq "$(queued)")

reinject "$inet" - "" "" "$work/big" bob@b.example ""
check "8 MB from the null sender" same_body "$work/big"
reinject "$inet" - $'j\xc3\xb6rg@example.com' SMTPUTF8 "$work/mail" $'\xc3\xa4@b.example' ""
record
check "SMTPUTF8" has $'j\xc3\xb6rg@example.com'
reinject "$inet" - alice@example.com "" "$work/mail" no@b.example "" bob@b.example ""
check "one recipient is refused, the other has it" grep -q '^554 5.7.1' "$work/out"
check "the mail that one has" same_body "$work/mail"
before=$(ls "$work/postfix/queue/hold" | wc -l)
reinject "$inet" - alice@example.com "" "$work/mail" no@b.example ""
check "all are refused" [ $? = 1 ]
reinject "$inet" - alice@example.com "" "$work/mail" bob@b.example "" later@b.example ""
check "one later is all later" [ $? = 2 ]
check "and nothing was queued" [ "$before" = "$(ls "$work/postfix/queue/hold" | wc -l)" ]
reinject "unix:$work/postfix/queue/public/reinject" - alice@example.com "" "$work/mail" bob@b.example ""
check "a unix socket" same_body "$work/mail"
reinject "$tls" - alice@example.com "" "$work/mail" bob@b.example ""
check "a listener that wants TLS refuses what comes without" grep -q 'STARTTLS' "$work/out"
reinject "$tls" "$work/cert.pem" alice@example.com "" "$work/big" bob@b.example ""
check "TLS" same_body "$work/big"
reinject "$tls" "$work/other.pem" alice@example.com "" "$work/mail" bob@b.example ""
check "a certificate of somebody else's is not trusted" grep -q 'certificate' "$work/out"
exit $status
