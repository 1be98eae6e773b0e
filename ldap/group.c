/* group.c - members of groups (RFC 4519 3.5 and 3.6, and what Active Directory and others have): DNs in member and
 * uniqueMember, and entries that name the group in memberOf or, in Active Directory, as their primary group. Whoever is
 * in a group otherwise (a URL, a uid, an address that is no entry) cannot be followed, and that is said. How groups in
 * groups are followed is expand.c's. Called by query.c and expand.c; keeps nothing.
 */
#include "ldap/group.h"

#include <string.h>

#include "ldap/entry.h"
#include "ldap/query.h"

#define SID_MIN_BYTES 12		/* MS-DTYP 2.4.2.2, with one relative identifier */

const char *const group_names[GROUP_NAMES + 1] = {
	"objectClass", "member", "uniqueMember", "memberUid", "memberURL", "rfc822MailMember", "mgrpRFC822MailMember",
	"objectSid", NULL
};

struct reading {
	struct arena *arena;
	struct group *group;
	const char *instead;		/* stands for members where there are no DNs, else beside them */
};

/* Not every class with the word in its name: people have ipaSshGroupOfPubKeys. */
static bool is_group_class(struct slice name)
{
	static const char *const classes[] = {
		"group", "groupOfNames", "groupOfUniqueNames", "groupOfMembers", "groupOfEntries", "groupOfURLs",
		"posixGroup",
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (slice_is_nocase(name, classes[i]))
			return true;
	}
	return false;
}

static int take_classes(struct reading *r, const char *name, struct berval **values)
{
	(void)name;
	for (size_t i = 0; values[i] != NULL; i++)
		r->group->is |= is_group_class(slice_make(values[i]->bv_val, values[i]->bv_len));
	return 0;
}

/* RFC 4517 3.3.21: a bit string may follow the DN: "#'0101'B". */
static struct slice without_uid(struct slice value)
{
	size_t n = value.n;

	if (n < 4 || !slice_is_nocase(slice_from(value, n - 2), "'B"))
		return value;
	n -= 2;
	while (n > 0 && (value.p[n - 1] == '0' || value.p[n - 1] == '1'))
		n--;
	return n >= 2 && value.p[n - 1] == '\'' && value.p[n - 2] == '#' ? slice_first(value, n - 2) : value;
}

static int take_members(struct reading *r, const char *name, struct berval **values)
{
	struct group *group = r->group;
	size_t count = (size_t)ldap_count_values_len(values);
	const char **members = NULL;

	group->is = true;
	group->part |= count > GROUP_MEMBERS_MAX;
	if (group->part)
		return 0;
	members = arena_array(r->arena, group->n + count, sizeof(*members));
	if (members == NULL)
		return -1;
	if (group->n > 0)
		memcpy(members, group->members, group->n * sizeof(*members));
	group->members = members;
	for (size_t i = 0; i < count; i++) {
		struct slice value = slice_make(values[i]->bv_val, values[i]->bv_len);

		if (slice_is_nocase(slice_of(name), "uniqueMember"))
			value = without_uid(value);
		members[group->n++] = arena_string(r->arena, value);
		if (members[group->n - 1] == NULL)
			return -1;
	}
	return 0;
}

static int take_instead(struct reading *r, const char *name, struct berval **values)
{
	(void)values;
	r->instead = name;
	return 0;
}

static int take_other(struct reading *r, const char *name, struct berval **values)
{
	(void)values;
	r->group->other = name;
	return 0;
}

/* The last one of the relative identifiers, little-endian. */
static int take_sid(struct reading *r, const char *name, struct berval **values)
{
	const unsigned char *end = NULL;

	(void)name;
	if (values[0] == NULL || values[0]->bv_len < SID_MIN_BYTES)
		return 0;
	end = (const unsigned char *)values[0]->bv_val + values[0]->bv_len;
	r->group->rid = end[-4] | (unsigned long)end[-3] << 8 | (unsigned long)end[-2] << 16 | (unsigned long)end[-1] << 24;
	return 0;
}

/* An entry_taker. Rows are group_names'. */
static int read_attribute(void *self, const char *name, struct berval **values)
{
	static int (*const takers[GROUP_NAMES])(struct reading *, const char *, struct berval **) = {
		take_classes, take_members, take_members, take_instead, take_instead, take_other, take_other, take_sid,
	};
	size_t i = 0;

	while (group_names[i] != name)
		i++;
	return takers[i](self, name, values);
}

int group_read(struct arena *arena, LDAP *ld, LDAPMessage *entry, struct group *group)
{
	struct reading r = { .arena = arena, .group = group };
	int rc = entry_walk(ld, entry, group_names, read_attribute, &r);

	if (rc == ENTRY_PART) {
		group->is = group->part = true;
		rc = 0;
	}
	if (group->n == 0 && group->other == NULL)
		group->other = r.instead;
	return rc;
}

int group_key(struct arena *arena, const char *dn, struct slice *key)
{
	char *normal = NULL, *copy = NULL;

	if (ldap_dn_normalize(dn, LDAP_DN_FORMAT_LDAPV3, &normal, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || normal == NULL)
		return 1;
	copy = arena_strdup(arena, normal);
	ldap_memfree(normal);
	if (copy == NULL)
		return -1;
	ascii_lower(copy, strlen(copy));
	*key = slice_of(copy);
	return 0;
}

bool group_is_below(struct slice key, struct slice base)
{
	if (base.n == 0 || slice_equal(key, base))
		return true;
	return key.n > base.n && key.p[key.n - base.n - 1] == ',' && slice_equal(slice_from(key, key.n - base.n), base);
}

int group_filter(struct buf *filter, const char *dn, const struct group *group)
{
	if (buf_append_text(filter, "(memberOf=") != 0 || query_escape(filter, slice_of(dn)) != 0 ||
	    buf_append_char(filter, ')') != 0)
		return -1;
	return group->rid == 0 ? 0 : buf_printf(filter, "(primaryGroupID=%lu)", group->rid);
}
