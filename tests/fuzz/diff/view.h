/* view.h - what a reader makes of a message, in a form that two readers' can be compared in. Everything lives in the
 * arena of the case.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/slice.h"

#define VIEW_PARTS 200
#define VIEW_FIELDS 400
#define VIEW_MAILBOXES 64

enum view_param { VIEW_BOUNDARY, VIEW_PROTOCOL, VIEW_MICALG, VIEW_CHARSET, VIEW_NAME, VIEW_PARAMS };
extern const char *const view_param_names[VIEW_PARAMS];

enum view_form { VIEW_LEAF, VIEW_MULTIPART, VIEW_MESSAGE };

/* What ours says of itself against trusting its reading. */
enum view_doubt {
	DOUBT_MALFORMED = 1, /* MIME_MALFORMED: of the whole skeleton */
	DOUBT_DUPLICATE = 2, /* MIME_DUPLICATE */
	DOUBT_BREAKS = 4,    /* NUL or lone CR in the header of the message or of a part */
	DOUBT_DELIMITER = 8, /* a line outside the parts begins as a delimiter */
	DOUBT_LINES = 16,    /* CR or LF alone, or NUL, in a body, in the header of a part, or in a delimiter line */
	DOUBT_TYPE = 32,     /* Content-Type malformed or with a parameter twice */
	DOUBT_ENCODING = 64  /* unknown transfer encoding */
};

struct view_field {
	struct slice name;
	struct slice value; /* unfolded, blanks at both ends cut */
};

struct view_mailboxes {
	struct slice items[VIEW_MAILBOXES]; /* local@domain: unquoted, domain in A-labels and lower case */
	size_t n;
	bool odd; /* ours alone: address_single calls one of the fields ambiguous */
};

struct view_part {
	unsigned depth;
	enum view_form form;
	struct slice type;		  /* "text/plain", lower case */
	struct slice params[VIEW_PARAMS]; /* p == NULL: not there */
	struct slice encoding;		  /* "7bit", "8bit", "binary", "quoted-printable", "base64", "unknown" */
	struct slice content;		  /* of a leaf: decoded */
	struct slice entity;		  /* header, empty line, body; every lone LF as CRLF */
	size_t start, end;		  /* of a leaf's body, not decoded, in the message */
	struct slice type_source, encoding_source; /* ours alone: the fields' values as they stand */
	size_t entity_start;			   /* ours alone: of the part's header in the message */
	unsigned doubts;			   /* ours alone: of this part */
};

enum view_role { VIEW_FROM, VIEW_SENDER, VIEW_TO, VIEW_CC, VIEW_ROLES };
extern const char *const view_role_names[VIEW_ROLES];

struct view {
	const char *refused;		       /* why nothing was read, or NULL */
	struct view_field fields[VIEW_FIELDS]; /* of the message */
	size_t field_count;
	struct view_mailboxes mailboxes[VIEW_ROLES];
	struct view_part parts[VIEW_PARTS]; /* in the order in which they stand; the message itself first */
	size_t part_count;
	const char *skeleton_refused; /* why there are no parts, or NULL */
	/* ours alone */
	unsigned doubts;
	bool single[VIEW_ROLES];			      /* the verdict rests on this field's one mailbox */
	enum { COVER_NONE, COVER_CLEAR, COVER_OPAQUE } cover; /* a CMS object speaks of the whole message */
};

/* What ours and what GMime make of the message. NULL: no memory. */
struct view *view_ours(struct arena *arena, struct slice message);
struct view *view_gmime(struct arena *arena, struct slice message);

/* bytes with every lone LF as CRLF, as one digests them. */
struct slice view_canonical(struct arena *arena, struct slice bytes);

#endif
