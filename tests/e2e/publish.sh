#!/usr/bin/env bash
# publish.sh - smimectl certs publish: own certificates into a private real slapd, as a partner's gateway then finds and
# uses them, and as SMIMEA records. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
smimectl=$build/smimectl
for command in slapd ldapsearch openssl python3; do
	PATH=$PATH:/usr/sbin:/usr/libexec command -v $command > /dev/null ||
		{ echo "skip - publish: $command is not installed"; exit 0; }
done
work=$(mktemp -d) || exit 1
failed=0

finish() {
	"$support/slapd.sh" stop "$work/slapd" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; head -c 400 "$work/stderr"; failed=1; }

is() {	# STATUS NAME COMMAND…
	local status=$1 name=$2 rc; shift 2
	"$@" > "$work/stdout" 2> "$work/stderr" < "${input:-/dev/null}"; rc=$?
	[ $rc = "$status" ] && ok "$name" || not_ok "$name: exit status $rc, not $status"
}
has() { grep -Eq -- "$3" "$2" && ok "$1" || not_ok "$1: nothing like $3 in $(head -c 300 "$2")"; }
no() { grep -Eq -- "$3" "$2" && not_ok "$1: $3 is there" || ok "$1"; }
entry() {
	ldapsearch -x -LLL -o ldif-wrap=no -H "$uri" -b dc=example,dc=com "(mail=$1)" userCertificate userSMIMECertificate
}

# Two organizations: ours has the keys of alice and bob; the partner has the root and asks the directory.
make_world() {
	local port
	port=$("$support/postfix.sh" port)
	uri=ldap://127.0.0.1:$port/
	"$smimectl" demo-ca "$work/demo" > /dev/null || { echo "not ok - demo-ca"; exit 1; }
	mkdir "$work/slapd"
	{
		"$support/slapd.sh" top
		"$support/slapd.sh" person alice@example.com
		"$support/slapd.sh" person bob@example.com
		"$support/slapd.sh" person carol@example.com
		"$support/slapd.sh" person bob@example.com | sed 's/^dn: cn=/&second /'
	} > "$work/people.ldif"
	"$support/slapd.sh" start "$work/slapd" "$port" "$work/people.ldif" || { echo "not ok - slapd starts"; exit 1; }
	(umask 077; echo secret > "$work/ldap.secret"; echo wrong > "$work/wrong.secret")
	local directory="{ type = \"ldap\"; uri = \"$uri\"; base = \"dc=example,dc=com\"; cache_s = 0;
		negative_cache_s = 0; filter = \"(mail=%{address})\"; }"
	cat > "$work/own.conf" <<-CF
	socket = "inet:127.0.0.1:1"; state_dir = "$work"; local_domains = [ "example.com" ];
	keystores = ( { type = "pem"; path = "$work/demo/keys"; } );
	directories = ( { type = "files"; path = "$work/demo/certs"; cache_s = 5; }, $directory );
	rules = ( { id = "all"; } );
	CF
	cat > "$work/partner.conf" <<-CF
	socket = "inet:127.0.0.1:1"; state_dir = "$work"; local_domains = [ "partner.example" ];
	collections = ( { name = "c"; files = "$work/demo/roots.pem"; revocation = "off"; } );
	directories = ( $directory );
	rules = ( { id = "out"; direction = "outbound"; encrypt = "require";
		    ciphers = [ "aes128-cbc", "aes256-gcm", "aes256-cbc" ]; } );
	CF
}

own() { "$smimectl" -c "$work/own.conf" certs publish "$@"; }
partner() { "$smimectl" -c "$work/partner.conf" "$@"; }
writer() { own "$@" --bind-dn cn=admin,dc=example,dc=com --password-file "$work/ldap.secret"; }

