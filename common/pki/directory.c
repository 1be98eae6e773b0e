/* directory.c - opens directories by their driver and builds the answers that drivers give. What a driver asks lies in
 * directory_files.c and ldap/, the memory of answers in directory_cache.c, the choice among them in candidate.c.
 * Called by gate's site, milter and smimectl. */
#include "pki/directory.h"

#include <string.h>

#include "pki/directory_cache.h"
#include "pki/directory_driver.h"

/* Entries, chain and problems hold their capacity in their number: full at 0, 4, 8, 16 and so on. */
#define FIRST_ITEMS 4

/* Room for one item more behind n: the array itself or a larger copy. NULL: exhausted. */
static void *grow(struct arena *arena, void *items, size_t n, size_t size)
{
	void *larger;

	if (n != 0 && (n < FIRST_ITEMS || (n & (n - 1)) != 0))
		return items;
	larger = arena_array(arena, n == 0 ? FIRST_ITEMS : n * 2, size);
	if (larger != NULL && n > 0)
		memcpy(larger, items, n * size);
	return larger;
}

static struct cert *hold(struct arena *arena, struct cert *cert)
{
	return cert_defer(arena, cert_ref(cert)) == 0 ? cert : NULL;
}

struct slice directory_key(struct arena *arena, const struct address *address)
{
	char *key = arena_string(arena, address->text);

	if (key == NULL)
		return (struct slice){ NULL, 0 };
	ascii_lower(key, address->text.n);
	return slice_make(key, address->text.n);
}

int directory_answer_add(struct arena *arena, struct directory_answer *answer, const struct directory_entry *entry)
{
	struct directory_entry *entries = grow(arena, answer->entries, answer->n, sizeof(*entries));
	struct directory_entry added = *entry;

	if (entries == NULL)
		return -1;
	answer->entries = entries;
	added.cert = hold(arena, entry->cert);
	added.attribute = arena_strdup(arena, entry->attribute);
	if (added.cert == NULL || added.attribute == NULL)
		return -1;
	entries[answer->n++] = added;
	answer->status = DIRECTORY_FOUND;
	return 0;
}

int directory_answer_chain(struct arena *arena, struct directory_answer *answer, struct cert *cert)
{
	struct cert **items;

	for (size_t i = 0; i < answer->chain.n; i++) {
		if (cert_equal(answer->chain.items[i], cert))
			return 0;
	}
	items = grow(arena, answer->chain.items, answer->chain.n, sizeof(*items));
	if (items == NULL)
		return -1;
	answer->chain.items = items;
	if ((items[answer->chain.n] = hold(arena, cert)) == NULL)
		return -1;
	answer->chain.n++;
	return 0;
}

int directory_answer_problem(struct arena *arena, struct directory_answer *answer, const char *text)
{
	const char **problems = grow(arena, answer->problems, answer->problem_count, sizeof(*problems));

	if (problems == NULL)
		return -1;
	answer->problems = problems;
	if ((problems[answer->problem_count] = arena_strdup(arena, text)) == NULL)
		return -1;
	answer->problem_count++;
	return 0;
}

static int add_problem(struct arena *arena, struct directory_answer *answer, const char *attribute, const char *why,
		       size_t offset)
{
	struct err text;

	/* err_set escapes what the value's maker put into why. */
	err_set(&text, ERR_MESSAGE, "%s: %s at offset %zu", attribute, why, offset);
	return directory_answer_problem(arena, answer, text.text);
}

static size_t count_certs(const struct bundle *bundle)
{
	size_t n = 0;

	for (size_t i = 0; i < bundle->n; i++) {
		if (bundle->entries[i].cert != NULL)
			n++;
	}
	return n;
}

int directory_answer_bundle(struct arena *arena, struct directory_answer *answer, const struct bundle *bundle,
			    const struct directory_entry *like)
{
	struct directory_entry added = *like;
	size_t certs = count_certs(bundle);
	int rc = 0;

	for (size_t i = 0; i < bundle->n && rc == 0; i++) {
		const struct bundle_entry *entry = &bundle->entries[i];

		added.cert = entry->cert;
		added.capabilities = entry->capabilities;
		added.preferred = entry->preferred;
		if (entry->problem != NULL)
			rc = add_problem(arena, answer, like->attribute, entry->problem, entry->offset);
		else if (entry->cert == NULL)
			continue;
		else if (certs > 1 && cert_info(entry->cert)->ca)
			rc = directory_answer_chain(arena, answer, entry->cert);
		else
			rc = directory_answer_add(arena, answer, &added);
	}
	if (rc == 0 && certs == 0)
		rc = add_problem(arena, answer, like->attribute, "holds no certificate", 0);
	return rc;
}

/* Without looking for doubles again, which takes its time in long chains. */
static int copy_chain(struct arena *arena, const struct cert_list *from, struct cert_list *to)
{
	size_t capacity = FIRST_ITEMS;

	if (from->n == 0)
		return 0;
	while (capacity < from->n)
		capacity *= 2;
	to->items = arena_array(arena, capacity, sizeof(*to->items));
	if (to->items == NULL)
		return -1;
	for (; to->n < from->n; to->n++) {
		if ((to->items[to->n] = hold(arena, from->items[to->n])) == NULL)
			return -1;
	}
	return 0;
}

