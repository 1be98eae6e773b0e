/* compare.h - where two readings of a message differ, and which differences are known. */
#ifndef COMPARE_H
#define COMPARE_H

#include "view.h"

enum aspect {
	ASPECT_FROM, /* the verdict's From, or Sender, is not what the other reader shows */
	ASPECT_SENDER,
	ASPECT_COVER,	 /* ours judges a signature of the whole message where the other reader shows something else */
	ASPECT_OBJECT,	 /* both show the same signed entity, but the other reader decodes the signature otherwise */
	ASPECT_DIGESTED, /* both show the same signed entity, but the other reader would digest other bytes */
	ASPECT_FIELDS,	 /* number, names, values of the message's fields */
	ASPECT_LIST,	 /* mailboxes of To, Cc */
	ASPECT_SKELETON, /* number, nesting and form of parts */
	ASPECT_TYPE,	 /* type, subtype */
	ASPECT_PARAM,
	ASPECT_ENCODING,
	ASPECT_EXTENT,	/* where the body of a leaf begins and ends in the message */
	ASPECT_CONTENT, /* bytes of a leaf, decoded */
	ASPECT_COUNT
};
extern const char *const aspect_names[ASPECT_COUNT];

struct difference {
	enum aspect aspect;
	const char *what; /* "To", "boundary" … */
	struct slice ours, theirs;
	size_t at;		  /* of the field or part */
	const struct view *a, *b; /* the whole readings: ours, theirs */
	struct slice message;
};

typedef void compare_sink(void *arg, const struct difference *difference);

/* Calls sink with each difference; of the parts' with the first, since others follow from it. */
void compare_views(const struct view *ours, const struct view *theirs, struct slice message, compare_sink *sink,
		   void *arg);

/* True if ours itself says that readers may differ here. Never of ASPECT_FROM, ASPECT_SENDER and ASPECT_COVER: these
 * are compared only where ours stakes its verdict on them. */
bool compare_is_reported(const struct difference *difference);

struct known_kind {
	const char *name;
	const char *reason; /* why ours is right, or both are */
	unsigned aspects;   /* bits 1 << enum aspect */
	bool (*is)(const struct difference *difference);
};
extern const struct known_kind known_kinds[]; /* ended by a name of NULL */

/* Index in known_kinds, or -1. */
int known_find(const struct difference *difference);

#endif
