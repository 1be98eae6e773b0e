/* powershell.h - JSON as PowerShell's ConvertTo-Json writes it into a file: in several encodings, bytes in two forms.
 * For exchange.c and recipients.c.
 */
#ifndef MILTER_POWERSHELL_H
#define MILTER_POWERSHELL_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/* UTF-8, or UTF-16 as `>` of Windows PowerShell writes it, with or without a byte order mark. A new reference; NULL: no
 * JSON, with its line (ERR_CONFIG), or memory. */
json_t *powershell_parse(struct slice text, struct err *err);
/* Appends bytes that stand there in base64 or as an array of numbers. 0, or -1: neither (ERR_CONFIG); memory. */
int powershell_bytes(const json_t *value, struct buf *out, struct err *err);

#endif
