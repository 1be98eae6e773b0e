#!/bin/sh
# layers.sh - the arrows of DESIGN 1, read off the includes: who may know whom, and who alone may know which library.
# Prints every arrow that points upwards and every library outside its files; exit 1 if there is one.
cd "${TOP_SRCDIR:-.}" || exit 99
bad=0

# may ROOM ALLOWED…: sources of ROOM include only headers of these rooms
may() {
	room=$1; shift
	allowed=$(echo "$@" | tr ' ' '|')
	found=$(grep -nE '^#include "[a-z]+/' -r "$room" --include='*.[ch]' | grep -vE "#include \"($allowed)/")
	if [ -n "$found" ]; then
		echo "$found" | sed "s,^,layers: $room may not know: ,"
		bad=1
	fi
}

may common/base base
may common/mail mail base
may common/pki pki mail base
may common/smime smime pki mail base
may common/policy policy smime pki mail base
may common/gate gate policy smime pki mail base
may ldap ldap pki mail base
may milter milter ldap gate policy smime pki mail base

# only HEADER-REGEX FILE-REGEX: that library is included nowhere else
only() {
	found=$(grep -nE "^#include <($1)" -r common ldap milter --include='*.[ch]' | grep -vE "^($2):")
	if [ -n "$found" ]; then
		echo "$found" | sed "s,^,layers: outside its files: ,"
		bad=1
	fi
}

only 'libconfig' 'common/base/conf[a-z_]*\.[ch]|milter/version\.c'
only 'openssl/' 'common/base/crypt\.c|common/pki/[a-z0-9_]*\.[ch]|common/smime/[a-z0-9_]*\.[ch]|milter/smtp_tls\.c|milter/version\.c'
only 'openssl/ssl' 'milter/smtp_tls\.c'
only 'jansson' 'milter/(audit|audit_event|exchange|report)\.c|milter/(powershell|report_json)\.h|milter/version\.c'
only 'idn2' 'common/mail/idn\.c'
only 'uni(norm|case|str)' 'common/mail/nfc\.c'
only 'ldap\.h|lber\.h' 'ldap/[a-z_]*\.[ch]|milter/version\.c'
only 'sasl' 'ldap/bind\.c'
only 'resolv\.h|arpa/nameser' 'ldap/srv\.c'
only 'sqlite3' 'milter/sqlite_file\.[ch]'
only 'hiredis' 'milter/journal_redis\.c'
only 'unbound' 'common/pki/dnssec\.c'
only 'microhttpd' 'milter/metrics_http\.c'
only 'libmilter' 'milter/(callbacks|apply|version)\.[ch]'
only 'gmime|glib' 'none'
only 'syslog' 'milter/log\.c'
only 'sys/socket|netdb' 'milter/[a-z_]*\.[ch]|ldap/[a-z_]*\.[ch]'

# PKCS7_verify frees what it goes on to use (CVE-2026-45447); nothing here asks OpenSSL for a verdict on a CMS object
found=$(grep -nE '\<(PKCS7_verify|PKCS7_decrypt|PKCS7_dataVerify|CMS_verify) *\(' -r common ldap milter --include='*.[ch]')
if [ -n "$found" ]; then
	echo "$found" | sed "s,^,layers: not to be called: ,"
	bad=1
fi

exit $bad
