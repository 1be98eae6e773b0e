/* differential.c - our reading of messages against GMime's. Generated messages, the fuzz corpora, and ../shared/corpus
 * where it is there: each difference is one that ours reports as doubt, or one of a known kind, or it fails the test.
 * The generator is diff/generate.c's, what is compared compare.c's, what is known known.c's. differential [CASES]
 * SEED=n in the environment: other cases; CASE=n: that one alone, with both readings
 */
#include <dirent.h>
#include <gmime/gmime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "diff/compare.h"
#include "diff/generate.h"
#include "fuzz/fuzz.h"

#define CASES 20000
#define KINDS_MAX 64 /* more than known_kinds has rows */
#define STOCK_MAX 512
#define STOCK_BYTES 65536
#define SHOWN_BYTES 6000

struct run {
	struct generate_stock stock;
	uint64_t seed;
	uint64_t number; /* of the case */
	uint64_t cases, refused, reported, differences, unknown;
	uint64_t kinds[KINDS_MAX];
	uint64_t single, covered; /* cases with something the verdict rests on */
	bool verbose;
};

static void show(const char *label, struct slice bytes)
{
	printf("  %s: ", label);
	if (bytes.p == NULL)
		printf("(none)");
	for (size_t i = 0; i < bytes.n && i < SHOWN_BYTES; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (c == '\n')
			printf("\\n\n    ");
		else if (c == '\r')
			printf("\\r");
		else if (c < ' ' || c > '~')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	printf("%s\n", bytes.n > SHOWN_BYTES ? "…" : "");
}

static void show_view(const char *who, const struct view *view)
{
	printf("  %s reads: doubts %x, cover %d, skeleton %s\n", who, view->doubts, view->cover,
	       view->skeleton_refused != NULL ? view->skeleton_refused : "read");
	for (size_t i = 0; i < VIEW_ROLES; i++)
		for (size_t k = 0; k < view->mailboxes[i].n; k++)
			show(view_role_names[i], view->mailboxes[i].items[k]);
	for (size_t i = 0; i < view->part_count; i++) {
		printf("  %*s%zu %.*s %.*s doubts %x, %zu bytes, boundary", (int)view->parts[i].depth * 2, "", i,
		       SLICE_ARGS(view->parts[i].type), (int)view->parts[i].encoding.n, view->parts[i].encoding.p,
		       view->parts[i].doubts, view->parts[i].content.n);
		show("", view->parts[i].params[VIEW_BOUNDARY]);
	}
}

static void take(void *arg, const struct difference *difference)
{
	struct run *run = arg;
	bool reported = compare_is_reported(difference);
	int kind = reported ? -1 : known_find(difference);

	if (reported) {
		run->reported++;
	} else if (kind >= 0) {
		run->differences++;
		run->kinds[kind]++;
	} else {
		run->differences++;
		run->unknown++;
	}
	if ((reported || kind >= 0) && !run->verbose)
		return;
	printf("not ok - differential: SEED=%llu CASE=%llu: %s differs (%s, %zu)%s%s\n", (unsigned long long)run->seed,
	       (unsigned long long)run->number, aspect_names[difference->aspect], difference->what, difference->at,
	       kind >= 0 ? ": known: " : "", kind >= 0 ? known_kinds[kind].name : "");
	show("ours", difference->ours);
	show("GMime", difference->theirs);
	show("message", difference->message);
	show_view("ours", difference->a);
	show_view("GMime", difference->b);
}

static void compare(struct run *run, struct slice message)
{
	struct arena *arena = arena_new(FUZZ_ARENA_BYTES);
	const struct view *ours = view_ours(arena, message), *theirs = view_gmime(arena, message);

	PROMISE(ours != NULL && theirs != NULL);
	if (run->verbose)
		show("message", message);
	run->cases++;
	run->refused += ours->refused != NULL || ours->skeleton_refused != NULL ? 1 : 0;
	run->single += ours->single[VIEW_FROM] ? 1 : 0;
	run->covered += ours->cover != COVER_NONE ? 1 : 0;
	compare_views(ours, theirs, message, take, run);
	arena_free(arena);
}

static struct slice read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *bytes = malloc(STOCK_BYTES);
	size_t n = 0;

	PROMISE(bytes != NULL);
	if (file != NULL) {
		n = fread(bytes, 1, STOCK_BYTES, file);
		fclose(file);
	}
	return slice_make(bytes, n);
}

