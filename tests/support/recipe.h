/* recipe.h - what a golden case's `make` file says: how its in.eml becomes the message that is brought to the door.
 *
 * One order a line, carried out from the top; people are those of people.h:
 *	sign NAME clear|opaque [WORD…]	the whole message, by OpenSSL. Words: sha1 sha384 sha512 noattr nocerts
 *					keyid pss, chain (the issuers' certificates too, but the root's), root (that too),
 *					content "TEXT" (another eContent), receipt (eContentType is no id-data),
 *					crls FILE (of the people's directory: its CRLs go along),
 *					twice NAME (a second signer), field "TEXT" (a field more inside),
 *					with NAME (his certificate too), gcm (SMIMECapabilities: AES-256-GCM and -CBC),
 *					signed-at SECONDS (from now), prefers HOW NAME (SMIMEEncryptionKeyPreference
 *					names his: serial, key-id, alt-key-id, outlook; junk)
 *					"none" for NAME: no signer at all
 *	mix "TEXT"			multipart/mixed: that text, unsigned, and then what was the message's entity
 *	forward "FROM"			what was the message, as message/rfc822 in one from there
 *	certs-only NAME			an object with NAME's certificate and no signer, over the message
 *	encrypt NAME cbc|gcm|3des [WORD…]	Words: key-id (so RecipientInfos name whom they are for), and another NAME each
 *	der SMIME-TYPE			the body, written as dertext.h says, becomes a CMS object
 *	replace "OLD" "NEW"		every one; there must be one
 *	grow "OLD" COUNT "PIECE"	OLD becomes COUNT times PIECE
 *	unescape			\xNN, \r, \n in the whole message become bytes
 *	lf				line ends lose their CR
 *	vanish PATH			when the site has been loaded, PATH (in the people's directory) is taken away
 */
#ifndef RECIPE_H
#define RECIPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "support/people.h"

struct recipe {
	const struct people *people;
	struct arena *arena;
	struct buf message;		/* what it is so far, CRLF line ends */
	const char *field;		/* of the next signature; NULL: none */
	const char *vanish;		/* NULL: nothing vanishes */
	const char *wrong;		/* why recipe_make failed, in the arena */
};

/* message holds in.eml. 0 or -1. The caller clears message. */
int recipe_make(struct recipe *recipe, struct slice orders);

#endif
