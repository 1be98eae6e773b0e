#!/usr/bin/env bash
# ctl.sh - smimectl from outside: its own demonstration CA, each direction through the whole gateway, the commands, their
# reports and exit statuses. OpenSSL's command line is the other side. SMIMECTL=PATH or BUILDDIR=DIR.
set -u
smimectl=${SMIMECTL:-${BUILDDIR:-build}/smimectl}
work=$(mktemp -d "${TMPDIR:-/tmp}/smimectl.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failures=0
conf=$work/demo/smime-milter.conf

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failures=$((failures + 1)); [ -z "${2:-}" ] || sed 's/^/    /' "$2"; }

# is STATUS NAME COMMAND... - runs it with stdout and stderr in $work; $input is its stdin
input=/dev/null
is() {
	local want=$1 name=$2 got; shift 2
	"$@" < "$input" > "$work/stdout" 2> "$work/stderr"; got=$?
	if [ $got = "$want" ]; then ok "$name"; else not_ok "$name: exit $got, not $want" "$work/stderr"; fi
}

# has NAME FILE REGEX, lacks NAME FILE REGEX
has() { if [ -r "$2" ] && tr -d '\r' < "$2" | grep -qE -- "$3"; then ok "$1"; else not_ok "$1: no $3 in ${2##*/}"; fi; }
lacks() { if [ ! -r "$2" ] || tr -d '\r' < "$2" | grep -qE -- "$3"; then not_ok "$1: $3 in ${2##*/}"; else ok "$1"; fi; }
same() { if cmp -s "$2" "$3"; then ok "$1"; else not_ok "$1"; fi; }
absent() { if [ -e "$2" ]; then not_ok "$1"; else ok "$1"; fi; }

ctl() { "$smimectl" -c "$conf" "$@"; }
# outbound STATUS NAME FROM RCPT... - process as a user who has logged in, into $work/out
outbound() {
	local status=$1 name=$2 from=$3 rcpt args=(); shift 3
	for rcpt in "$@"; do args+=(--rcpt "$rcpt"); done
	rm -rf "$work/out"
	is "$status" "$name" ctl process --auth "$from" --from "$from" "${args[@]}" --out "$work/out"
}
inbound() {
	rm -rf "$work/out"
	is "$1" "$2" ctl process --client 192.0.2.7 --from carol@partner.example --rcpt bob@example.com --out "$work/out"
}

mail() { printf 'From: <%s>\nTo: <%s>\nSubject: greetings\nMIME-Version: 1.0\nContent-Type: text/plain\n\n%s\n' "$1" "$2" "$3"; }

# ConvertTo-Json > FILE of Windows PowerShell writes UTF-16
test_import_exchange() {
	printf '[{"OWAAlwaysSign":true,"OWABCCEncryptedEmailForking":2,"OWAEncryptionAlgorithms":"6610;6603",' > "$work/x.json"
	printf '"SMIMECertificateIssuingCA":"%s"}]' "$(base64 -w0 "$work/demo/roots.sst")" >> "$work/x.json"
	(printf '\377\376'; iconv -t UTF-16LE "$work/x.json") > "$work/utf16.json"
	is 0 'import-exchange' "$smimectl" import-exchange "$work/utf16.json" --out "$work/imported"
	cp "$work/stdout" "$work/imported.conf"
	has 'import: a line names its parameter' "$work/imported.conf" 'bcc = "together"; +# OWABCCEncryptedEmailForking'
	has 'import: what has no counterpart is told' "$work/stderr" '^OWAEncryptionAlgorithms: 6603'
	has 'import: and is a comment' "$work/imported.conf" '^# OWAEncryptionAlgorithms: 6603'
	same 'import: the certificate store' "$work/imported/exchange.sst" "$work/demo/roots.sst"
	sed -i "s,/etc/smime-milter/keys,$work/demo/keys," "$work/imported.conf"
	is 1 'import: what came out can be used' "$smimectl" -c "$work/imported.conf" keys test nobody@example.com
	is 3 'import: the store is not overwritten' "$smimectl" import-exchange "$work/utf16.json" --out "$work/imported"
	is 0 'import: nothing is written without --out' "$smimectl" import-exchange "$work/x.json"
	is 3 'import: no JSON' "$smimectl" import-exchange "$work/imported.conf"
	is 2 'import: no file' "$smimectl" import-exchange
}

