/* openssl.c - what OpenSSL says when something fails, as one line. Nothing else belongs here. Called by pki/,
 * smime/. The error queue is the thread's own. */
#include "pki/pki_internal.h"

#include <openssl/err.h>
#include <stdio.h>

const char *openssl_reason(char *out, size_t size)
{
	unsigned long code = ERR_get_error();
	const char *reason = ERR_reason_error_string(code);

	if (code == 0)
		snprintf(out, size, "unknown reason");
	else if (reason != NULL)
		snprintf(out, size, "%s", reason);
	else
		ERR_error_string_n(code, out, size);
	ERR_clear_error();
	return out;
}
