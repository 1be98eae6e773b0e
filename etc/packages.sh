# packages.sh - the Debian packages that building, trying and testing need; sourced by etc/quickstart and tests/run.
PACKAGES_BUILD="gcc make autoconf automake pkg-config libc6-dev libmilter-dev libssl-dev libconfig-dev libldap-dev
	libsasl2-dev libjansson-dev libidn2-dev libunistring-dev libsqlite3-dev libhiredis-dev libunbound-dev libmicrohttpd-dev
	uthash-dev libcmocka-dev"
PACKAGES_QUICKSTART="postfix openssl"
PACKAGES_TEST="postfix openssl slapd ldap-utils gpgsm gpg-agent libnss3-tools default-jdk-headless libbcmail-java
	libbcpkix-java python3 python3-cryptography-vectors redis-server procps xz-utils libgmime-3.0-dev
	opendkim python3-dkim samba-ad-dc samba-ad-provision nsd ldnsutils dns-root-data krb5-kdc
	krb5-admin-server libsasl2-modules-gssapi-mit"

# Installs what is missing. Debian's daemons are not started by it, and Postfix gets no configuration of its own: a machine's
# mail system is not ours to set up.
packages_install() {
	local package missing='' policy=/usr/sbin/policy-rc.d made=no rc=0 log
	for package in "$@"; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	log=$(mktemp) || return 1
	echo "installing:$missing" | tr -s ' \n\t' ' '; echo
	[ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy && made=yes; }
	echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections 2>/dev/null || true
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -q && apt-get install -y -q --no-install-recommends $missing; } > "$log" 2>&1 || rc=1
	[ $made = no ] || rm -f $policy
	[ $rc = 0 ] || { tail -20 "$log"; echo "apt-get failed"; }
	rm -f "$log"
	return $rc
}