test_usage() {
	is 0 'help' "$smimectl" --help
	is 0 'help of a command' "$smimectl" certs find --help
	is 0 'version' "$smimectl" --version
	has 'version is printed' "$work/stdout" '^smimectl [0-9]'
	is 2 'no command' "$smimectl"
	is 2 'unknown command' "$smimectl" frobnicate
	is 2 'half a command' "$smimectl" certs
	is 2 'approve needs to know whom' "$smimectl" harvest approve
	is 2 'nobody has a certificate' "$smimectl" harvest approve '<>'
	is 2 'unknown command of a group' "$smimectl" keys frobnicate
	has 'is named' "$work/stderr" 'unknown command: keys frobnicate'
	has 'among its own' "$work/stderr" 'keys test'
	lacks 'no others are listed' "$work/stderr" 'demo-ca'
	is 2 'a file in place of standard input' "$smimectl" verify mail.eml
	has 'is told where messages come' "$work/stderr" 'standard input'
	is 2 'unknown option' "$smimectl" verify --frobnicate
	is 2 'option of another command' "$smimectl" verify --rcpt a@b.example
	is 2 'value missing' "$smimectl" sign --from
	is 2 'option missing' "$smimectl" process --from a@b.example --rcpt b@c.example
	has 'usage names the option' "$work/stderr" 'needs --out'
	is 2 'operand missing' "$smimectl" certs find
	is 2 'too many operands' "$smimectl" certs find a@b.example c@d.example
	is 2 'no recipient address' ctl process --from a@b.example --rcpt '' --out "$work/out"
	is 2 'client without address' ctl process --from a@b.example --rcpt b@c.example --client nowhere --out "$work/out"
	is 2 'time that is none' ctl verify --at yesterday
	is 2 'unknown cipher' ctl encrypt --rcpt carol@partner.example --cipher rot13
	absent 'nothing was written' "$work/out"
}

test_config() {
	is 3 'no configuration' "$smimectl" -c "$work/nowhere.conf" verify
	printf 'soket = "x";\nmode = 7;\n' > "$work/bad.conf"
	is 3 'bad configuration' "$smimectl" -c "$work/bad.conf" keys list
	has 'first finding with its line' "$work/stderr" 'bad\.conf:1: .*socket'
	has 'second finding with its line' "$work/stderr" 'bad\.conf:2: '
	is 3 'unknown collection' ctl verify --collection nobody
}

