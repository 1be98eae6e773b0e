#!/usr/bin/env bash
# howto_directory.sh - does what etc/HOWTO-directory says work? Every configuration on that page is read by the daemon (-n),
# and its copy of a directory is run: a provider and a consumer, real slapds on loopback. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
support=$top/tests/support
page=$top/etc/HOWTO-directory
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapsearch openssl; do
	command -v $command > /dev/null || { echo "skip - howto_directory: $command is not installed"; exit 0; }
done
work=$(mktemp -d) || exit 1
failed=0

finish() {
	"$support/slapd.sh" stop "$work/provider" 2> /dev/null
	"$support/slapd.sh" stop "$work/copy" 2> /dev/null
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failed=1; }
check() { local name=$1; shift; if "$@" > "$work/out" 2>&1; then ok "$name"; else not_ok "$name: $(tail -n 2 "$work/out")"; fi; }

# The N-th block that begins with "# FILE…", without its indentation.
block() {	# FILE N
	awk -v file="    # $1" -v wanted="$2" '
		index($0, file) == 1 { n++; on = 1; next }
		/^    # / || !/^(    |$)/ { on = 0 }
		on && n == wanted { sub(/^    /, ""); print }' "$page"
}

# What the page takes for given: the files it names, with something in them.
localise() { sed "s,/etc/smime-milter,$work/etc,g; s,/run/slapd,$work/copy,g; s,%2Frun%2Fslapd,${work//\//%2F}%2Fcopy,g"; }

read_all() {
	local n=0 text name
	mkdir "$work/etc" "$work/etc/certs" "$work/state"
	"$build/smimectl" demo-ca "$work/demo" > /dev/null || { not_ok 'demo-ca'; exit 1; }
	for name in ad-ca ldap-ca partner-ca roots; do cp "$work/demo/roots.pem" "$work/etc/$name.pem"; done
	(umask 077; echo secret > "$work/etc/ldap.secret")
	while n=$((n + 1)); text=$(block smime-milter.conf $n | localise); [ -n "$text" ]; do
		{
			echo "socket = \"inet:127.0.0.1:1\"; user = \"$(id -un)\"; state_dir = \"$work/state\"; local_domains = [ \"example.com\" ];"
			echo "$text"
			echo "$text" | grep -q '^rules' || echo 'rules = ( { id = "all"; } );'
			echo "$text" | grep -q '^collections' ||
				echo "collections = ( { name = \"c\"; files = [ \"$work/etc/roots.pem\" ]; } );"
		} > "$work/site-$n.conf"
		if echo "$text" | grep -q smimea && ! "$build/smime-milter" -V | grep -q smimea; then
			echo "skip - configuration $n of the page: built without libunbound"
			continue
		fi
		check "configuration $n of the page is taken" "$build/smime-milter" -n -c "$work/site-$n.conf"
	done
	[ $n -ge 8 ] && ok 'there are some' || not_ok "only $n configurations on the page"
}

person() {	# NAME: a certificate of the demo CA's
	openssl x509 -in "$work/demo/certs/$1.pem" -outform DER -out "$work/$1.der"
	"$support/slapd.sh" person "$1@partner.example" 'userCertificate;binary' "$work/$1.der"
}

start_provider() {
	port=$("$support/postfix.sh" port)
	mkdir "$work/provider"
	{
		"$support/slapd.sh" top
		printf 'dn: cn=reader,dc=example,dc=com\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: secret\n\n'
		person carol
	} > "$work/people.ldif"
	SLAPD_OVERLAY=$(echo 'moduleload syncprov'; block 'slapd.conf of the provider' 1) \
		"$support/slapd.sh" start "$work/provider" "$port" "$work/people.ldif"
}

start_copy() {
	mkdir -p "$work/copy/db"
	block 'slapd.conf of the copy' 1 | localise |
		sed "s,ldap://ldap1.example.com,ldap://127.0.0.1:$port,; s,/var/lib/ldap,$work/copy/db," > "$work/copy/slapd.conf"
	echo "ldapi://${work//\//%2F}%2Fcopy%2Fldapi" > "$work/copy/uris"
	"$support/slapd.sh" again "$work/copy"
}

finds() { "$build/smimectl" -c "$work/site-copy.conf" certs find "$1"; }

arrives() {
	for _ in $(seq 300); do
		finds "$1" && return
		sleep 0.1
	done
	return 1
}

run_copy() {
	local n
	check 'the provider starts' start_provider
	check 'the copy starts' start_copy
	n=$(grep -l ldapi: "$work"/site-*.conf | head -n 1)
	sed 's/cache_s = [0-9]*/cache_s = 0/' "$n" > "$work/site-copy.conf"
	check 'what the provider had arrives in the copy' arrives carol@partner.example
	person dave | ldapadd -x -H "ldap://127.0.0.1:$port/" -D cn=admin,dc=example,dc=com -w secret > "$work/added" 2>&1 ||
		not_ok "a new entry: $(cat "$work/added")"
	check 'and what comes later' arrives dave@partner.example
	"$support/slapd.sh" stop "$work/provider"
	check 'without the provider it goes on' finds dave@partner.example
	finds nobody@partner.example > "$work/out" 2>&1
	[ $? = 1 ] && ok 'none is none there' || not_ok "none is none there: $(cat "$work/out")"
}

read_all
run_copy
exit $failed
