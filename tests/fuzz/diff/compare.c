/* compare.c - lays two readings of a message side by side. Which differences are known is known.c's. Called by
 * tests/fuzz/differential.c.
 */
#include "compare.h"

#include <string.h>

const char *const aspect_names[ASPECT_COUNT] = {
	"From",	    "Sender",	  "signed entity", "signature object",	"digested bytes", "header fields", "mailboxes",
	"skeleton", "media type", "parameter",	   "transfer encoding", "extent",	  "content"
};

struct comparison {
	struct difference difference; /* a, b and message are set */
	compare_sink *sink;
	void *arg;
};

static void tell(struct comparison *comparison, enum aspect aspect, const char *what, size_t at, struct slice ours,
		 struct slice theirs)
{
	struct difference *difference = &comparison->difference;

	difference->aspect = aspect;
	difference->what = what;
	difference->at = at;
	difference->ours = ours;
	difference->theirs = theirs;
	comparison->sink(comparison->arg, difference);
}

static void compare_fields(struct comparison *comparison)
{
	const struct view *a = comparison->difference.a, *b = comparison->difference.b;
	size_t n = a->field_count < b->field_count ? a->field_count : b->field_count;

	for (size_t i = 0; i < n; i++) {
		const struct view_field *ours = &a->fields[i], *theirs = &b->fields[i];

		if (!slice_equal(ours->name, theirs->name)) {
			tell(comparison, ASPECT_FIELDS, "name", i, ours->name, theirs->name);
			return;
		}
		if (!slice_equal(ours->value, theirs->value)) {
			tell(comparison, ASPECT_FIELDS, "value", i, ours->value, theirs->value);
			return;
		}
	}
	if (a->field_count != b->field_count)
		tell(comparison, ASPECT_FIELDS, "number", n, n < a->field_count ? a->fields[n].name : slice_make("", 0),
		     n < b->field_count ? b->fields[n].name : slice_make("", 0));
}

static void compare_mailboxes(struct comparison *comparison, enum view_role role, enum aspect aspect)
{
	const struct view_mailboxes *ours = &comparison->difference.a->mailboxes[role];
	const struct view_mailboxes *theirs = &comparison->difference.b->mailboxes[role];
	size_t i = 0;

	while (i < ours->n && i < theirs->n && slice_equal(ours->items[i], theirs->items[i]))
		i++;
	if (i < ours->n || i < theirs->n)
		tell(comparison, aspect, view_role_names[role], role, i < ours->n ? ours->items[i] : slice_make("", 0),
		     i < theirs->n ? theirs->items[i] : slice_make("", 0));
}

static void compare_all_mailboxes(struct comparison *comparison)
{
	if (comparison->difference.a->single[VIEW_FROM])
		compare_mailboxes(comparison, VIEW_FROM, ASPECT_FROM);
	if (comparison->difference.a->single[VIEW_SENDER])
		compare_mailboxes(comparison, VIEW_SENDER, ASPECT_SENDER);
	compare_mailboxes(comparison, VIEW_TO, ASPECT_LIST);
	compare_mailboxes(comparison, VIEW_CC, ASPECT_LIST);
}

static bool same_parameters(struct comparison *comparison, size_t i)
{
	const struct view_part *ours = &comparison->difference.a->parts[i],
			       *theirs = &comparison->difference.b->parts[i];

	for (size_t k = 0; k < VIEW_PARAMS; k++) {
		if (slice_equal(ours->params[k], theirs->params[k]) &&
		    (ours->params[k].p == NULL) == (theirs->params[k].p == NULL))
			continue;
		tell(comparison, ASPECT_PARAM, view_param_names[k], i, ours->params[k], theirs->params[k]);
		return false;
	}
	return true;
}

/* Lines as they come out of our quoted-printable decoder: each ended by CRLF. */
static bool same_content(const struct view_part *ours, const struct view_part *theirs)
{
	const char *a = ours->content.p, *b = theirs->content.p;
	const char *a_end = a + ours->content.n, *b_end = b + theirs->content.n;

	if (!slice_is(ours->encoding, "quoted-printable"))
		return slice_equal(ours->content, theirs->content);
	for (; a < a_end && b < b_end && *a == *b; a++, b++)
		if (a + 1 < a_end && a[1] == '\r' && a + 2 < a_end && a[2] == '\n' && b + 1 < b_end && b[1] == '\n')
			a++;
	return a == a_end && b == b_end;
}

static bool same_extent(const struct view_part *ours, const struct view_part *theirs)
{
	if (ours->start == ours->end && theirs->start == theirs->end)
		return true;
	return ours->start == theirs->start && ours->end == theirs->end;
}

/* False: they differ, and what comes behind cannot be compared. */
static bool compare_part(struct comparison *comparison, size_t i)
{
	const struct view_part *ours = &comparison->difference.a->parts[i],
			       *theirs = &comparison->difference.b->parts[i];

	if (!slice_equal(ours->type, theirs->type)) {
		tell(comparison, ASPECT_TYPE, "type", i, ours->type, theirs->type);
		return false;
	}
	if (!same_parameters(comparison, i))
		return false;
	if (ours->depth != theirs->depth || ours->form != theirs->form) {
		tell(comparison, ASPECT_SKELETON, "nesting", i, ours->entity, theirs->entity);
		return false;
	}
	if (ours->form != VIEW_LEAF)
		return true;
	if (!slice_equal(ours->encoding, theirs->encoding)) {
		tell(comparison, ASPECT_ENCODING, "encoding", i, ours->encoding, theirs->encoding);
		return false;
	}
	if (!same_extent(ours, theirs)) {
		tell(comparison, ASPECT_EXTENT, "extent", i, ours->content, theirs->content);
		return false;
	}
	if (same_content(ours, theirs))
		return true;
	tell(comparison, ASPECT_CONTENT, "content", i, ours->content, theirs->content);
	return false;
}

