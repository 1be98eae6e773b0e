#!/usr/bin/env bash
# directory_groups.sh - recipients that are groups in a private slapd, through smimectl process and the daemon: whom
# their mail is encrypted to, by openssl's reading of it, and that nothing is let through when somebody in them has no
# certificate or could not be asked for. New keys and entries each time. SMIMECTL=PATH or BUILDDIR=DIR; KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-build}" && pwd)
smimectl=${SMIMECTL:-$build/smimectl}
. "$top/tests/support/people.sh"
PATH=$PATH:/usr/sbin:/usr/libexec
for command in slapd ldapsearch openssl python3; do
	command -v $command > /dev/null || { echo "skip - directory_groups: $command is not installed"; exit 0; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/groups.XXXXXX") || exit 1
people=$work/people
suffix=dc=example,dc=com
failures=0

daemon=''

finish() {
	[ -z "$daemon" ] || kill "$daemon"
	"$top/tests/support/slapd.sh" stop "$work/slapd"
	[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"
}
trap finish EXIT

ok() { echo "ok - $1"; }
not_ok() { echo "not ok - $1"; failures=$((failures + 1)); [ -z "${2:-}" ] || sed 's/^/    /' "$2"; }
die() { echo "not ok - $1"; exit 1; }

# Entries

dn() { echo "cn=$1@example.com,ou=people,$suffix"; }
group_dn() { echo "cn=$1,ou=groups,$suffix"; }

# person NAME [CERTIFICATE FILE]
person() {
	local name=$1; shift
	"$top/tests/support/slapd.sh" person "$name@example.com" ${1:+userSMIMECertificate "$1"}
}

# group NAME CLASS [ATTRIBUTE VALUE]...
group() {
	local name=$1 class=$2; shift 2
	printf 'dn: %s\nobjectClass: %s\nobjectClass: extensibleObject\ncn: %s\nmail: %s@example.com\n' \
		"$(group_dn "$name")" "$class" "$name" "$name"
	while [ $# -ge 2 ]; do printf '%s: %s\n' "$1" "$2"; shift 2; done
	echo
}

members() { local name; for name; do printf 'member %s ' "$(dn "$name")"; done; }

# Active Directory's, without what is not needed here
write_schema() {
	cat <<-'EOF'
	attributetype ( 1.2.840.113556.1.2.102 NAME 'memberOf' EQUALITY distinguishedNameMatch
	  SYNTAX 1.3.6.1.4.1.1466.115.121.1.12 )
	attributetype ( 1.2.840.113556.1.4.146 NAME 'objectSid' EQUALITY octetStringMatch
	  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
	attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' EQUALITY integerMatch
	  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
	objectclass ( 1.2.840.113556.1.5.8 NAME 'group' SUP top STRUCTURAL MUST cn MAY ( member $ memberOf ) )
	EOF
}

certificate() { openssl x509 -in "$people/$1.crt" -outform DER -out "$people/$1.der"; }

make_people() {
	local name
	new_ca "$people" Groups 2> /dev/null
	for name in alice bob carol dave erin frank grace own; do
		new_person "$people" $name $name@example.com p256 2> /dev/null
		certificate $name
	done
	new_person "$people" late late@example.com p256 -1 2> /dev/null
	certificate late
	mkdir "$work/keys"
	for name in $(seq 200); do
		cp "$people/alice.key" "$people/m$name.key"
		new_person "$people" m$name m$name@example.com p256 2> /dev/null
		certificate m$name
	done
	[ -s "$people/m200.der" ] || die 'certificates'
}

# A person of the standard input, who says that he is in a group
says_so() { sed "/^objectClass:/a objectClass: extensibleObject\nmemberOf: $(group_dn "$1")"; }

# S-1-5-21-1-2-3-70000
sid() { printf '\1\5\0\0\0\0\0\5\25\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\160\021\1\0' | base64; }

# Who is in back says so himself, and says it of a group, too.
backlinks() {
	person erin "$people/erin.der" | says_so back
	person frank "$people/frank.der" | says_so below
	person grace "$people/grace.der" | sed "/^objectClass:/a objectClass: extensibleObject\nprimaryGroupID: 70000"
	group primary group $(members alice) | sed "/^\$/i objectSid:: $(sid)"
	group back group
	group below group memberOf "$(group_dn back)"
}

refused_groups() {
	group missing groupOfNames $(members alice nobody)
	group expired groupOfNames $(members alice late)
	group dangling groupOfNames $(members alice) member "$(dn ghost)"
	group outside groupOfNames $(members alice) member "cn=alice,dc=elsewhere,dc=com"
	group silent groupOfNames $(members alice) member "cn=silent,ou=groups,$suffix" member "ou=groups,$suffix"
	group deep groupOfNames $(members alice) member "$(group_dn missing)"
	group empty group
	group hollow groupOfNames $(members alice) member "$(group_dn empty)"
	group huge groupOfNames $(members $(seq -f x%.0f 1000))
}

make_entries() {
	local name
	"$top/tests/support/slapd.sh" top
	printf 'dn: ou=groups,%s\nobjectClass: organizationalUnit\nou: groups\n\n' "$suffix"
	for name in alice bob carol dave late; do person $name "$people/$name.der"; done
	person nobody
	for name in $(seq 200); do person m$name "$people/m$name.der"; done
	group flat groupOfNames $(members alice bob)
	group nested groupOfNames $(members carol) member "$(group_dn flat)"
	group cycle groupOfNames member "$(group_dn circle)" $(members dave)
	group circle groupOfNames member "$(group_dn cycle)" member "$(group_dn circle)" $(members alice)
	group unique groupOfUniqueNames uniqueMember "$(dn alice)#'0101'B" uniqueMember "CN=Bob@Example.com, ou=People,$suffix"
	group twice groupOfNames $(members alice) member "$(group_dn flat)" member "$(group_dn nested)"
	group many groupOfNames $(members $(seq -f m%.0f 200))
	group own groupOfNames $(members nobody) | sed "/^\$/i userSMIMECertificate:: $(base64 -w 0 "$people/own.der")"
	group stale groupOfNames $(members alice bob) | sed "/^\$/i userSMIMECertificate:: $(base64 -w 0 "$people/late.der")"
	backlinks
	refused_groups
}

# conf NAME [DIRECTORY KEYS] [RULE KEYS]
conf() {
	cat > "$work/$1.conf" <<-EOF
	state_dir = "$work/state";
	local_domains = [ "inside.example" ];
	collections = ( { name = "ca"; files = [ "$people/root.crt", "$people/ca.crt" ]; revocation = "off"; } );
	directories = ( { type = "ldap"; uri = "ldap://127.0.0.1:$port"; base = "$suffix"; timeout_ms = 20000;
	  expand_ms = 20000; cache_s = 0; negative_cache_s = 0; ${2:-} } );
	keystores = ( { type = "pem"; path = "$work/keys"; } );
	rules = ( { id = "out"; direction = "outbound"; ${3:-encrypt = \"require\";} } );
	EOF
}

# Mail

# All are named in it: a Bcc recipient would get a copy of his own.
write_mail() {
	local to=''
	for rcpt; do to="${to:+$to, }<$rcpt@example.com>"; done
	printf 'From: <sender@inside.example>\nTo: %s\nSubject: x\n\nthe plan\n' "$to" > "$work/mail"
}

# process CONF RCPT... - to $work/out; its exit status
process() {
	local name=$1 rcpt args=(); shift
	for rcpt; do args+=(--rcpt "$rcpt@example.com"); done
	rm -rf "$work/out"
	[ -n "${MAIL:-}" ] || write_mail "$@"
	"$smimectl" -c "$work/$name.conf" process --auth sender@inside.example --from sender@inside.example "${args[@]}" \
		--out "$work/out" < "${MAIL:-$work/mail}" > "$work/stdout" 2> "$work/stderr"
}

opens() {
	openssl cms -decrypt -in "$work/out/0.eml" -recip "$people/$1.crt" -inkey "$people/$1.key" -out "$work/inner" \
		2> /dev/null && grep -q 'the plan' "$work/inner"
}

count_readers() { openssl cms -cmsout -print -in "$work/out/0.eml" 2> /dev/null | grep -c 'd\.\(ktri\|kari\)'; }

# outcome EXPRESSION - of outcome.json, as o
outcome() { python3 -c "import json,sys; o=json.load(open('$work/out/outcome.json')); print($1)"; }

# goes NAME 'READERS' RCPT... - encrypted to exactly these, and to the envelope's recipients as they were
goes() {
	local name=$1 readers=$2 reader want; shift 2
	process site "$@" || { not_ok "$name" "$work/stderr"; return; }
	for reader in $readers; do opens "$reader" || { not_ok "$name: $reader cannot read it"; return; }; done
	want=$(echo $readers | wc -w)
	[ "$(count_readers)" = "$want" ] || { not_ok "$name: $(count_readers) readers"; return; }
	want=$(printf '%s@example.com\n' "$@")
	[ "$(outcome '"\n".join(o["messages"][0]["recipients"])')" = "$want" ] ||
		{ not_ok "$name: another envelope" "$work/out/outcome.json"; return; }
	want=$(printf '%s@example.com\n' $readers | sort -u)
	[ "$(outcome '"\n".join(sorted({e["address"] for r in o["recipients"] for e in r["encrypted_to"]}))')" = "$want" ] ||
		{ not_ok "$name: encrypted_to" "$work/out/outcome.json"; return; }
	ok "$name"
}

# stays NAME CODE REASON RCPT - nothing goes on; the reply names the group, the reason alone who is in it
stays() {
	local name=$1 code=$2 reason=$3; shift 3
	process "${CONF:-site}" "$@"
	[ -e "$work/out/0.eml" ] && { not_ok "$name: something went on"; return; }
	case $(outcome 'o["reply"]') in
	"$code "*) ;;
	*) not_ok "$name: not $code" "$work/out/outcome.json"; return ;;
	esac
	outcome 'o["reply"]' | grep -q 'nobody@\|late@\|alice@\|ghost' &&
		{ not_ok "$name: the reply tells who is in it"; return; }
	outcome 'o["reason"]' | grep -q -- "$reason" || { not_ok "$name: $(outcome 'o["reason"]')"; return; }
	ok "$name"
}

test_members() {
	goes 'a group' 'alice bob' flat
	goes 'a group in a group' 'carol alice bob' nested
	goes 'groups in a circle' 'alice dave' cycle
	goes 'uniqueMember with a UID, and a DN spelled otherwise' 'alice bob' unique
	goes 'somebody who is in it three times is one reader' 'alice bob carol' twice
	goes 'who is in it by memberOf, in a group in it too' 'erin frank' back
	goes 'whose primary group it is' 'alice grace' primary
	goes 'a group and somebody who is in it' 'alice bob' flat alice
	goes 'two groups' 'alice bob carol dave' nested cycle
	goes '200 members' "$(seq -f m%.0f -s ' ' 200)" many
}

test_own() {
	process site own && opens own && [ "$(count_readers)" = 1 ] && ok 'a certificate of its own' ||
		not_ok 'a certificate of its own' "$work/stderr"
	goes 'an expired certificate of its own hides nobody' 'alice bob' stale
}

test_refused() {
	stays 'a member without certificate' 550 'member <nobody@example.com>: no certificate' missing
	stays 'a member whose certificate has expired' 550 'member <late@example.com>: expired' expired
	stays 'a member who is not there' 550 'ghost.*no such entry' dangling
	stays 'a member outside the base' 550 'outside the directory' outside
	stays 'a member without address' 550 'ou=groups.*no address' silent
	stays 'a group in it has one without certificate' 550 'member <nobody@example.com>' deep
	stays 'nobody in it' 550 'no usable certificate for <empty@example.com>' empty
	stays 'a group in it in which nobody can be seen' 550 'cn=empty.*nobody can be seen' hollow
	stays 'more than 1000' 451 'more than 1000' huge
	stays 'one of two groups' 550 '<missing@example.com> is a group' flat missing
	CONF=off stays 'expand_groups = false' 550 'no usable certificate for <flat@example.com>' flat
}

test_if_possible() {
	process maybe missing && grep -q 'the plan' "$work/out/0.eml" &&
		ok 'if-possible: as for a person without certificate' ||
		not_ok 'if-possible: as for a person without certificate' "$work/stderr"
	process maybe flat && ! grep -q 'the plan' "$work/out/0.eml" && opens alice && opens bob &&
		ok 'if-possible: encrypted' ||
		not_ok 'if-possible: encrypted' "$work/stderr"
}

encrypt_for() {
	write_mail flat
	"$smimectl" -c "$work/site.conf" encrypt --rcpt "$1@example.com" < "$work/mail" > "$work/encrypted" 2> "$work/stderr"
}

test_encrypted_already() {
	encrypt_for flat || not_ok 'smimectl encrypt' "$work/stderr"
	MAIL=$work/encrypted process site flat && opens alice && opens bob && ok 'encrypted already, to all' ||
		not_ok 'encrypted already, to all' "$work/stderr"
	encrypt_for alice
	MAIL=$work/encrypted stays 'encrypted already, to one of them' 550 'not for the certificate of <flat@example.com>' flat
}

test_reports() {
	write_mail missing
	"$smimectl" -c "$work/site.conf" explain --auth sender@inside.example --from sender@inside.example \
		--rcpt missing@example.com < "$work/mail" > "$work/stdout" 2>&1
	grep -q 'certificates of member <nobody@example.com>: none' "$work/stdout" && ok 'explain tells of each member' ||
		not_ok 'explain tells of each member' "$work/stdout"
	"$smimectl" -c "$work/site.conf" certs find flat@example.com > "$work/stdout" 2> "$work/stderr"
	[ "$(cut -f 8 "$work/stdout" | sort | xargs)" = 'alice@example.com bob@example.com' ] && ok 'certs find' ||
		not_ok 'certs find' "$work/stdout"
}

# Whoever demands nothing gets no plaintext from this either.
test_away() {
	CONF=quick
	kill -STOP "$(cat "$work/slapd/slapd.pid")"
	stays 'slapd hangs' 451 'timed out' flat
	CONF=maybe_quick stays 'slapd hangs, if-possible' 451 'timed out' flat
	kill -CONT "$(cat "$work/slapd/slapd.pid")"
	"$top/tests/support/slapd.sh" stop "$work/slapd"
	stays 'slapd is away' 451 'connect\|contact' flat
	"$top/tests/support/slapd.sh" again "$work/slapd"
	unset CONF
	goes 'slapd is back' 'alice bob' flat
}

start_daemon() {
	{ echo 'workers = 1; internal_hosts = [ "127.0.0.1" ];'; echo "socket = \"unix:$work/run/milter.sock\";"
	  sed 's/cache_s = 0; negative_cache_s = 0;/timeout_ms = 1000; stale_s = 0;/; s/timeout_ms = 20000;//' \
		"$work/site.conf"; } > "$work/daemon.conf"
	mkdir "$work/run"
	"$build/smime-milter" -f -c "$work/daemon.conf" > "$work/daemon.log" 2>&1 < /dev/null &
	daemon=$!
	for _ in $(seq 300); do [ -S "$work/run/milter.sock" ] && return; sleep 0.1; done
	die "the daemon starts: $(tail -n 2 "$work/daemon.log")"
}

# answers NAME REGEX RCPT... - of what the daemon replies; the message as it goes on is in $work/out/0.eml
answers() {
	local name=$1 want=$2 rcpt args=(); shift 2
	for rcpt; do args+=(--rcpt "$rcpt@example.com"); done
	rm -f "$work/out/0.eml"
	write_mail "$@"
	python3 "$top/tests/e2e/milter_client.py" --socket "unix:$work/run/milter.sock" --from sender@inside.example \
		"${args[@]}" --out "$work/out/0.eml" < "$work/mail" > "$work/stdout" 2> "$work/stderr"
	grep -qE "$want" "$work/stdout" && ok "$name" || not_ok "$name" "$work/stdout"
}

# What the lookup process answers, and remembers.
test_daemon() {
	start_daemon
	answers 'daemon: a group' '"action": "(accept|continue)"' nested
	opens alice && opens bob && opens carol && [ "$(count_readers)" = 3 ] && ok 'daemon: to its members' ||
		not_ok 'daemon: to its members'
	answers 'daemon: an expired certificate of its own' '"action": "(accept|continue)"' stale
	opens alice && opens bob && ok 'daemon: to its members' || not_ok 'daemon: to its members'
	answers 'daemon: a member without certificate' '"550 5.7.5 .*<missing@example.com>' missing
	answers 'daemon: a member who is not there' '"550 5.7.5 .*<dangling@example.com>' dangling
	answers 'daemon: too many' '"451 4.4.3 ' huge
	"$top/tests/support/slapd.sh" stop "$work/slapd"
	answers 'daemon: slapd is away, and the group remembered' '"action": "(accept|continue)"' nested
	opens alice && opens bob && opens carol && ok 'daemon: to its members' || not_ok 'daemon: to its members'
	answers 'daemon: slapd is away, and a refusal remembered' '"451 4.4.3 ' missing
	answers 'daemon: slapd is away, and that somebody is not there' '"451 4.4.3 ' dangling
	answers 'daemon: slapd is away' '"451 4.4.3 ' flat
}

make_people
write_schema > "$work/group.schema"
make_entries > "$work/people.ldif"
mkdir "$work/slapd"
port=$("$top/tests/support/postfix.sh" port)
SLAPD_MORE="include $work/group.schema" "$top/tests/support/slapd.sh" start "$work/slapd" "$port" "$work/people.ldif" ||
	die 'slapd starts'
mkdir -m 700 "$work/state"
conf site
conf off 'expand_groups = false;'
conf maybe '' 'encrypt = "if-possible";'
conf quick 'timeout_ms = 500;'
conf maybe_quick 'timeout_ms = 500;' 'encrypt = "if-possible";'
sed -i 's/timeout_ms = 20000;//' "$work"/*quick.conf
test_members
test_own
test_refused
test_if_possible
test_encrypted_already
test_reports
test_away
test_daemon
[ $failures = 0 ]
