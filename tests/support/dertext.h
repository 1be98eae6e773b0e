/* dertext.h - DER and BER items written as text, so that a test shows the bytes it is about, right ones and wrong ones.
 *
 *	30{ 02{ 00 } @rsaEncryption }	an item: tag, and in braces what is in it, the length being found out
 *	24[ 04{ ~16 } ]			the same of indefinite length, with its end-of-contents octets
 *	@NAME @1.2.3			an OBJECT IDENTIFIER by OpenSSL's short name or its numbers
 *	00ff 7f				these bytes
 *	~16				so many bytes that look like a ciphertext's, always the same ones
 *	"text"				the characters
 *
 * Blanks and line ends stand anywhere between. A text that is wrong ends the test program with a message.
 */
#ifndef DERTEXT_H
#define DERTEXT_H

#include "base/buf.h"

void dertext(const char *text, struct buf *out);	/* appends */

#endif
