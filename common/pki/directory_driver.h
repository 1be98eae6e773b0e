/* directory_driver.h - what drivers and the cache share: the rows that every directory's table has, and how an answer
 * is built. For drivers only: who asks a directory needs directory.h alone.
 *
 * Everything added to an answer lives in the arena: the arrays, the copied texts, and one reference for each
 * certificate. An answer's chain must not be given to cert_list_add or cert_list_clear. Not thread-safe: one answer,
 * one thread.
 */
#ifndef PKI_DIRECTORY_DRIVER_H
#define PKI_DIRECTORY_DRIVER_H

#include "pki/bundle.h"
#include "pki/directory.h"

/* The members of struct directory_settings as rows, for a struct that begins with it under the name `common`. cache,
 * negative and stale are the presets of cache_s, negative_cache_s and stale_s, as text. */
#define DIRECTORY_ROWS(settings, cache, negative, stale) \
	{ .name = "type", .type = CONF_STRING, .offset = offsetof(settings, common.type), .required = true }, \
	{ .name = "trusted", .type = CONF_BOOL, .offset = offsetof(settings, common.trusted) }, \
	{ .name = "domains", .type = CONF_STRINGS, .offset = offsetof(settings, common.domains), .preset = "*" }, \
	{ .name = "cache_s", .type = CONF_INT, .offset = offsetof(settings, common.cache_s), .preset = (cache), \
	  .max = DIRECTORY_CACHE_MAX_S }, \
	{ .name = "negative_cache_s", .type = CONF_INT, .offset = offsetof(settings, common.negative_cache_s), \
	  .preset = (negative), .max = DIRECTORY_CACHE_MAX_S }, \
	{ .name = "stale_s", .type = CONF_INT, .offset = offsetof(settings, common.stale_s), .preset = (stale), \
	  .max = DIRECTORY_CACHE_MAX_S }, \
	{ .name = "cache_mb", .type = CONF_INT, .offset = offsetof(settings, common.cache_mb), .preset = "32", \
	  .min = 1, .max = 4096 }
#define DIRECTORY_CACHE_MAX_S 604800	/* a week */

/* The text under which an address is indexed and cached: equal for addresses that address_equal calls equal. In the
 * arena; p == NULL: exhausted. */
struct slice directory_key(struct arena *arena, const struct address *address);

/* Each returns 0, or -1 when the arena is exhausted. The first sets status FOUND; the attribute's text is copied, the
 * owner has to live in the arena. */
int directory_answer_add(struct arena *arena, struct directory_answer *answer, const struct directory_entry *entry);
int directory_answer_chain(struct arena *arena, struct directory_answer *answer, struct cert *cert);
int directory_answer_problem(struct arena *arena, struct directory_answer *answer, const char *text);

/* One value of a person's attribute: certificates that are no CAs' are entries, CAs' go to the chain (a certificate
 * that stands alone is an entry whatever it is), bad ones become problems, which begin with attribute. like: attribute,
 * owner and value of what is added. */
int directory_answer_bundle(struct arena *arena, struct directory_answer *answer, const struct bundle *bundle,
			    const struct directory_entry *like);

/* In the arena; NULL: exhausted. */
struct directory_owner *directory_owner_copy(struct arena *arena, const struct directory_owner *from);

/* A copy of from with references of its own, its members' answers too; its age is not copied. to is overwritten. */
int directory_answer_copy(struct arena *arena, const struct directory_answer *from, struct directory_answer *to);

/* Makes the answer say "could not ask", dropping what it held; failure is copied. */
int directory_answer_fail(struct arena *arena, struct directory_answer *answer, const char *failure);

#endif
