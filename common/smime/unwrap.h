/* unwrap.h - a message without the signatures around it (rule key remove_signature): what was signed becomes the whole
 * new body, byte for byte, and nothing else stays of the old one.
 */
#ifndef SMIME_UNWRAP_H
#define SMIME_UNWRAP_H

#include "smime/verdict.h"

/* in: the message that the verdict is about; its header may have been cleaned since. Only where the verdict is a pass:
 * the outermost signed layers that cover the message are taken off, clear or opaque, as long as each signer of each
 * passes. The Content-* fields of what was signed replace those of in, which lose their place; no other field is taken
 * from inside (so no result field either), and all others of in stay, MIME-Version among them or added.
 *
 * A layer stays where what it holds could not stand at the top as it is: lone CR or LF, NUL, lines over 998, a header
 * that readers understand differently. Nothing taken off: *out is *in. 0, or -1: arena exhausted. */
int unwrap_message(struct arena *arena, const struct message *in, const struct verdict *verdict, struct message *out,
		   struct err *err);

#endif
