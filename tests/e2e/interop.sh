#!/usr/bin/env bash
# interop.sh - what the gateway signs and encrypts is read by other implementations, and what they sign it verifies:
# OpenSSL's command, gpgsm, NSS, Bouncy Castle. This part makes keys and each implementation's own store of them;
# interop.py does the rest. KEEP=1 keeps the directory.
set -u
top=${TOP_SRCDIR:-.}
build=${BUILDDIR:-./build}
. "$top/tests/support/people.sh"
work=$(mktemp -d) || exit 1
chmod 755 "$work"
export GNUPGHOME=$work/gnupg

finish() {
	gpgconf --kill gpg-agent > /dev/null 2>&1
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

make_people() {
	local name
	new_ca "$work/pki" Interop
	for name in rsa p256 p384; do new_person "$work/pki" $name $name@example.com $name || return 1; done
	mkdir -m 700 "$work/keys" "$work/certs" || return 1
	for name in rsa p256 p384; do
		cp "$work/pki/$name.pem" "$work/keys/" && cp "$work/pki/$name.crt" "$work/certs/" || return 1
	done
}

# gpgsm of Debian 12 takes about one PKCS#12 in 150 for wrongly decrypted, by the chance of its salt: another one of the
# same key is read.
import_p12() {
	local attempt
	for attempt in 1 2 3; do
		echo x | gpgsm --pinentry-mode loopback --passphrase-fd 0 --import "$work/$1.p12" && return 0
		[ "$1" = rsa ] && export_p12 "$1" || return 1
	done
	return 1
}

# gpgsm of Debian 12 dies when it imports a PKCS#12 with an elliptic key: elliptic.NAME says where it did not.
make_gpgsm() {
	local name
	mkdir -m 700 "$GNUPGHOME"
	printf 'disable-crl-checks\ndisable-dirmngr\nbatch\n' > "$GNUPGHOME/gpgsm.conf"
	printf 'allow-loopback-pinentry\n' > "$GNUPGHOME/gpg-agent.conf"
	openssl x509 -in "$work/pki/root.crt" -noout -fingerprint -sha1 | sed 's/.*=//; s/$/ S relax/' \
		> "$GNUPGHOME/trustlist.txt"
	gpgsm --import "$work/pki/root.crt" "$work/pki/ca.crt" && import_p12 rsa || return 1
	for name in p256 p384; do
		import_p12 $name && : > "$work/elliptic.$name"
	done
	return 0
}

make_nss() {
	local name
	mkdir "$work/nss"
	certutil -N -d "sql:$work/nss" --empty-password &&
	certutil -A -d "sql:$work/nss" -n root -t ,C, -i "$work/pki/root.crt" &&
	certutil -A -d "sql:$work/nss" -n ca -t ,, -i "$work/pki/ca.crt" || return 1
	for name in rsa p256 p384; do pk12util -i "$work/$name.p12" -d "sql:$work/nss" -W x || return 1; done
}

# All three read these old algorithms of PKCS#12.
export_p12() {
	openssl pkcs12 -export -in "$work/pki/$1.crt" -inkey "$work/pki/$1.key" -certfile "$work/pki/ca.crt" \
		-name "$1" -passout pass:x -certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 -out "$work/$1.p12"
}

make_p12() {
	local name
	for name in rsa p256 p384; do export_p12 $name || return 1; done
}

make_people && make_p12 || { echo "not ok - keys and certificates"; exit 1; }
have=openssl
# use NAME COMMAND... - one that is not installed is skipped; one whose store cannot be made is a failure
status=0
use() {
	local name=$1 command
	shift
	for command in "$@"; do
		command -v "$command" > /dev/null || { echo "skip - $name: $command is not installed"; return 0; }
	done
	if "make_$name" > "$work/$name.log" 2>&1; then
		have="$have $name"
	else
		status=1
		echo "not ok - $name: its store of keys: $(tail -n 1 "$work/$name.log")"
		cat "$work/$name.log"
	fi
}

make_bc() { :; }
use gpgsm gpgsm gpgconf
use nss cmsutil certutil pk12util
[ -e /usr/share/java/bcmail.jar ] && use bc java || echo "skip - Bouncy Castle: no java, or no libbcmail-java"
python3 "$top/tests/e2e/interop.py" "$work" "$build" "$top" $have || status=1
exit $status
