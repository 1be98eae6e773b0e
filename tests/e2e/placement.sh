#!/usr/bin/env bash
# placement.sh - etc/HOWTO-placement, tried: the gateway with OpenDKIM, sendmail(1), bounces, aliases, archives and a
# second Postfix behind it. The configuration is the page's own. This part looks for the programs and cleans up;
# placement.py makes the world, sends and judges. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
PATH=$PATH:/usr/sbin
[ "$(id -u)" = 0 ] || { echo "skip - placement: a private Postfix needs root"; exit 0; }
for command in postfix opendkim openssl; do
	command -v $command > /dev/null || { echo "skip - placement: $command is not installed"; exit 0; }
done
# Debian's packages are Debian's python3's.
/usr/bin/python3 -c 'import dkim' 2> /dev/null || { echo "skip - placement: python3-dkim is not installed"; exit 0; }
work=$(mktemp -d) || exit 1
chmod 755 "$work"

finish() {
	local file
	for file in "$work"/*.pid; do [ ! -s "$file" ] || kill -TERM "$(cat "$file")" 2> /dev/null; done
	"$top/tests/support/postfix.sh" stop "$work/postfix"
	"$top/tests/support/postfix.sh" stop "$work/second"
	if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
}
trap finish EXIT

/usr/bin/python3 "$top/tests/e2e/placement.py" "$work" "$top" "$build"
