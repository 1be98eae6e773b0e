/* smtp_script.h - an SMTP server that does what a test tells it: says this, hears that, drops the connection. It serves one
 * connection in a thread of its own, on a loopback port of the kernel's choice or a unix socket. Waits 20 s at most.
 *
 *	static const struct smtp_step steps[] = { { SMTP_SAY, "220 x\r\n" }, { SMTP_HEAR, "EHLO" }, … };
 *	struct smtp_script script;
 *	smtp_script_start(&script, steps, n, NULL);
 *	… client …
 *	assert_string_equal(smtp_script_end(&script), "");
 *	script.heard: all lines but the text; script.text: what came behind DATA, dots and all
 *	smtp_script_clear(&script);
 */
#ifndef SMTP_SCRIPT_H
#define SMTP_SCRIPT_H

#include <openssl/ssl.h>
#include <pthread.h>

#include "base/buf.h"

struct smtp_step {
	enum {
		SMTP_SAY,		/* these bytes */
		SMTP_SAY_BYTES,		/* n bytes of text's first one */
		SMTP_HEAR,		/* a line that begins so */
		SMTP_TEXT,		/* until CRLF . CRLF, or the end of the connection */
		SMTP_TLS,		/* TLS from here on */
		SMTP_DROP,		/* closes */
		SMTP_WAIT		/* until the client closes */
	} kind;
	const char *text;
	size_t n;
};

struct smtp_script {
	const struct smtp_step *steps;
	size_t n;
	SSL_CTX *tls;			/* set by the test where SMTP_TLS is used */
	unsigned port;
	char to[128];			/* "inet:127.0.0.1:PORT" or "unix:PATH" */
	struct buf heard, text;
	char failure[200];

	int listening, fd;
	SSL *ssl;
	struct buf in;
	pthread_t thread;
};

/* path: of a unix socket, or NULL. */
void smtp_script_start(struct smtp_script *script, const struct smtp_step *steps, size_t n, const char *path);
/* Waits for the thread. "" or what went otherwise than the script says. */
const char *smtp_script_end(struct smtp_script *script);
void smtp_script_clear(struct smtp_script *script);

#endif