static int copy_address(struct arena *arena, const struct address *from, struct address *to)
{
	const struct { struct slice from, *to; } parts[] = { { from->text, &to->text }, { from->local, &to->local },
							     { from->domain, &to->domain } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		const char *copy = arena_string(arena, parts[i].from);

		if (copy == NULL)
			return -1;
		*parts[i].to = slice_make(copy, parts[i].from.n);
	}
	return 0;
}

struct directory_owner *directory_owner_copy(struct arena *arena, const struct directory_owner *from)
{
	struct directory_owner *owner = arena_alloc(arena, sizeof(*owner));
	struct address *addresses = arena_array(arena, from->n, sizeof(*addresses));

	if (owner == NULL || addresses == NULL)
		return NULL;
	for (size_t i = 0; i < from->n; i++)
		if (copy_address(arena, &from->addresses[i], &addresses[i]) != 0)
			return NULL;
	*owner = (struct directory_owner){ addresses, from->n };
	return owner;
}

/* Entries of one person stand together: his addresses are copied once. */
static int copy_entries(struct arena *arena, const struct directory_answer *from, struct directory_answer *to)
{
	const struct directory_owner *last = NULL, *copy = NULL;

	for (size_t i = 0; i < from->n; i++) {
		struct directory_entry entry = from->entries[i];

		if (entry.owner != last) {
			last = entry.owner;
			copy = last == NULL ? NULL : directory_owner_copy(arena, last);
			if (copy == NULL && last != NULL)
				return -1;
		}
		entry.owner = copy;
		if (directory_answer_add(arena, to, &entry) != 0)
			return -1;
	}
	return 0;
}

/* Members are no groups themselves: the depth is 2. */
static int copy_members(struct arena *arena, const struct directory_answer *from, struct directory_answer *to)
{
	to->members = arena_array(arena, from->member_count, sizeof(*to->members));
	if (to->members == NULL)
		return -1;
	for (; to->member_count < from->member_count; to->member_count++) {
		const struct directory_member *member = &from->members[to->member_count];
		struct directory_member *copy = &to->members[to->member_count];

		if (copy_address(arena, &member->address, &copy->address) != 0 ||
		    directory_answer_copy(arena, &member->answer, &copy->answer) != 0)
			return -1;
	}
	to->group = from->group;
	return 0;
}

static int copy_associations(struct arena *arena, const struct directory_answer *from, struct directory_answer *to)
{
	struct smimea *copy = arena_array(arena, from->association_count, sizeof(*copy));

	if (copy == NULL)
		return -1;
	for (size_t i = 0; i < from->association_count; i++) {
		copy[i] = from->associations[i];
		copy[i].data = arena_copy(arena, from->associations[i].data);
		if (copy[i].data.p == NULL)
			return -1;
	}
	to->associations = copy;
	to->association_count = from->association_count;
	return 0;
}

int directory_answer_copy(struct arena *arena, const struct directory_answer *from, struct directory_answer *to)
{
	*to = (struct directory_answer){ .status = DIRECTORY_NONE };
	if (copy_entries(arena, from, to) != 0 || (from->group && copy_members(arena, from, to) != 0))
		return -1;
	if (copy_chain(arena, &from->chain, &to->chain) != 0 || copy_associations(arena, from, to) != 0)
		return -1;
	for (size_t i = 0; i < from->problem_count; i++) {
		if (directory_answer_problem(arena, to, from->problems[i]) != 0)
			return -1;
	}
	if (from->failure != NULL && (to->failure = arena_strdup(arena, from->failure)) == NULL)
		return -1;
	to->status = from->status;
	return 0;
}

int directory_answer_fail(struct arena *arena, struct directory_answer *answer, const char *failure)
{
	*answer = (struct directory_answer){ .status = DIRECTORY_FAILED };
	answer->failure = arena_strdup(arena, failure);
	return answer->failure == NULL ? -1 : 0;
}

static int parse_domains(const struct conf_strings *domains, struct conf *conf, struct arena *arena,
			 struct pattern_list *list, struct err *err)
{
	if (domains->n == 0)
		return 0;
	list->items = arena_array(arena, domains->n, sizeof(*list->items));
	if (list->items == NULL)
		return err_memory(err);
	for (size_t i = 0; i < domains->n; i++) {
		struct err why;

		if (pattern_parse_domain(arena, domains->items[i], &list->items[i], &why) != 0)
			return conf_finding(conf, &domains->items[i], err, "domains: %s", why.text);
	}
	list->n = domains->n;
	return 0;
}

int directory_open(const struct directory_driver *driver, const struct directory_settings *settings, struct conf *conf,
		   const struct conf_report *report, const struct directory_env *env, struct directory *directory,
		   struct err *err)
{
	struct directory opened = { .trusted = settings->trusted, .timeout_ms = DIRECTORY_TIMEOUT_MS };

	if (parse_domains(&settings->domains, conf, env->arena, &opened.domains, err) != 0 ||
	    driver->open(settings, conf, report, env, &opened, err) != 0)
		return -1;
	if ((settings->cache_s > 0 || settings->negative_cache_s > 0) &&
	    directory_cache_wrap(&opened, settings, env->clock, err) != 0) {
		directory_free(&opened);
		return -1;
	}
	*directory = opened;
	return 0;
}

void directory_free(struct directory *directory)
{
	if (directory == NULL || directory->class == NULL)
		return;
	directory->class->free(directory->self);
	*directory = (struct directory){ .class = NULL };
}

bool directory_is_responsible(const struct directory *directory, const struct address *address)
{
	return directory->domains.n == 0 || pattern_list_match(&directory->domains, address);
}
