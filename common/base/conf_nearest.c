/* conf_nearest.c - which name was meant: edit distance (insert, delete, replace, swap of neighbours). Called by conf.c
 * and by whoever checks names that conf.c cannot know (rule criteria, policies). Pure. */
#include "base/conf.h"

#include <string.h>

#define NAME_BYTES 64	/* longer ones are near to nothing */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Both at most NAME_BYTES long. */
static size_t distance(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
	size_t rows[3][NAME_BYTES + 1] = { { 0 } };
	size_t *above = rows[0], *row = rows[1], *top = rows[2], *swap;

	for (size_t j = 0; j <= b_bytes; j++)
		above[j] = j;
	for (size_t i = 1; i <= a_bytes; i++) {
		row[0] = i;
		for (size_t j = 1; j <= b_bytes; j++) {
			row[j] = least(above[j - 1] + (a[i - 1] != b[j - 1]), least(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], top[j - 2] + 1);
		}
		swap = top;
		top = above;
		above = row;
		row = swap;
	}
	return above[b_bytes];
}

const char *conf_nearest(const char *text, const char *const *names)
{
	size_t n = strlen(text), best = n / 3 + 2, d;
	const char *nearest = NULL;

	if (n > NAME_BYTES)
		return NULL;
	for (; *names != NULL; names++) {
		if (strlen(*names) > NAME_BYTES)
			continue;
		d = distance(text, n, *names, strlen(*names));
		if (d < best) {
			best = d;
			nearest = *names;
		}
	}
	return nearest;
}