test_demo() {
	is 0 'demo-ca' "$smimectl" demo-ca "$work/demo"
	cp "$work/demo/keys/alice.pem" "$work/alice-before"
	is 0 'demo-ca again' "$smimectl" demo-ca "$work/demo"
	if cmp -s "$work/alice-before" "$work/demo/keys/alice.pem"; then not_ok 'keys are new'; else ok 'keys are new'; fi
	mkdir "$work/full"; : > "$work/full/mine"
	is 3 'demo-ca leaves a full directory alone' "$smimectl" demo-ca "$work/full"
	has 'and says so' "$work/stderr" 'left alone'
	is 0 'its certificates verify' openssl verify -CAfile "$work/demo/roots.pem" "$work/demo"/certs/*.pem
	if [ "$(stat -c %a "$work/demo/keys/alice.pem")" = 600 ]; then ok 'keys are private'; else not_ok 'keys are private'; fi
}

test_outbound() {
	input=$work/mail; mail alice@example.com someone@public.example 'Hello' > "$input"
	outbound 0 'sign' alice@example.com someone@public.example
	has 'signed' "$work/out/0.eml" '^Content-Type: multipart/signed'
	has 'CRLF' <(grep -c -v $'\r$' "$work/out/0.eml") '^0$'
	has 'signed_by' "$work/out/outcome.json" '"signed_by": "alice@example.com"'
	has 'action' "$work/out/outcome.json" '"action": "sign"'
	has 'rule' "$work/out/outcome.json" '"rule": "default"'
	has 'file' "$work/out/outcome.json" '"file": "0.eml"'
	is 0 'openssl verifies it' openssl cms -verify -in "$work/out/0.eml" -CAfile "$work/demo/roots.pem" -out "$work/inner"
	cp "$work/out/0.eml" "$work/signed.eml"

	mail alice@example.com 'carol@partner.example>, <dave@partner.example' 'Hello' > "$input"
	outbound 0 'sign and encrypt' alice@example.com carol@partner.example dave@partner.example
	has 'encrypted' "$work/out/0.eml" '^Content-Type: application/pkcs7-mime'
	lacks 'no plaintext' "$work/out/0.eml" 'Hello'
	has 'encrypted_to' "$work/out/outcome.json" '"role": "recipient"'
	has 'cipher' "$work/out/outcome.json" '"cipher": "aes256-cbc"'
	for name in carol dave; do
		is 0 "$name reads it" openssl cms -decrypt -in "$work/out/0.eml" -inkey "$work/demo/partner-keys/$name.pem" \
			-recip "$work/demo/certs/$name.pem" -out "$work/inner"
		has "$name finds the signature" "$work/inner" 'multipart/signed'
	done
	cp "$work/out/0.eml" "$work/encrypted.eml"

	outbound 1 'no certificate' alice@example.com nobody@partner.example
	has 'reject' "$work/out/outcome.json" '"action": "reject"'
	has 'reply' "$work/out/outcome.json" '"reply": "550 5\.7\.5 S/MIME: no usable certificate for <nobody@partner.example> \(rule partner\)"'
	has 'no message goes on' "$work/out/outcome.json" '"messages": \[\]'
	absent 'no file either' "$work/out/0.eml"

	outbound 0 'recipients who need different treatment' alice@example.com carol@partner.example someone@public.example
	has 'a copy' "$work/out/outcome.json" '"file": "1\.eml"'
	for name in 0 1; do
		if grep -q '^Content-Type: application/pkcs7-mime' "$work/out/$name.eml"; then echo "encrypted"; else echo "plain"; fi
	done | sort > "$work/kinds"
	has 'one is encrypted' <(paste -sd' ' "$work/kinds") '^encrypted plain$'

	is 0 'the originating listener is ours' ctl process --daemon ORIGINATING --from alice@example.com \
		--rcpt someone@public.example --out "$work/out"
	has 'and signs' "$work/out/outcome.json" '"signed_by": "alice@example.com"'
	is 0 'a null sender' ctl process --auth x --from '' --rcpt someone@public.example --out "$work/out"
	has 'is nobody to sign for' "$work/out/outcome.json" '"signed_by": null'
	is 0 'process --json' ctl process --auth x --from '<>' --rcpt someone@public.example --out "$work/out" --json
	same 'reports the same' "$work/stdout" "$work/out/outcome.json"
}

test_internal() {
	input=$work/mail; mail alice@example.com bob@example.com 'Hello' > "$input"
	outbound 0 'internal mail' alice@example.com bob@example.com
	has 'direction' "$work/out/outcome.json" '"direction": "internal"'
	has 'signed' "$work/out/0.eml" '^Content-Type: multipart/signed'
	has 'marked' "$work/out/0.eml" '^Authentication-Results: mx.example.com; smime=none'
}

# A mail signed by Carol herself, with OpenSSL.
partner_mail() {
	printf 'Content-Type: text/plain\r\n\r\nWe accept 100.\r\n' > "$work/part"
	openssl cms -sign -binary -in "$work/part" -crlfeol -signer "$work/demo/partner-keys/carol.pem" -md sha256 \
		-from carol@partner.example -to bob@example.com -subject offer -out "$work/partner.eml" 2> "$work/stderr" ||
		not_ok 'openssl signs' "$work/stderr"
}

test_inbound() {
	partner_mail
	{ printf 'Authentication-Results: mx.example.com; smime=pass\r\nX-SMIME-Layer: mx.example.com; result=pass\r\n'
	  cat "$work/partner.eml"; } > "$work/forged.eml"
	input=$work/forged.eml
	inbound 0 'inbound signed mail'
	has 'passes' "$work/out/outcome.json" '"result": "pass"'
	has 'field' "$work/out/0.eml" '^Authentication-Results: mx.example.com; smime=pass'
	has 'one field alone' <(grep -c '^X-SMIME-Layer:' "$work/out/0.eml") '^1$'
	has 'layers' "$work/out/outcome.json" '"signer": "carol@partner.example"'

	sed 's/accept 100/accept 900/' "$work/partner.eml" > "$work/tampered.eml"
	input=$work/tampered.eml
	inbound 0 'tampered mail is marked'
	has 'as failed' "$work/out/outcome.json" '"result": "fail"'
	has 'integrity' "$work/out/outcome.json" '"integrity": "bad"'

	input=$work/encrypted.eml
	inbound 0 'an envelope is delivered as it came'
	has 'neutral' "$work/out/outcome.json" '"result": "neutral"'
	has 'kept' "$work/out/outcome.json" '"result": "kept"'
}

test_verify() {
	input=$work/partner.eml
	is 0 'verify' ctl verify
	is 0 'verify --json' ctl verify --json
	has 'result' "$work/stdout" '"result": "pass"'
	has 'integers' "$work/stdout" '"layer": 1,'
	has 'collection' "$work/stdout" '"collection": "demo"'
	is 0 'verify by a collection' ctl verify --collection demo
	is 0 'verify --explain' ctl verify --explain
	has 'each check' "$work/stdout" '^  pass +message_digest [(]RFC 5652 5.6[)]'
	is 0 'verify --explain --json' ctl verify --explain --json
	has 'checks' "$work/stdout" '"check": "path"'
	sed 's,^keystores.*,keystores = ( { type = "pem"; path = "/nowhere"; } );,' "$conf" > "$work/keyless.conf"
	is 3 'keys that cannot be read' "$smimectl" -c "$work/keyless.conf" keys list
	is 0 'verify needs no keys' "$smimectl" -c "$work/keyless.conf" verify
	is 1 'verify before its time' ctl verify --json --at 2001-01-01T00:00:00Z
	has 'not yet valid' "$work/stdout" '"chain": "not-yet-valid"'
	sed 's/$/\r/; s/\r\r$/\r/' "$work/partner.eml" > "$work/crlf.eml"; input=$work/crlf.eml
	is 0 'CRLF or LF are one' ctl verify
	input=$work/tampered.eml
	is 1 'verify of a tampered mail' ctl verify --json
	has 'fail' "$work/stdout" '"result": "fail"'
	input=$work/encrypted.eml
	is 1 'verify of an envelope' ctl verify --json
	has 'reason' "$work/stdout" '"reason": "encrypted"'
	input=$work/mail
	is 1 'verify of a plain mail' ctl verify --json
	has 'none' "$work/stdout" '"result": "none"'
	input=/dev/null
	is 5 'verify of nothing' ctl verify
	sed '1i limits = { message_mb = 1; };' "$conf" > "$work/small.conf"
	{ cat "$work/mail"; yes 0123456789 | head -c 3000000; } > "$work/big"; input=$work/big
	is 1 'process of too much' "$smimectl" -c "$work/small.conf" process --auth a --from a@example.com \
		--rcpt b@example.com --out "$work/out"
	has 'is too big' "$work/out/outcome.json" '"reply": "552 5\.3\.4'
	head -c 2000 /dev/urandom > "$work/noise"; input=$work/noise
	is 5 'verify of noise' ctl verify
	inbound 5 'process of noise'
	has 'is malformed' "$work/out/outcome.json" '"reply": "554 5\.6\.0'
}

test_operations() {
	input=$work/mail; mail alice@example.com carol@partner.example 'Hello' > "$input"
	for options in '' '--opaque' '--pss' '--digest sha512'; do
		is 0 "sign $options" ctl sign --from alice@example.com $options
		cp "$work/stdout" "$work/made.eml"
		is 0 'openssl agrees' openssl cms -verify -in "$work/made.eml" -CAfile "$work/demo/roots.pem" -out /dev/null
	done
	is 1 'sign without a key' ctl sign --from carol@partner.example
	for cipher in aes256-cbc aes128-cbc aes256-gcm aes128-gcm; do
		is 0 "encrypt $cipher" ctl encrypt --rcpt carol@partner.example --rcpt dave@partner.example --cipher $cipher
		cp "$work/stdout" "$work/made.eml"
		is 0 'openssl decrypts' openssl cms -decrypt -in "$work/made.eml" -inkey "$work/demo/partner-keys/dave.pem" \
			-recip "$work/demo/certs/dave.pem" -out "$work/inner"
		has 'the text' "$work/inner" 'Hello'
	done
	is 1 'encrypt without a certificate' ctl encrypt --rcpt carol@partner.example --rcpt nobody@partner.example
	if [ -s "$work/stdout" ]; then not_ok 'prints nothing'; else ok 'prints nothing'; fi
	input=/dev/null
	is 5 'encrypt of nothing' ctl encrypt --rcpt carol@partner.example
}

test_explain() {
	input=$work/mail
	is 0 'explain' ctl explain --auth alice --from alice@example.com --rcpt carol@partner.example
	has 'rule' "$work/stdout" 'rule "partner"'
	has 'certificates' "$work/stdout" '    1\. '
	is 1 'explain of a refusal' ctl explain --auth alice --from alice@example.com --rcpt nobody@partner.example
	has 'reply' "$work/stdout" '550 5\.7\.5'
	is 1 'explain of a signature that nobody may ask for' ctl explain --daemon ORIGINATING --from bob@example.com \
		--rcpt carol@partner.example
	has 'not only the reply' "$work/stdout" '^because: not signed: sign_for'
	is 0 'explain of copies' ctl explain --auth alice --from alice@example.com --rcpt carol@partner.example \
		--rcpt someone@public.example
	has 'who can read it' "$work/stdout" 'encrypted with [a-z0-9-]* for <carol@partner.example> \(recipient, serial'
	has 'what the daemon would say to it' "$work/stderr" 'reinject.to is not set'
	is 0 'explain --json' ctl explain --auth alice --from alice@example.com --rcpt carol@partner.example --json
	has 'certificates as a list' "$work/stdout" '"certificates": \['
	test_explain_many
}

# A message to many: each one's rule, message, certificates, and who else can read it.
test_explain_many() {
	local rules='triggers = { header = "X-SMIME-Encrypt"; }; rules = (
		{ id = "stand-in"; direction = "outbound"; recipient = "*@gw.example"; encrypt = "require";
		  encrypt_to = [ "recipient", "dave@partner.example" ]; additional_recipients = [ "bob@example.com", "sender" ]; },
		{ id = "drop"; direction = "outbound"; recipient = "*@drop.example"; encrypt = "require";
		  no_certificate = "drop-recipient"; },'
	local many=(explain --auth alice --from alice@example.com --rcpt carol@partner.example --rcpt dave@partner.example
		--rcpt x@gw.example --rcpt y@drop.example --rcpt z@public.example)
	awk -v rules="$rules" '/^rules/ { print rules; next } { print }' "$conf" > "$work/many.conf"
	is 0 'explain to many' "$smimectl" -c "$work/many.conf" "${many[@]}"
	has 'the original' "$work/stdout" '^  message: the original'
	has 'copies' "$work/stdout" '^  message: copy 3, by reinject\.to'
	has 'who is dropped' "$work/stdout" '^  message: none; the sender is told'
	has 'who stands in' "$work/stdout" '^  certificates of <dave@partner\.example>:'
	has 'who can read it' "$work/stdout" '<dave@partner.example> \(domain, .*<bob@.* \(escrow, .*<alice@.* \(sender, '
	has 'what it needs' "$work/stderr" 'reinject\.to is not set.*copies'
	is 0 'explain to many --json' "$smimectl" -c "$work/many.conf" "${many[@]}" --json
	has 'messages' "$work/stdout" '"file": "3\.eml"'
	has 'stand-in' "$work/stdout" '"certificates_of": "dave@partner\.example"'
	is 1 'explain to many, one without a certificate' "$smimectl" -c "$work/many.conf" "${many[@]}" \
		--rcpt nobody@partner.example
	has 'the reply names him' "$work/stdout" '^outcome: reject, 550 5\.7\.5 .*<nobody@partner\.example>'
	has 'and another one has his own reason' "$work/stdout" '^  for him alone: dropped: no usable certificate'
	sed '1i X-SMIME-Encrypt: yes' "$input" > "$work/asked"; input=$work/asked
	is 1 'explain of a trigger' "$smimectl" -c "$work/many.conf" "${many[@]}"
	has 'it is told' "$work/stdout" '^a trigger in it asks for encryption'
	has 'and what it does' "$work/stdout" 'no usable certificate for <z@public\.example> \(rule default\)'
	input=$work/mail
}

# As ConvertTo-Json prints a list of recipients: base64, numbers, one value or several, and what people have there besides.
test_certs_import() {
	local files=$work/exported carol=$work/carol.der numbers
	openssl x509 -in "$work/demo/certs/carol.pem" -outform DER -out "$carol"
	openssl crl2pkcs7 -nocrl -certfile "$work/demo/certs/carol.pem" -outform DER -out "$work/carol.p7b"
	numbers=$(od -An -v -tu1 "$carol" | tr -s ' \n' ',,' | sed 's/^,//; s/,$//')
	cat > "$work/list.json" <<-JSON
	[{"PrimarySmtpAddress":"carol@partner.example","UserCertificate":[$numbers],
	  "UserSMimeCertificate":["$(base64 -w0 "$work/carol.p7b")","bm8gY2VydGlmaWNhdGU="]},
	 {"PrimarySmtpAddress":"Nobody@partner.example","UserCertificate":null,"UserSMimeCertificate":[]},
	 {"PrimarySmtpAddress":"../evil@partner.example","UserCertificate":["$(base64 -w0 "$carol")"]}]
	JSON
	sed "s,$work/demo/certs,$files," "$conf" > "$work/exported.conf"
	input=/dev/null
	is 1 'certs import' "$smimectl" certs import "$work/list.json" --out "$files"
	has 'what was left out is told' "$work/stderr" '^left out: carol@partner.example-usersmimecertificate-2: '
	has 'so is a name that is no file name' "$work/stderr" '^left out: recipient 3: '
	has 'and counted' "$work/stdout" '^2 recipients, 4 values: 2 written, 0 as they were, 2 left out, 0 files removed$'
	same 'certs import: numbers' "$files/carol@partner.example-usercertificate-1" "$carol"
	same 'certs import: base64' "$files/carol@partner.example-usersmimecertificate-1" "$work/carol.p7b"
	is 0 'what was imported is found' "$smimectl" -c "$work/exported.conf" certs find carol@partner.example
	is 1 'certs import again' "$smimectl" certs import "$work/list.json" --out "$files"
	has 'nothing is touched' "$work/stdout" ' 0 written, 2 as they were'
	printf '{"PrimarySmtpAddress":"dave@partner.example"}' > "$work/less.json"
	: > "$files/my-own.pem"
	is 0 'certs import of a single object' "$smimectl" certs import "$work/less.json" --out "$files"
	has 'leaves what is there' "$work/stdout" ' 0 files removed'
	is 3 'certs import --remove of nothing' "$smimectl" certs import "$work/less.json" --out "$files" --remove
	is 0 'leaves everything' test -e "$files/carol@partner.example-usercertificate-1"
	printf '{"PrimarySmtpAddress":"dave@partner.example","UserCertificate":"%s"}' "$(base64 -w0 "$carol")" > "$work/less.json"
	is 0 'certs import --remove' "$smimectl" certs import "$work/less.json" --out "$files" --remove
	has 'removes what is gone' "$work/stdout" ' 2 files removed'
	is 0 'and nothing else' test -e "$files/my-own.pem"
	is 3 'certs import: no JSON' "$smimectl" certs import "$conf" --out "$files"
	printf '[1]' > "$work/less.json"
	is 3 'certs import: no list of recipients' "$smimectl" certs import "$work/less.json" --out "$files" --remove
	is 2 'certs import without --out' "$smimectl" certs import "$work/list.json"
}

test_certificates() {
	input=/dev/null
	is 0 'certs find' ctl certs find carol@partner.example
	is 0 'certs find --json' ctl certs find CAROL@partner.example --json
	has 'usable' "$work/stdout" '"usable": true'
	has 'rank' "$work/stdout" '"rank": 1'
	is 1 'certs find nobody' ctl certs find nobody@partner.example --json
	has 'an empty list' "$work/stdout" '^\[\]$'
	sed "s,$work/demo/certs,$work/demo/nowhere," "$conf" > "$work/down.conf"
	mkdir "$work/demo/nowhere"
	is 1 'an empty directory has none' "$smimectl" -c "$work/down.conf" certs find carol@partner.example
	is 0 'collection list' "$smimectl" collection list "$work/demo/roots.pem" "$work/demo/roots.sst"
	has 'root' "$work/stdout" 'Demo Root.*root'
	is 0 'collection list --json' "$smimectl" collection list "$work/demo/roots.sst" --json
	has 'ca' "$work/stdout" '"ca": true'
	is 3 'collection list of no file' "$smimectl" collection list "$work/nothing.pem"
	is 0 'collection check' ctl collection check
	is 0 'collection check by name' ctl collection check demo
	is 0 'collection check of a file' "$smimectl" collection check "$work/demo/roots.sst"
	is 1 'a duplicate' "$smimectl" collection check "$work/demo/roots.pem" "$work/demo/roots.sst"
	has 'is named' "$work/stdout" 'duplicate'
	is 1 'no CA' "$smimectl" collection check --json "$work/demo/roots.pem" "$work/demo/certs/carol.pem"
	has 'is named' "$work/stdout" '"finding": "non-CA"'
	{
		printf 'collections = ( { name = "pinned"; files = "%s"; pinned = true; %s } );\n' \
			"$work/demo/certs/carol.pem" 'revocation = "soft";'
		echo 'rules = ( { id = "in"; direction = "inbound"; } );'
	} >"$work/pinned.conf"
	is 1 'a pinned certificate' "$smimectl" -c "$work/pinned.conf" collection check
	has 'is explained' "$work/stdout" ': revocation: pinned, and neither its CA'
	sed -i 's/revocation = "soft"; } /policies = "1.2.x"; } /' "$work/pinned.conf"
	is 3 'a policy that is none' "$smimectl" -c "$work/pinned.conf" collection check
	is 3 'neither file nor collection' ctl collection check nobody
	odd_roots
	is 1 'odd entries' "$smimectl" collection check "$work/odd.pem"
	for finding in expired weak chain-incomplete usage; do has "$finding" "$work/stdout" ": $finding: "; done
	has 'weak signature' "$work/stdout" 'its issuer has signed it by an algorithm that can be forged'
	odd_store
	is 1 'odd elements of a store' "$smimectl" collection check "$work/odd.sst"
	has 'a trust list with its offset' "$work/stdout" 'offset 8: bad: a certificate trust list'
	has 'an unknown property with its offset' "$work/stdout" 'offset 21: bad: MS-OSHARED 2.3.9.1: unknown property 32768'
	has 'a property for nothing' "$work/stdout" 'a property that no element follows'
	head -c 60 "$work/odd.sst" > "$work/cut.sst"
	is 3 'a store that is cut off' "$smimectl" collection check "$work/cut.sst"
	has 'the offset' "$work/stderr" 'element at offset 34 '
}

# A trust list, an unknown property, the root, and a property that nothing follows.
odd_store() {
	openssl x509 -in "$work/demo/ca/root.pem" -outform DER -out "$work/root.der" 2> /dev/null
	local n
	n=$(wc -c < "$work/root.der")
	{
		printf '\0\0\0\0CERT'
		printf '\x22\0\0\0\1\0\0\0\1\0\0\0x'
		printf '\0\x80\0\0\1\0\0\0\1\0\0\0x'
		printf '\x20\0\0\0\1\0\0\0'
		printf "\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))\\0\\0"
		cat "$work/root.der"
		printf '\3\0\0\0\1\0\0\0\1\0\0\0x'
		printf '\0\0\0\0\0\0\0\0\0\0\0\0'
	} > "$work/odd.sst"
}

# A weak root, one that has expired, an intermediate whose issuer is not there, one whose signature is weak, and one that is
# for servers alone.
odd_roots() {
	openssl req -x509 -newkey rsa:1024 -nodes -keyout "$work/k" -subj '/CN=Weak' -days 30 -out "$work/odd.pem" 2> /dev/null
	openssl ecparam -name prime256v1 -genkey -noout -out "$work/k" 2> /dev/null
	openssl req -new -key "$work/k" -subj '/CN=Intermediate' -out "$work/csr" 2> /dev/null
	printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n' > "$work/ext"
	openssl x509 -req -in "$work/csr" -CA "$work/demo/ca/root.pem" -CAkey "$work/demo/ca/root.key" -set_serial 5 \
		-extfile "$work/ext" -days 30 >> "$work/odd.pem" 2> /dev/null
	openssl x509 -req -sha1 -in "$work/csr" -CA "$work/demo/ca/root.pem" -CAkey "$work/demo/ca/root.key" -set_serial 6 \
		-extfile "$work/ext" -days 30 >> "$work/odd.pem" 2> /dev/null
	{ cat "$work/ext"; echo 'extendedKeyUsage=serverAuth'; } > "$work/ext2"
	openssl x509 -req -in "$work/csr" -CA "$work/demo/ca/root.pem" -CAkey "$work/demo/ca/root.key" -set_serial 7 \
		-extfile "$work/ext2" -days 30 >> "$work/odd.pem" 2> /dev/null
	openssl req -new -key "$work/k" -subj '/CN=Old' -out "$work/csr" 2> /dev/null
	# OpenSSL 3.5 takes dates, 3.0 days below zero
	openssl x509 -req -in "$work/csr" -signkey "$work/k" -extfile "$work/ext" -days -1 > "$work/old.pem" 2> /dev/null ||
		openssl x509 -req -in "$work/csr" -signkey "$work/k" -extfile "$work/ext" -not_before 20200101000000Z \
			-not_after 20210101000000Z > "$work/old.pem" 2> /dev/null
	cat "$work/old.pem" >> "$work/odd.pem"
}

test_keys() {
	is 0 'keys list' ctl keys list
	has 'alice' "$work/stdout" '^alice@example.com	.*36[45] days	sign,encrypt'
	is 0 'keys list --json' ctl keys list --json
	has 'days_left' "$work/stdout" '"days_left": 36[45]'
	is 0 'keys test' ctl keys test
	has 'works' "$work/stdout" 'works$'
	is 0 'keys test of an address' ctl keys test bob@example.com
	is 1 'keys test of a stranger' ctl keys test carol@partner.example
}

# A log as the recorder writes it, made by other means.
test_audit() {
	local prev i line
	prev=$(printf '%064d' 0)
	for i in 1 2 3 4; do
		line="{\"seq\":$i,\"prev\":\"$prev\",\"action\":\"sign\"}"
		echo "$line"
		prev=$(printf '%s' "$line" | sha256sum | cut -d' ' -f1)
	done > "$work/audit.log"
	head -2 "$work/audit.log" > "$work/audit.1"
	tail -2 "$work/audit.log" > "$work/audit.2"
	is 0 'audit verify' "$smimectl" audit verify "$work/audit.log"
	has 'end of the chain' "$work/stdout" "^4 lines, seq 1 to 4, last sha256 $prev: the chain is whole"
	is 0 'audit verify of several files' "$smimectl" audit verify "$work/audit.1" "$work/audit.2"
	is 1 'audit verify in the wrong order' "$smimectl" audit verify "$work/audit.2" "$work/audit.1"
	sed '2s/sign/pass/' "$work/audit.log" > "$work/changed.log"
	is 1 'audit verify of a changed line' "$smimectl" audit verify "$work/changed.log"
	has 'the line after it is named' "$work/stdout" 'changed.log:3: does not follow'
	sed 2d "$work/audit.log" > "$work/changed.log"
	is 1 'audit verify of a log that lacks a line' "$smimectl" audit verify "$work/changed.log"
	input=$work/audit.log
	is 0 'audit verify of standard input' "$smimectl" audit verify -
	input=/dev/null
	is 1 'audit verify of nothing' "$smimectl" audit verify /dev/null
	is 3 'audit verify of no file' "$smimectl" audit verify "$work/none"
}

[ -x "$smimectl" ] || { echo "not ok - $smimectl is not there"; exit 1; }
test_demo
test_usage
test_config
test_outbound
test_internal
test_inbound
test_verify
test_operations
test_explain
test_certificates
test_keys
test_audit
test_import_exchange
test_certs_import
[ $failures = 0 ]
