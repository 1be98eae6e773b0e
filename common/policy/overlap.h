/* overlap.h - does a rule take mail away from a later one that would protect it better? For warnings, when the
 * configuration is read. */
#ifndef POLICY_OVERLAP_H
#define POLICY_OVERLAP_H

#include "policy/rule.h"

/* What a message that `later` demands to be signed or encrypted loses by matching `earlier` first, where nothing keeps a
 * sender from making it match: earlier asks for a header field, a kind, a reply or a From, which are in his hands, and for
 * nothing else that no message of later has. "encryption", "a signature", "require_protection"; NULL: nothing. Networks
 * are taken to overlap. */
const char *overlap_weakens(const struct rule *earlier, const struct rule *later);

#endif