test_refusals() {
	is 2 'one option without the other' own alice@example.com --bind-dn cn=admin,dc=example,dc=com
	is 2 'a directory and none' writer alice@example.com --smimea
	is 1 'nobody has keys of strangers' writer mallory@example.com
	is 1 'no key of ours' writer carol@example.com
	is 4 'who may read may not write' own alice@example.com
	has 'the server says why' "$work/stderr" 'userCertificate: .*(requires|access|authentication)'
	is 4 'a wrong password' own alice@example.com --bind-dn cn=admin,dc=example,dc=com --password-file "$work/wrong.secret"
	is 1 'two entries of one address' writer bob@example.com
	has 'it is said' "$work/stderr" 'several entries have the address'
	[ -z "$(entry bob@example.com | grep -i 'certificate')" ] && ok 'neither has it' || not_ok 'neither has it'
}

test_ldap() {
	is 1 'before, the partner finds none' partner certs find alice@example.com
	is 0 'certs publish' writer alice@example.com
	has 'two values' "$work/stdout" 'cn=alice@example.com,ou=people,dc=example,dc=com: 2 values added, 0 were there'
	entry alice@example.com > "$work/entry"
	has 'userCertificate' "$work/entry" '^userCertificate;binary:: '
	has 'userSMIMECertificate' "$work/entry" '^userSMIMECertificate:: '
	sed -n 's/^userSMIMECertificate:: //p' "$work/entry" | base64 -d > "$work/value.p7"
	: > "$work/nothing"
	is 0 'openssl: a signature over nothing' openssl cms -verify -inform DER -in "$work/value.p7" -content "$work/nothing" \
		-binary -CAfile "$work/demo/roots.pem" -purpose any
	openssl cms -cmsout -print -inform DER -in "$work/value.p7" > "$work/printed"
	has 'capabilities' "$work/printed" 'S/MIME Capabilities'
	has 'key preference' "$work/printed" 'id-smime-aa-encrypKeyPref'
	sed -n 's/^userCertificate;binary:: //p' "$work/entry" | base64 -d > "$work/value.der"
	is 0 'openssl: a certificate' openssl verify -CAfile "$work/demo/roots.pem" -untrusted "$work/value.p7.pem" "$work/value.der"
	is 0 'certs publish again' writer alice@example.com
	has 'changes nothing' "$work/stdout" ': 0 values added, 2 were there'
	is 0 'the partner finds it' partner certs find alice@example.com --json
	has 'usable' "$work/stdout" '"usable": true'
	has 'from both attributes' "$work/stdout" 'userSMIMECertificate'
	printf 'From: x@partner.example\nTo: alice@example.com\nSubject: s\n\nhello\n' > "$work/mail"
	input=$work/mail
	is 0 'the partner encrypts to it' partner process --auth x --from x@partner.example --rcpt alice@example.com --out "$work/out"
	input=''
	openssl cms -cmsout -print -in "$work/out/0.eml" > "$work/printed" 2> "$work/stderr"
	has 'by the capabilities that were published' "$work/printed" 'aes-256-gcm'
	is 0 'and alice reads it' openssl cms -decrypt -in "$work/out/0.eml" -recip "$work/alice.crt" -inkey "$work/alice.key"
	has 'as it was' "$work/stdout" 'hello'
}

test_smimea() {
	is 0 'certs publish --smimea' own alice@example.com --smimea
	has 'the owner and the record' "$work/stdout" "^$(printf alice | sha256sum | cut -c1-56)\._smimecert\.example\.com\. IN SMIMEA 3 0 0 3082[0-9a-fA-F]+\$"
	cut -d' ' -f7 "$work/stdout" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' > "$work/record.der"
	openssl x509 -in "$work/alice.crt" -outform DER | cmp -s - "$work/record.der" && ok 'the certificate itself' ||
		not_ok 'the certificate itself'
}

make_world
openssl x509 -in "$work/demo/keys/alice.pem" -out "$work/alice.crt"
openssl pkey -in "$work/demo/keys/alice.pem" -out "$work/alice.key"
openssl crl2pkcs7 -nocrl -certfile "$work/demo/keys/alice.pem" 2> /dev/null | openssl pkcs7 -print_certs > "$work/value.p7.pem"
test_refusals
test_ldap
test_smimea
exit $failed