static int not_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* All files below path whose names end so and that are no longer than STOCK_BYTES, in the order of their names. */
static void stock_add(struct generate_stock *stock, const char *path, const char *suffix)
{
	struct dirent **entries = NULL;
	char inner[1024];
	struct stat st;
	int n = scandir(path, &entries, not_dot, alphasort);

	for (int i = 0; i < n; i++) {
		snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
		free(entries[i]);
		if (stat(inner, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			stock_add(stock, inner, suffix);
		else if (slice_ends_nocase(slice_of(inner), suffix) && st.st_size < STOCK_BYTES && stock->n < STOCK_MAX)
			stock->messages[stock->n++] = read_file(inner);
	}
	free(entries);
}

static void stock_load(struct generate_stock *stock)
{
	static const char *const folders[] = { "tests/fuzz/corpus/header", "tests/fuzz/corpus/mime",
					       "../shared/corpus" };
	const char *top = getenv("TOP_SRCDIR");
	char path[1024], *text = NULL;
	struct slice der;

	top = top != NULL ? top : ".";
	stock->messages = calloc(STOCK_MAX, sizeof(*stock->messages));
	PROMISE(stock->messages != NULL);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", top, folders[i]);
		stock_add(stock, path, i < 2 ? "" : ".eml");
	}
	snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/cms_verify/bare.der", top);
	der = read_file(path);
	text = g_base64_encode((const guchar *)der.p, der.n);
	PROMISE(der.n > 0 && text != NULL);
	stock->signature = slice_of(text);
	free((void *)(uintptr_t)der.p);
}

static void stock_free(struct generate_stock *stock)
{
	for (size_t i = 0; i < stock->n; i++)
		free((void *)(uintptr_t)stock->messages[i].p);
	free(stock->messages);
	g_free((void *)(uintptr_t)stock->signature.p);
}

static void run_case(struct run *run, uint64_t number)
{
	struct buf message;

	buf_init(&message, 0);
	run->number = number;
	generate_message(&run->stock, run->seed * 0x100000001b3U + number, &message);
	compare(run, buf_slice(&message));
	buf_clear(&message);
}

static uint64_t number_of(const char *text, uint64_t preset)
{
	return text != NULL ? strtoull(text, NULL, 0) : preset;
}

static void run_all(struct run *run, uint64_t cases)
{
	for (size_t i = 0; i < run->stock.n && run->unknown == 0; i++) {
		run->number = i;
		compare(run, run->stock.messages[i]);
	}
	for (uint64_t i = 0; i < cases && run->unknown == 0; i++)
		run_case(run, i);
}

static void print_result(const struct run *run)
{
	unsigned kinds = 0;

	for (int i = 0; known_kinds[i].name != NULL; i++) {
		kinds += run->kinds[i] > 0 ? 1 : 0;
		printf("# %8llu %s\n", (unsigned long long)run->kinds[i], known_kinds[i].name);
	}
	printf("# SEED=%llu: %llu refused by ours, %llu with one From, %llu with a signature judged, %llu differences "
	       "that ours reports\n",
	       (unsigned long long)run->seed, (unsigned long long)run->refused, (unsigned long long)run->single,
	       (unsigned long long)run->covered, (unsigned long long)run->reported);
	printf("%s - differential: %llu cases, %llu differences of %u known kinds\n",
	       run->unknown == 0 ? "ok" : "not ok", (unsigned long long)run->cases,
	       (unsigned long long)run->differences, kinds);
}

int main(int argc, char **argv)
{
	const char *one = getenv("CASE");
	struct run run = { .seed = number_of(getenv("SEED"), 0), .verbose = one != NULL };

	g_mime_init();
	stock_load(&run.stock);
	if (one != NULL)
		run_case(&run, number_of(one, 0));
	else
		run_all(&run, number_of(argc > 1 ? argv[1] : NULL, CASES));
	print_result(&run);
	stock_free(&run.stock);
	return run.unknown == 0 ? 0 : 1;
}
