#!/usr/bin/env bash
# exactly_once.sh - what becomes of copies when the reinjection listener or the gateway fails half-way and the client
# tries again. See exactly_once.py, which is the MTA, the listener and the judge. KEEP=1 keeps the directory.
set -u
top=$(cd "${TOP_SRCDIR:-.}" && pwd)
build=$(cd "${BUILDDIR:-./build}" && pwd)
for command in python3 openssl; do
	command -v $command > /dev/null || { echo "skip - exactly_once: $command is not installed"; exit 0; }
done
[ -x "$build/tests/support/smime-milter-faults" ] ||
	{ echo "skip - exactly_once: make check builds what it needs"; exit 0; }
work=$(mktemp -d) || exit 1
chmod 755 "$work"
trap '[ -n "${KEEP:-}" ] && echo "kept: $work" || rm -rf "$work"' EXIT
python3 "$top/tests/e2e/exactly_once.py" "$work" "$top" "$build/tests/support/smime-milter-faults"
