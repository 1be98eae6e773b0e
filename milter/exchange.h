/* exchange.h - from Exchange's S/MIME settings, as `Get-SmimeConfig | ConvertTo-Json` prints them, to a configuration
 * that does the same. Reads no file and writes none; for smimectl import-exchange.
 */
#ifndef MILTER_EXCHANGE_H
#define MILTER_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct exchange {
	struct buf config;		/* each line that stands for a parameter names it in a comment */
	struct buf notes;		/* "PARAMETER: what has no counterpart, and why", a line each */
	struct buf sst;			/* SMIMECertificateIssuingCA; empty: none was given */
};

/* json: one object or an array of one; UTF-8, or UTF-16 as PowerShell redirects it, with or without a byte order mark.
 * Names are compared without regard to case; a parameter that is absent or null has no line, and so our default. sst_path:
 * where the collection's file will be; the paths of the other files are examples. ERR_CONFIG: no such JSON, a value of
 * another type, a certificate store that cannot be read. The caller clears the buffers, also after -1. */
int exchange_convert(struct arena *arena, struct slice json, const char *sst_path, struct exchange *exchange,
		     struct err *err);
void exchange_clear(struct exchange *exchange);

#endif
