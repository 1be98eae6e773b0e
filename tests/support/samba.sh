#!/bin/sh
# samba.sh - a private Active Directory domain controller for tests: Samba's LDAP service, provisioned below DIR, as
# root. It listens on no network: DIR/uri has the URI of its socket.
#
#   samba.sh start DIR               provisions, starts, returns when it answers; 77: it cannot run here, and says why
#   samba.sh stop DIR                ends it; DIR/run/samba.pid is its process id
#
# Suffix dc=ad,dc=example,dc=com; administrator cn=administrator,cn=users, below it, with the password "Passw0rd!x1";
# only who has bound may read. DIR must be short: the socket's path has 108 bytes at most.
set -eu

cannot()
{
	echo "samba.sh: $1" >&2
	exit 77
}

provision()
{
	timeout 90 samba-tool domain provision --realm=AD.EXAMPLE.COM --domain=AD --server-role=dc --dns-backend=NONE \
		--adminpass='Passw0rd!x1' --host-name=dc1 --host-ip=127.0.0.1 --targetdir="$dir" > "$dir/provision.log" 2>&1 ||
		cannot "provisioning failed: $(tail -n 1 "$dir/provision.log")"
	# Of what samba-tool wrote the global section, with the LDAP service alone, and no address of this machine's.
	sed -i -e '/^\[homes\]/,$d' -e 's/server services = .*/server services = ldap/' \
		-e "s,log file = .*,log file = $dir/samba.log," "$dir/etc/smb.conf"
	cat >> "$dir/etc/smb.conf" <<-CONF
		interfaces = 192.0.2.1/32
		bind interfaces only = yes
		pid directory = $dir/run
		ncalrpc dir = $dir/run/ncalrpc
		ldap server require strong auth = no
		tls enabled = no
		panic action =
	CONF
}

run()
{
	mkdir -p "$dir/run"
	echo "ldapi://$(echo "$dir/private/ldapi" | sed 's,/,%2F,g')" > "$dir/uri"
	samba -i -M single -s "$dir/etc/smb.conf" > "$dir/samba.out" 2>&1 < /dev/null &
	tries=0
	until ldapsearch -x -LLL -H "$(cat "$dir/uri")" -s base -b '' 1.1 > /dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 100 ] || cannot "it does not answer: $(tail -n 1 "$dir/samba.out")"
		kill -0 $! 2> /dev/null || cannot "it ended: $(tail -n 1 "$dir/samba.out")"
		sleep 0.1
	done
}

start()
{
	dir=$1
	[ "$(id -u)" = 0 ] || cannot "only root can run a domain controller"
	command -v samba > /dev/null && command -v samba-tool > /dev/null || cannot "no samba here"
	mkdir -p "$dir"
	provision
	run
}

stop()
{
	dir=$1
	[ -s "$dir/run/samba.pid" ] || return 0
	pid=$(cat "$dir/run/samba.pid")
	kill "$pid" 2> /dev/null || return 0
	tries=0
	while kill -0 "$pid" 2> /dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 250 ] || kill -KILL "$pid"
		sleep 0.02
	done
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
start) start "$@" ;;
stop) stop "$@" ;;
*) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
