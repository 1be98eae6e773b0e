/* dertext.c - see dertext.h. */
#include "support/dertext.h"

#include <ctype.h>
#include <openssl/objects.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smime/der.h"

static void need(bool ok, const char *at)
{
	if (ok)
		return;
	fprintf(stderr, "dertext: wrong at: %.60s\n", at);
	exit(99);
}

static unsigned hex_octet(const char *at)
{
	unsigned value = 0;

	need(isxdigit((unsigned char)at[0]) != 0 && isxdigit((unsigned char)at[1]) != 0, at);
	need(sscanf(at, "%2x", &value) == 1, at);
	return value;
}

static const char *append_oid(const char *at, struct buf *out)
{
	size_t n = strcspn(at, " \t\r\n{}[]");
	unsigned char *der = NULL;
	ASN1_OBJECT *oid;
	char name[80];
	int bytes;

	need(n < sizeof(name), at);
	memcpy(name, at, n);
	name[n] = '\0';
	oid = OBJ_txt2obj(name, 0);
	bytes = oid == NULL ? 0 : i2d_ASN1_OBJECT(oid, &der);
	need(bytes > 0 && buf_append(out, der, (size_t)bytes) == 0, at);
	OPENSSL_free(der);
	ASN1_OBJECT_free(oid);
	return at + n;
}

static const char *append_noise(const char *at, struct buf *out)
{
	char *end = NULL;
	unsigned long n = strtoul(at, &end, 10);
	unsigned state = 12345;

	for (; n > 0; n--) {
		state = state * 1103515245u + 12345u;
		need(buf_append_char(out, (char)(state >> 16)) == 0, at);
	}
	return end;
}

static const char *append_items(const char *at, char close, struct buf *out);

static const char *append_item(const char *at, struct buf *out)
{
	unsigned tag = hex_octet(at);
	bool indefinite = at[2] == '[';
	struct buf content;

	buf_init(&content, 0);
	at = append_items(at + 3, indefinite ? ']' : '}', &content);
	if (indefinite)
		need(buf_append_char(out, (char)tag) == 0 && buf_append(out, "\x80", 1) == 0 &&
		     buf_append_slice(out, buf_slice(&content)) == 0 && buf_append(out, "\0", 2) == 0, at);
	else
		need(der_write(out, tag, buf_slice(&content)) == 0, at);
	buf_clear(&content);
	return at;
}

static const char *append_text(const char *at, struct buf *out)
{
	size_t n = strcspn(at, "\"");

	need(at[n] == '"' && buf_append(out, at, n) == 0, at);
	return at + n + 1;
}

/* Up to close, which is passed. */
static const char *append_items(const char *at, char close, struct buf *out)
{
	for (;;) {
		at += strspn(at, " \t\r\n");
		if (*at == close)
			return close == '\0' ? at : at + 1;
		if (*at == '@') {
			at = append_oid(at + 1, out);
		} else if (*at == '~') {
			at = append_noise(at + 1, out);
		} else if (*at == '"') {
			at = append_text(at + 1, out);
		} else if (hex_octet(at) <= 0xff && (at[2] == '{' || at[2] == '[')) {
			at = append_item(at, out);
		} else {
			need(buf_append_char(out, (char)hex_octet(at)) == 0, at);
			at += 2;
		}
	}
}

void dertext(const char *text, struct buf *out)
{
	append_items(text, '\0', out);
}
