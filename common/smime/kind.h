/* kind.h - what a message is, found out by parsing (RFC 8551 3.10), not by searching strings. */
#ifndef SMIME_KIND_H
#define SMIME_KIND_H

#include "mail/mime.h"

enum kind {		/* names as in the rule criterion `kind` */
	KIND_PLAIN, KIND_SIGNED, KIND_ENCRYPTED, KIND_CALENDAR, KIND_TNEF, KIND_REPORT
};

extern const char *const kind_names[];	/* in enum order, NULL-terminated */

enum cms_type { CMS_NONE, CMS_SIGNED, CMS_ENVELOPED, CMS_AUTH_ENVELOPED, CMS_COMPRESSED, CMS_CERTS_ONLY, CMS_OTHER,
	CMS_UNREADABLE };

/* The outer type of a pkcs7-mime (x-pkcs7-mime; octet-stream named .p7m .p7s .p7c .p7z) part, from its first bytes:
 * ContentInfo's OID, and for SignedData whether content is present (CMS_SIGNED) or not (CMS_CERTS_ONLY: certificates or
 * a detached signature). CMS_NONE: the part is none of these types. CMS_UNREADABLE: it is, but its bytes are no CMS
 * object. Nothing behind the place where content begins is looked at. -1: a stream failed. */
int kind_cms_type(struct arena *arena, const struct message *message, const struct mime_part *part,
		  enum cms_type *type, struct err *err);

/* SIGNED: top level multipart/signed with two parts, of PGP, or of S/MIME with a SignerInfo in it (an object over 1
 * MiB is not looked through and counts as none), CMS SignedData with content, or a text/plain body that is one inline
 * PGP signed text. ENCRYPTED: top level CMS (Auth)EnvelopedData without fault and with nothing behind it, its cipher
 * AES or 3DES; multipart/encrypted of PGP whose second of two parts is one armoured message, or a text/plain body
 * that is one inline PGP message; of both the first packet must be one of encryption: gpg --sign --armor makes
 * messages too. What merely looks protected (a name, a broken CMS object) is PLAIN. TNEF: winmail.dat
 * (application/ms-tnef) at top level or as a part. CALENDAR: text/calendar likewise. REPORT: multipart/report. Order
 * of precedence: signed, encrypted, report, calendar, tnef. */
int kind_find(struct arena *arena, const struct message *message, const struct mime *mime, enum kind *kind,
	      struct err *err);

/* A report that may pass without protection, since it quotes no content: multipart/report of a notice in text, a status
 * part (message/delivery-status and the like) and, if there is a third part, a header alone: text/rfc822-headers with
 * nothing behind the fields, or message/rfc822 without a body. mime->root must be there. 0, or -1: a stream or memory
 * failed. */
int kind_report_is_headers_only(struct arena *arena, const struct message *message, const struct mime *mime,
				bool *only, struct err *err);

#endif