/* True if they are the same in number and each. */
static bool compare_parts(struct comparison *comparison)
{
	const struct view *a = comparison->difference.a, *b = comparison->difference.b;
	size_t n = a->part_count < b->part_count ? a->part_count : b->part_count;

	for (size_t i = 0; i < n; i++)
		if (!compare_part(comparison, i))
			return false;
	if (a->part_count != b->part_count)
		tell(comparison, ASPECT_SKELETON, "number", n,
		     n < a->part_count ? a->parts[n].entity : slice_make("", 0),
		     n < b->part_count ? b->parts[n].entity : slice_make("", 0));
	return a->part_count == b->part_count;
}

/* Index of the second child of the message, 0 if there is none, or a third. */
static size_t second_of_two(const struct view *view)
{
	size_t children = 0, second = 0;

	for (size_t i = 1; i < view->part_count; i++)
		if (view->parts[i].depth == 1 && ++children == 2)
			second = i;
	return children == 2 ? second : 0;
}

/* The first leaf that the other reader shows, in front of `second`, from outside the bytes that were signed; 0: none.
 */
static size_t outside_signed(const struct view *a, const struct view *b, size_t second)
{
	for (size_t i = 1; i < second; i++)
		if (b->parts[i].form == VIEW_LEAF && b->parts[i].start < b->parts[i].end &&
		    (b->parts[i].start < a->parts[1].entity_start || b->parts[i].end > a->parts[1].end))
			return i;
	return 0;
}

/* What ours verified a signature of must be what the other reader shows as the message, byte for byte, and nothing
 * beside. */
static void compare_cover(struct comparison *comparison)
{
	const struct view *a = comparison->difference.a, *b = comparison->difference.b;
	size_t ours = second_of_two(a), theirs = second_of_two(b), outside = outside_signed(a, b, theirs);

	if (a->cover == COVER_NONE)
		return;
	if (b->part_count == 0 || !slice_equal(a->parts[0].type, b->parts[0].type) ||
	    a->parts[0].form != b->parts[0].form) {
		tell(comparison, ASPECT_COVER, "type", 0, a->parts[0].type, b->parts[0].type);
	} else if (a->cover == COVER_OPAQUE) {
		if (!slice_equal(a->parts[0].content, b->parts[0].content))
			tell(comparison, ASPECT_OBJECT, "object", 0, a->parts[0].content, b->parts[0].content);
	} else if (ours == 0 || theirs == 0) {
		tell(comparison, ASPECT_COVER, "parts", 0, a->parts[0].entity, b->parts[0].entity);
	} else if (outside != 0) {
		tell(comparison, ASPECT_COVER, "outside", outside, a->parts[1].entity, b->parts[outside].content);
	} else if (!slice_equal(a->parts[ours].content, b->parts[theirs].content)) {
		tell(comparison, ASPECT_OBJECT, "second part", ours, a->parts[ours].content, b->parts[theirs].content);
	}
}

void compare_views(const struct view *ours, const struct view *theirs, struct slice message, compare_sink *sink,
		   void *arg)
{
	struct comparison comparison = { .difference = { .a = ours, .b = theirs, .message = message },
					 .sink = sink,
					 .arg = arg };

	if (ours->refused != NULL)
		return;
	compare_fields(&comparison);
	compare_all_mailboxes(&comparison);
	if (ours->skeleton_refused != NULL)
		return;
	compare_cover(&comparison);
	if (compare_parts(&comparison) && ours->cover == COVER_CLEAR &&
	    !slice_equal(ours->parts[1].entity, theirs->parts[1].entity))
		tell(&comparison, ASPECT_DIGESTED, "first part", 1, ours->parts[1].entity, theirs->parts[1].entity);
}

bool compare_is_reported(const struct difference *difference)
{
	const unsigned digest_doubts = DOUBT_MALFORMED | DOUBT_BREAKS | DOUBT_LINES;
	const struct view *a = difference->a;
	unsigned doubts = a->doubts;

	if (difference->aspect < ASPECT_OBJECT)
		return false;
	if (difference->aspect == ASPECT_LIST)
		return (doubts & DOUBT_BREAKS) != 0 || a->mailboxes[difference->at].odd;
	if (difference->aspect == ASPECT_FIELDS)
		return (doubts & DOUBT_BREAKS) != 0;
	if (difference->aspect == ASPECT_OBJECT)
		return (doubts & DOUBT_MALFORMED) != 0;
	for (size_t i = 0; i < a->part_count; i++)
		doubts |= a->parts[i].doubts & (i == difference->at ? ~0U : ~(unsigned)DOUBT_ENCODING);
	return (doubts & (difference->aspect == ASPECT_DIGESTED ? digest_doubts : ~0U)) != 0;
}
